"""Offload: what an interface does to frames behind a capture's back, switched off."""

import array
import errno
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_INTERFACE_REQUEST = struct.Struct("@16sP16x")
_ETHTOOL_VALUE = struct.Struct("=II")

# ETHTOOL_S… of linux/ethtool.h. The first takes most of the others with it.
_SWITCHES = {
    "tx": 0x17,
    "rx": 0x15,
    "sg": 0x19,
    "tso": 0x1F,
    "gso": 0x24,
    "gro": 0x2C,
    "ufo": 0x22,
}

_GET_GRO = 0x2B
_GET_FLAGS = 0x25
_LRO = 1 << 15


def merges(interface: str) -> bool:
    """Tell whether segments that arrive may be shown as one; nothing is changed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        return bool(_value(door, interface, _GET_GRO) or _value(door, interface, _GET_FLAGS) & _LRO)


def _value(door: socket.socket, interface: str, command: int) -> int:
    value = array.array("B", _ETHTOOL_VALUE.pack(command, 0))
    try:
        fcntl.ioctl(
            door,
            _SIOCETHTOOL,
            _INTERFACE_REQUEST.pack(interface.encode(), value.buffer_info()[0]),
        )
    except OSError:
        return 0
    return int(_ETHTOOL_VALUE.unpack(value.tobytes())[1])


def switch_off(interface: str) -> None:
    """Switch checksum, segmentation and receive offloads off, in the calling thread's namespace.

    With them a capture shows segments that never were on a wire. OSError if the kernel refuses.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        for command in _SWITCHES.values():
            value = array.array("B", _ETHTOOL_VALUE.pack(command, 0))
            request = _INTERFACE_REQUEST.pack(interface.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(door, _SIOCETHTOOL, request)
            except OSError as error:
                # An interface that has no such offload need not switch it off.
                if error.errno != errno.EOPNOTSUPP:
                    raise
