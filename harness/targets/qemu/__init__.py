"""Qemu: unmodified Linux kernels in an emulator whose clock is virtual."""
