"""Tap: an interface whose wire ends in a process."""

import fcntl
import os
import socket
import struct

from harness.targets import network
from harness.targets.namespace import Namespace, write_sysctls

DEVICE = "/dev/net/tun"

_TUNSETIFF = 0x400454CA
_TUNSETPERSIST = 0x400454CB
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
_IFF_RUNNING = 0x40
_IFF_NOARP = 0x80
_REQUEST = struct.Struct("@16sH22x")
# A burst of a testcase's must not be dropped before the process reads it.
_QUEUE = 10_000


def missing() -> str | None:
    """Say in one line why no tap can be made here, or None."""
    if not os.path.exists(DEVICE):  # noqa: PTH110 - a device
        return f"there is no {DEVICE}: modprobe tun; a container must be given the device"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"{DEVICE} may not be opened: run as root, or allow it with chmod 666 {DEVICE}"
    return None


def make(namespace: Namespace, name: str) -> None:
    """Make a tap that is up and stays, with nothing of the kernel's that would speak on it.

    OSError if the kernel refuses.
    """
    with namespace.entered():
        if os.path.exists("/proc/sys/net/ipv6"):  # noqa: PTH110 - often
            write_sysctls(
                {
                    "net.ipv6.conf.all.disable_ipv6": "1",
                    "net.ipv6.conf.default.disable_ipv6": "1",
                }
            )
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            asked = _REQUEST.pack(name.encode(), _IFF_TAP | _IFF_NO_PI)
            fcntl.ioctl(descriptor, _TUNSETIFF, asked)
            fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
        finally:
            os.close(descriptor)
        network.set_queue(name, _QUEUE)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFFLAGS, _REQUEST.pack(name.encode(), _IFF_UP | _IFF_NOARP))


def runs(namespace: Namespace, name: str) -> bool:
    """Tell whether a tap takes frames: a moment after a process has come to its other end."""
    with namespace.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, _REQUEST.pack(name.encode(), 0))
        return bool(_REQUEST.unpack(answer)[1] & _IFF_RUNNING)
