"""Neighbour: asking a stack for its MAC, on the peer's behalf (RFC 826, RFC 4861)."""

import ipaddress
import struct

from harness.errors import UsageError
from harness.segment import codec
from harness.segment.datagram import Datagram, IcmpMessage
from harness.targets.remote.settings import Wanted
from harness.wire.packet_socket import PacketSocketLink
from harness.wire.real import RealClock

_ARP = struct.Struct("!6s6sH HHBBH 6s4s6s4s")
_ARP_TYPE, _ETHERNET, _IPV4, _REQUEST, _REPLY = 0x0806, 1, 0x0800, 1, 2
_SOLICITATION, _ADVERTISEMENT = 135, 136
_EVERYBODY, _NOBODY = b"\xff" * 6, bytes(6)
_TRIES = 3
_WITHIN = 1.0


def mac_of(wanted: Wanted, mac: str) -> str:
    """Return the MAC that answers for the stack's first address; UsageError if none does."""
    family = wanted.families[0]
    address, ours = wanted.addresses[family], wanted.peers[family]
    ask, answer = (_request, _reply) if family == "ipv4" else (_solicitation, _advertisement)
    clock = RealClock()
    link = PacketSocketLink(clock, wanted.interface, shared=True)
    try:
        for _ in range(_TRIES):
            link.send(ask(mac, ours, address))
            deadline = clock.now() + _WITHIN
            while clock.now() < deadline:
                while (frame := link.poll()) is not None:
                    found = None if frame.sent else answer(frame.octets, address)
                    if found is not None:
                        return found
                clock.wait(deadline)
    finally:
        link.close()
        clock.close()
    raise UsageError(
        f"nobody answers for {address} on {wanted.interface}: is the stack there, and the "
        f"interface up? Its MAC can be given as --remote-mac"
    )


def _request(mac: str, ours: str, address: str) -> bytes:
    mine = bytes.fromhex(mac.replace(":", ""))
    ends = (ipaddress.ip_address(one).packed for one in (ours, address))
    head = _EVERYBODY, mine, _ARP_TYPE, _ETHERNET, _IPV4, 6, 4, _REQUEST
    return _ARP.pack(*head, mine, next(ends), _NOBODY, next(ends))


def _reply(octets: bytes, address: str) -> str | None:
    if len(octets) < _ARP.size:
        return None
    _, _, kind, _, _, _, _, operation, sender, spoken_for, _, _ = _ARP.unpack_from(octets)
    if kind != _ARP_TYPE or operation != _REPLY:
        return None
    return sender.hex(":") if spoken_for == ipaddress.ip_address(address).packed else None


def _solicitation(mac: str, ours: str, address: str) -> bytes:
    target = ipaddress.ip_address(address).packed
    # The solicited-node address of RFC 4291 section 2.7.1, and its MAC (RFC 2464 section 7).
    group = ipaddress.IPv6Address(b"\xff\x02" + bytes(9) + b"\x01\xff" + target[-3:])
    source = b"\x01\x01" + bytes.fromhex(mac.replace(":", ""))
    message = IcmpMessage(type=_SOLICITATION, code=0, quoted=target + source)
    everyone = f"33:33:ff:{target[-3:].hex(':')}"
    return codec.encode_frame(mac, everyone, Datagram(ours, str(group), message, ttl=255))


def _advertisement(octets: bytes, address: str) -> str | None:
    frame = codec.decode_frame(octets)
    content = None if frame is None else frame.content
    if frame is None or not isinstance(content, Datagram) or (message := content.icmp) is None:
        return None
    told = message.type == _ADVERTISEMENT and content.family == "ipv6"
    its = message.quoted[:16] == ipaddress.ip_address(address).packed
    return frame.source_mac if told and its else None
