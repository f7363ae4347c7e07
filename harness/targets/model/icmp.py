"""ICMP: what errors do to connections (RFC 9293 section 3.9.2.2, RFC 5927, RFC 1191)."""

import ipaddress
from typing import TYPE_CHECKING

from harness.endpoint import Endpoint
from harness.segment.datagram import IcmpMessage
from harness.segment.sequence import difference
from harness.states import State
from harness.targets.model import output
from harness.targets.model.connection import Connection

if TYPE_CHECKING:
    from harness.targets.model.stack import Stack

_UNREACHABLE = {"ipv4": 3, "ipv6": 1}
_TCP = 6
# By family and code: the error, and whether it is a hard one.
_ERRORS = {
    ("ipv4", 0): ("ENETUNREACH", False),
    ("ipv4", 1): ("EHOSTUNREACH", False),
    ("ipv4", 2): ("ENOPROTOOPT", True),
    ("ipv4", 3): ("ECONNREFUSED", True),
    ("ipv4", 5): ("EOPNOTSUPP", False),
    ("ipv6", 0): ("ENETUNREACH", False),
    ("ipv6", 1): ("EACCES", False),
    ("ipv6", 3): ("EHOSTUNREACH", False),
    ("ipv6", 4): ("ECONNREFUSED", True),
}


def arrives(stack: "Stack", family: str, message: IcmpMessage) -> None:
    """Let an error have its effect on the connection that it is about, if there is one."""
    c = _subject(stack, family, message)
    if c is None:
        return
    too_big = (message.type, message.code) == (3, 4) if family == "ipv4" else message.type == 2
    if too_big:
        _shrink(c, family, message.rest & 0xFFFF if family == "ipv4" else message.rest)
        return
    if message.type != _UNREACHABLE[family]:
        # Time Exceeded and Parameter Problem are soft errors (RFC 9293 MUST-56).
        return
    error, hard = _ERRORS.get((family, message.code), ("EHOSTUNREACH", False))
    if (hard or c.parameters.soft_errors_end_open) and c.state in (
        State.SYN_SENT,
        State.SYN_RECEIVED,
    ):
        # RFC 5927 section 4.2: in synchronized states hard errors are soft ones.
        c.stack.count("TcpAttemptFails")
        c.delete(error)
    else:
        c.soft_error = error


def _shrink(c: Connection, family: str, mtu: int) -> None:
    """Lower the MSS to what the path carries, and send again what it did not (RFC 1191)."""
    header, least = (40, 68) if family == "ipv4" else (60, 1280)
    if mtu < least or mtu - header >= c.snd_mss:
        return
    c.snd_mss = mtu - header
    c.congestion.resized(c.snd_mss)
    if c.outstanding and c.state in output.SENDING:
        output.retransmit(c)


def _subject(stack: "Stack", family: str, message: IcmpMessage) -> Connection | None:
    """Return the connection that the quoted segment is of, if its number is outstanding."""
    quoted = message.quoted
    if family == "ipv4":
        header = 4 * (quoted[0] & 0xF) if quoted else 0
        protocol, ends = quoted[9:10], (quoted[12:16], quoted[16:20])
    else:
        header, protocol, ends = 40, quoted[6:7], (quoted[8:24], quoted[24:40])
    ports = quoted[header : header + 8]
    if len(ports) < 8 or protocol != bytes((_TCP,)):
        return None
    local, remote = (str(ipaddress.ip_address(end)) for end in ends)
    c = stack.connections.get(
        (
            Endpoint(local, int.from_bytes(ports[:2])),
            Endpoint(remote, int.from_bytes(ports[2:4])),
        )
    )
    if c is None:
        return None
    seq = int.from_bytes(ports[4:])
    sent = 0 <= difference(seq, c.snd_una) < max(1, difference(c.snd_nxt, c.snd_una))
    return c if sent and c.outstanding else None
