"""Table: the connections of lwIP, read from the lists that the library exports.

There is no call that tells a connection's state. The structure's beginning is the same for all
kinds; whether it is what is written here is tried on a socket before it is believed.
"""

import ctypes
import socket
import struct
from typing import Any

from harness.targets.lwip.library import Library

_LISTS = ("tcp_listen_pcbs", "tcp_active_pcbs", "tcp_tw_pcbs")
_STATES = (
    "CLOSED",
    "LISTEN",
    "SYN-SENT",
    "SYN-RECEIVED",
    "ESTABLISHED",
    "FIN-WAIT-1",
    "FIN-WAIT-2",
    "CLOSE-WAIT",
    "CLOSING",
    "LAST-ACK",
    "TIME-WAIT",
)
# struct tcp_pcb of lwip/tcp.h with IPv4 and IPv6: two addresses (octets, zone, type), four octets
# of IP, pointers to the next and to the owner, state, priority, and the local port. A listener has
# no more; its far end is not set.
_HEAD = struct.Struct("@20sB3x20sB3x4xPPIBxHH")
_IPV4 = 0
_LISTEN = 1
_TRIED_PORT = 0x1D05


def rows(library: Library) -> list[dict[str, Any]]:
    """Return the state table, with the fields of `sock_diag.Row` but `info`."""
    core = library.core()
    core.sys_lock_tcpip_core()
    try:
        firsts = [ctypes.c_void_p.in_dll(core, name).value for name in _LISTS]
        return [row for first in firsts for row in listed(first)]
    finally:
        core.sys_unlock_tcpip_core()


def readable(library: Library) -> bool:
    """Tell whether the structure is the one that is written here."""
    number = library.socket(socket.AF_INET)
    try:
        library.bind(number, socket.AF_INET, ("0.0.0.0", _TRIED_PORT))  # noqa: S104 - its own link
        library.listen(number, 1)
        found = rows(library)
    except (OSError, ValueError, IndexError):
        return False
    finally:
        library.close(number)
    return [(row["state"], row["local_port"]) for row in found] == [("LISTEN", _TRIED_PORT)]


def listed(at: int | None) -> list[dict[str, Any]]:
    """Return the rows of a list, given where its first structure is."""
    found = []
    while at:
        local, kind, remote, _, following, _, state, _, here, there = _HEAD.unpack(
            ctypes.string_at(at, _HEAD.size)
        )
        listens = state == _LISTEN
        found.append(
            {
                "family": "ipv4" if kind == _IPV4 else "ipv6",
                "state": _STATES[state],
                "local_address": _address(kind, local),
                "local_port": here,
                "remote_address": _address(kind, bytes(20) if listens else remote),
                "remote_port": 0 if listens else there,
                "timer": "none",
                "expires": 0,
                "retransmits": 0,
                "receive_queue": 0,
                "send_queue": 0,
                "uid": 0,
                "inode": 0,
            }
        )
        at = following
    return found


def _address(kind: int, octets: bytes) -> str:
    if kind == _IPV4:
        return socket.inet_ntop(socket.AF_INET, octets[:4])
    return socket.inet_ntop(socket.AF_INET6, octets[:16])
