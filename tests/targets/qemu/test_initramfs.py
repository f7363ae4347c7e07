"""Initramfs: what is in a guest's file system."""

import struct
import sys
from pathlib import Path

import pytest

from harness.targets.qemu import initramfs
from harness.targets.qemu.modules import Module


def elf(*segments, tail=b""):
    """Make an ELF file whose program headers name these (offset, octets)."""
    end = max(offset + length for offset, length in segments)
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack("<QQ", 64, end + len(tail))
    header += bytes(6) + struct.pack("<HHHHH", 56, len(segments), 64, 9, 8)
    table = b"".join(struct.pack("<QQQQQ16x", 1, o, 0, 0, n) for o, n in segments)
    return (header + table).ljust(end, b".") + tail


def test_what_follows_the_last_segment_is_left_out():
    """Sections are for linkers and debuggers, and no header points to them any more."""
    whole = elf((0, 200), (200, 100), tail=b"debug" * 100)
    kept = initramfs.loaded(whole)
    assert len(kept) == 300
    assert kept[64:] == whole[64:300]
    assert kept[40:48] == bytes(8)
    assert kept[60:64] == bytes(4)


def test_other_files_stay_as_they_are():
    """A script is no ELF file."""
    assert initramfs.loaded(b"#!/bin/sh\n") == b"#!/bin/sh\n"


@pytest.fixture(scope="module")
def built():
    """Build a file system of this machine's Python, with one module."""
    return initramfs.build([Module("tun", b"module")], {})


def test_a_guest_has_this_python_and_all_that_it_needs(built):
    """The first program names an interpreter that is there, with the loader that it names."""
    first, *_ = built["/init"].octets.split(b"\n")
    interpreter = first.decode().removeprefix("#!").split()[0]
    assert built[interpreter].octets[:4] == b"\x7fELF"
    assert any(Path(name).name.startswith("ld-") for name in built)
    for name in ("agent", "sock_diag", "guest", "mailbox"):
        assert f"/tcpspec/{name}.py" in built
        assert f"/tcpspec/__pycache__/{name}.{sys.implementation.cache_tag}.pyc" in built
    assert any(name.endswith("/json/__init__.py") for name in built)


def test_a_guest_has_the_modules_in_their_order(built):
    """Their names tell it."""
    assert built["/modules/000-tun.ko"].octets == b"module"


def test_what_is_translated_is_no_source(built):
    """Python never translates a file twice into the same octets."""
    sources = initramfs.sources(built)
    assert "/tcpspec/agent.py" in sources
    assert not any(name.endswith(".pyc") for name in sources)
    assert len(sources) < len(built)
