"""Socket diagnosis: the kernel's table of TCP sockets, read and cleared over netlink.

Stands alone: standard library only, so that it can travel into a target together with the agent.
Everything acts on the network namespace of the calling thread.
"""

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

STATES = {
    1: "ESTABLISHED",
    2: "SYN-SENT",
    3: "SYN-RECEIVED",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    7: "CLOSED",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "SYN-RECEIVED",  # a request that has no socket of its own yet
    13: "CLOSED",  # bound, neither listening nor connecting
}

TIMERS = {
    0: "none",
    1: "retransmission",
    2: "keepalive",  # also of orphans in FIN-WAIT-2
    3: "time-wait",
    4: "window probe",
}

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_SOCK_DESTROY = 21
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLM_F_REQUEST = 0x001
_NLM_F_ACK = 0x004
_NLM_F_DUMP_INTR = 0x010
_NLM_F_DUMP = 0x300
_INET_DIAG_INFO = 2

_MESSAGE_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48s")
_MESSAGE = struct.Struct("=BBBB48sIIIII")
_IDENTITY = struct.Struct("!HH16s16s")
_ATTRIBUTE = struct.Struct("=HH")

# States 1 to 12; sockets that are only bound would hide in state 13.
_CONNECTION_STATES = 0x1FFE
_MAPPED = bytes(10) + b"\xff\xff"


class Row(NamedTuple):
    """One row of the state table.

    `family` is "ipv4" for an IPv4 connection of an IPv6 socket too. `expires` is milliseconds until
    the timer, `info` the octets of TCP_INFO if they were asked for and the socket has them. Of a
    listening socket `receive_queue` is the connections that wait for accept(), `send_queue` the
    limit of them.
    """

    family: str
    state: str
    local_address: str
    local_port: int
    remote_address: str
    remote_port: int
    timer: str
    expires: int
    retransmits: int
    receive_queue: int
    send_queue: int
    uid: int
    inode: int
    info: bytes = b""


def dump(families: tuple[str, ...] = ("ipv4", "ipv6"), *, info: bool = False) -> list[Row]:
    """Return every TCP socket of the calling thread's namespace, those in TIME-WAIT included.

    Raises OSError if the kernel refuses.
    """
    with _open() as diagnosis:
        return [
            parse(message)
            for family in families
            for message in _messages(diagnosis, family, info=info)
        ]


def destroy_all(*, rounds: int = 3) -> int:
    """Destroy every TCP socket of the calling thread's namespace; return how many are left.

    An orphan would otherwise hold its namespace until its last timer. Needs CAP_NET_ADMIN over the
    namespace and raises OSError without it. Peers may be sent a reset.
    """
    left = 0
    with _open() as diagnosis:
        for _ in range(rounds):
            victims = [message for family in _FAMILIES for message in _messages(diagnosis, family)]
            if not victims:
                return 0
            left = len(victims) - sum(_destroy(diagnosis, message) for message in victims)
    return left


def parse(message: bytes) -> Row:
    """Read one inet_diag_msg and its attributes; ValueError for octets that cannot be one."""
    if len(message) < _MESSAGE.size:
        raise ValueError(f"an inet_diag message of {len(message)} octets is too short")
    family, state, timer, retransmits, identity, expires, receive, send, uid, inode = (
        _MESSAGE.unpack_from(message)
    )
    local_port, remote_port, local, remote = _IDENTITY.unpack_from(identity)
    name, local_address, remote_address = _addresses(family, local, remote)
    return Row(
        family=name,
        state=STATES.get(state, f"state {state}"),
        local_address=local_address,
        local_port=local_port,
        remote_address=remote_address,
        remote_port=remote_port,
        timer=TIMERS.get(timer, f"timer {timer}"),
        expires=expires,
        retransmits=retransmits,
        receive_queue=receive,
        send_queue=send,
        uid=uid,
        inode=inode,
        info=_attributes(message[_MESSAGE.size :]).get(_INET_DIAG_INFO, b""),
    )


_INFO_OCTETS = ("state", "ca_state", "retransmits", "probes", "backoff", "options")

# The rest of struct tcp_info after its eight first octets; older kernels send less of it.
_INFO_WORDS = (
    ("rto", "I"),
    ("ato", "I"),
    ("snd_mss", "I"),
    ("rcv_mss", "I"),
    ("unacked", "I"),
    ("sacked", "I"),
    ("lost", "I"),
    ("retrans", "I"),
    ("fackets", "I"),
    ("last_data_sent", "I"),
    ("last_ack_sent", "I"),
    ("last_data_recv", "I"),
    ("last_ack_recv", "I"),
    ("pmtu", "I"),
    ("rcv_ssthresh", "I"),
    ("rtt", "I"),
    ("rttvar", "I"),
    ("snd_ssthresh", "I"),
    ("snd_cwnd", "I"),
    ("advmss", "I"),
    ("reordering", "I"),
    ("rcv_rtt", "I"),
    ("rcv_space", "I"),
    ("total_retrans", "I"),
    ("pacing_rate", "Q"),
    ("max_pacing_rate", "Q"),
    ("bytes_acked", "Q"),
    ("bytes_received", "Q"),
    ("segs_out", "I"),
    ("segs_in", "I"),
    ("notsent_bytes", "I"),
    ("min_rtt", "I"),
    ("data_segs_in", "I"),
    ("data_segs_out", "I"),
    ("delivery_rate", "Q"),
    ("busy_time", "Q"),
    ("rwnd_limited", "Q"),
    ("sndbuf_limited", "Q"),
    ("delivered", "I"),
    ("delivered_ce", "I"),
    ("bytes_sent", "Q"),
    ("bytes_retrans", "Q"),
    ("dsack_dups", "I"),
    ("reord_seen", "I"),
    ("rcv_ooopack", "I"),
    ("snd_wnd", "I"),
    ("rcv_wnd", "I"),
    ("rehash", "I"),
    ("total_rto", "H"),
    ("total_rto_recoveries", "H"),
    ("total_rto_time", "I"),
)


def tcp_info(octets: bytes) -> dict[str, Any]:
    """Read struct tcp_info, from a dump or from getsockopt(TCP_INFO), as far as it goes.

    Names are the kernel's without "tcpi_"; `rto`, `rtt` and their like are microseconds, `last_…`
    are milliseconds, `state` is spelt as RFC 9293 does.
    """
    if len(octets) < 8:
        return {}
    known: dict[str, Any] = dict(zip(_INFO_OCTETS, octets, strict=False))
    known["state"] = STATES.get(octets[0], f"state {octets[0]}")
    # Two bit fields of four bits share an octet; the compiler fills it from the byte order's end.
    scales = octets[6] & 15, octets[6] >> 4
    known["snd_wscale"], known["rcv_wscale"] = scales if sys.byteorder == "little" else scales[::-1]
    at = 8
    for name, kind in _INFO_WORDS:
        size = struct.calcsize(kind)
        if at + size > len(octets):
            break
        known[name] = struct.unpack_from("=" + kind, octets, at)[0]
        at += size
    return known


def _open() -> socket.socket:
    diagnosis = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    diagnosis.settimeout(10)
    return diagnosis


def _messages(diagnosis: socket.socket, family: str, *, info: bool = False) -> list[bytes]:
    """Dump one family; again if the table changed in between so that rows may be missing."""
    for _ in range(5):
        body = _REQUEST.pack(
            _FAMILIES[family],
            socket.IPPROTO_TCP,
            1 << (_INET_DIAG_INFO - 1) if info else 0,
            _CONNECTION_STATES,
            bytes(48),
        )
        diagnosis.send(_message(_SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST | _NLM_F_DUMP, body))
        found, interrupted = _receive_dump(diagnosis)
        if not interrupted:
            break
    return found


def _receive_dump(diagnosis: socket.socket) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    interrupted = False
    while True:
        for kind, flags, body in _split(diagnosis.recv(1 << 17)):
            interrupted = interrupted or bool(flags & _NLM_F_DUMP_INTR)
            if kind == _NLMSG_DONE:
                return found, interrupted
            if kind == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", body)[0]
                # A kernel without this family has no sockets of it.
                if code == errno.ENOENT:
                    return found, False
                raise OSError(code, os.strerror(code))
            found.append(body)


def _destroy(diagnosis: socket.socket, message: bytes) -> bool:
    """Destroy the socket of one dumped message; False if the kernel cannot destroy its kind."""
    family, state = message[0], message[1]
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 1 << state, message[4:52])
    diagnosis.send(_message(_SOCK_DESTROY, _NLM_F_REQUEST | _NLM_F_ACK, body))
    for kind, _, answer in _split(diagnosis.recv(1 << 16)):
        if kind == _NLMSG_ERROR:
            code = -struct.unpack_from("=i", answer)[0]
            if code in {errno.EPERM, errno.EACCES}:
                raise OSError(code, os.strerror(code))
            return code in {0, errno.ENOENT}
    return False


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _MESSAGE_HEADER.pack(_MESSAGE_HEADER.size + len(body), kind, flags, 1, 0) + body


def _split(octets: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Give type, flags and body of each netlink message in one datagram."""
    at = 0
    while at + _MESSAGE_HEADER.size <= len(octets):
        length, kind, flags, _, _ = _MESSAGE_HEADER.unpack_from(octets, at)
        if length < _MESSAGE_HEADER.size:
            break
        yield kind, flags, octets[at + _MESSAGE_HEADER.size : at + length]
        at += (length + 3) & ~3


def _attributes(octets: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(octets):
        length, kind = _ATTRIBUTE.unpack_from(octets, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = octets[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def _addresses(family: int, local: bytes, remote: bytes) -> tuple[str, str, str]:
    if family == socket.AF_INET:
        return "ipv4", socket.inet_ntoa(local[:4]), socket.inet_ntoa(remote[:4])
    if local.startswith(_MAPPED) and remote.startswith(_MAPPED):
        return "ipv4", socket.inet_ntoa(local[12:]), socket.inet_ntoa(remote[12:])
    at_local, at_remote = (socket.inet_ntop(socket.AF_INET6, octets) for octets in (local, remote))
    return "ipv6", at_local, at_remote
