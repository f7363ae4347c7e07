"""Codec: the only door to Scapy, between values and octets.

Scapy builds the fixed headers of what is sent, and a testcase may hand in a layer of Scapy's. What
comes is read here: a dissector that drops what it cannot understand hides what the harness must
see, and its time is the time with which is measured. Option lists are read and written by
`options`, for the same reason.
"""

import dataclasses
import functools
import ipaddress
import logging
import struct

from scapy.config import conf

from harness.errors import UsageError
from harness.segment.datagram import (
    ArpRequest,
    Datagram,
    EthernetFrame,
    IcmpMessage,
    NeighbourSolicitation,
    OtherPayload,
)
from harness.segment.options import decode_options, encode_options
from harness.segment.segment import Flags, Segment

# The harness gives every address itself: Scapy need not look at this machine's routes.
conf.route_autoload = False
conf.route6_autoload = False
logging.getLogger("scapy").setLevel(logging.CRITICAL)

from scapy.layers.inet import IP, TCP  # noqa: E402 - after the switches above
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.l2 import ARP, Ether  # noqa: E402
from scapy.packet import Packet  # noqa: E402
from scapy.utils import checksum as internet_checksum  # noqa: E402

_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")
_TCP_FIELDS = struct.Struct("!HHIIHHHH")
_DONT_FRAGMENT, _FRAGMENT = 0x4000, 0x3FFF

_TCP = 6
_ICMP = {"ipv4": 1, "ipv6": 58}
_IPV6_FRAGMENT = 44
_HEADER = {"ipv4": 20, "ipv6": 40}
_TCP_HEADER = 20
_ETHERNET_HEADER = 14
_ARP_PACKET = 28
_TYPES = {0x0800: "ipv4", 0x86DD: "ipv6"}
_ARP_TYPE = 0x0806
_BROADCAST_HOSTS = "ff02::1"
_BROADCAST_HOSTS_MAC = "33:33:00:00:00:01"
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOLICITED, _OVERRIDE = 0x4000_0000, 0x2000_0000
_ROOM = 40
_LARGEST_CONTENT = 65535 - _HEADER["ipv4"] - _ROOM


def encode(datagram: Datagram) -> bytes:
    """Return the octets of a datagram from its IP header on; UsageError when it cannot be built."""
    protocol, octets = _encode_content(datagram)
    if datagram.family == "ipv6":
        if datagram.ip_options:
            raise UsageError("an IPv6 datagram has no ip_options: leave them out")
        header = IPv6(
            tc=datagram.tos,
            fl=datagram.flow_label,
            plen=len(octets),
            nh=protocol,
            hlim=datagram.ttl,
            src=datagram.source,
            dst=datagram.destination,
        )
        return _built(header) + octets
    options = datagram.ip_options + bytes(-len(datagram.ip_options) % 4)
    if len(options) > _ROOM:
        raise UsageError(f"ip_options of {len(options)} octets: a header has room for {_ROOM}")
    header = IP(
        ihl=5 + len(options) // 4,
        tos=datagram.tos,
        len=_HEADER["ipv4"] + len(options) + len(octets),
        id=datagram.identification,
        flags=2 * datagram.dont_fragment,
        ttl=datagram.ttl,
        proto=protocol,
        chksum=0,
        src=datagram.source,
        dst=datagram.destination,
    )
    return _with_checksum(_built(header) + options, 10) + octets


def decode(octets: bytes, family: str) -> Datagram | None:
    """Read a datagram, padding after it aside; None for a fragment and for what is malformed."""
    return _decode_ipv6(octets) if family == "ipv6" else _decode_ipv4(octets)


def quote(datagram: Datagram, octets: int = 8) -> bytes:
    """Return the IP header and the octets after it, as an ICMP error quotes them (RFC 792)."""
    whole = encode(datagram)
    header = _HEADER["ipv6"] if datagram.family == "ipv6" else 4 * (whole[0] & 0xF)
    return whole[: header + octets]


def encode_frame(source_mac: str, destination_mac: str, datagram: Datagram) -> bytes:
    """Return the octets of an Ethernet frame without its check sequence."""
    return _ethernet(source_mac, destination_mac, datagram.family) + encode(datagram)


@functools.lru_cache(maxsize=1024)
def _ethernet(source_mac: str, destination_mac: str, family: str) -> bytes:
    """Return the octets of an Ethernet header."""
    kind = next(number for number, name in _TYPES.items() if name == family)
    ends = (bytes.fromhex(mac.replace(":", "")) for mac in (destination_mac, source_mac))
    return b"".join(ends) + kind.to_bytes(2)


# Both ends of a link read each frame, and a link in memory has both of them here.
@functools.lru_cache(maxsize=256)
def decode_frame(octets: bytes) -> EthernetFrame | None:
    """Read an Ethernet frame; None when it is shorter than an Ethernet header."""
    if len(octets) < _ETHERNET_HEADER:
        return None
    # By hand: Scapy takes a small type for a length, and makes another layer of it.
    destination_mac, source_mac = octets[:6].hex(":"), octets[6:12].hex(":")
    kind = int.from_bytes(octets[12:_ETHERNET_HEADER])
    rest = octets[_ETHERNET_HEADER:]
    content: Datagram | ArpRequest | NeighbourSolicitation | None = None
    if kind == _ARP_TYPE:
        content = _decode_arp_request(rest)
    elif kind in _TYPES:
        content = decode(rest, _TYPES[kind])
        if content is not None and content.icmp is not None:
            content = _neighbour_solicitation(content, content.icmp, source_mac) or content
    return EthernetFrame(source_mac, destination_mac, content)


def encode_arp_reply(request: ArpRequest, mac: str) -> bytes:
    """Return the frame that says that `mac` has the address which was asked for (RFC 826)."""
    reply = ARP(
        op=2,
        hwsrc=mac,
        psrc=request.target_address,
        hwdst=request.sender_mac,
        pdst=request.sender_address,
    )
    return bytes(Ether(src=mac, dst=request.sender_mac, type=_ARP_TYPE)) + bytes(reply)


def encode_neighbour_advertisement(solicitation: NeighbourSolicitation, mac: str) -> bytes:
    """Return the frame that says that `mac` has the address (RFC 4861 section 4.4)."""
    everyone = ipaddress.ip_address(solicitation.sender_address).is_unspecified
    target = ipaddress.ip_address(solicitation.target_address).packed
    advertisement = IcmpMessage(
        type=_ADVERTISEMENT,
        code=0,
        quoted=target + b"\x02\x01" + bytes.fromhex(mac.replace(":", "")),
        rest=_OVERRIDE if everyone else _SOLICITED | _OVERRIDE,
    )
    destination = _BROADCAST_HOSTS if everyone else solicitation.sender_address
    destination_mac = _BROADCAST_HOSTS_MAC if everyone else solicitation.sender_mac
    answer = Datagram(solicitation.target_address, destination, advertisement, ttl=255)
    return encode_frame(mac, destination_mac, answer)


def is_scapy_layer(value: object) -> bool:
    """Tell whether the value is a layer that was made with Scapy."""
    return isinstance(value, Packet)


def from_scapy(layer: object) -> Segment:
    """Return the segment that a TCP layer and its payload make; ports not given are 0.

    UsageError for any other layer, as the addresses are the connection's.
    """
    if not isinstance(layer, TCP):
        name = type(layer).__name__
        raise UsageError(f"{name} is not a TCP layer: send a TCP layer, without IP below it")
    octets = bytes(layer)
    segment = _read_header(octets)
    end = 4 * (octets[12] >> 4)
    if _TCP_HEADER <= end <= len(octets):
        options, payload, offset = decode_options(octets[_TCP_HEADER:end]), octets[end:], None
    else:
        options, payload, offset = (), octets[_TCP_HEADER:], octets[12] >> 4
    return dataclasses.replace(
        segment,
        source_port=segment.source_port if "sport" in layer.fields else 0,
        destination_port=segment.destination_port if "dport" in layer.fields else 0,
        options=options,
        payload=payload,
        checksum=segment.checksum if layer.fields.get("chksum") is not None else None,
        data_offset=offset,
    )


def _encode_content(datagram: Datagram) -> tuple[int, bytes]:
    """Return protocol number and octets of what the datagram carries, its checksum in place."""
    family = datagram.family
    protocol, octets, place = _without_checksum(datagram, family)
    if len(octets) > _LARGEST_CONTENT:
        raise UsageError(f"{len(octets)} octets: a datagram has room for {_LARGEST_CONTENT}")
    if place is None:
        return protocol, octets
    covers_addresses = protocol != _ICMP["ipv4"]
    pseudo_header = _pseudo_header(datagram, protocol, len(octets)) if covers_addresses else b""
    return protocol, _with_checksum(octets, place, pseudo_header)


def _without_checksum(datagram: Datagram, family: str) -> tuple[int, bytes, int | None]:
    """Return protocol number, octets, and where a checksum is to be put, if it is."""
    match datagram.content:
        case Segment() as segment:
            return _TCP, _encode_segment(segment), 16 if segment.checksum is None else None
        case IcmpMessage(kind, code, quoted, rest):
            return _ICMP[family], bytes((kind, code, 0, 0)) + rest.to_bytes(4) + quoted, 2
        case OtherPayload(protocol, octets):
            return protocol, octets, None


def _encode_segment(segment: Segment) -> bytes:
    options = encode_options(segment.options)
    offset = segment.data_offset
    words = (_TCP_HEADER + len(options)) // 4 if offset is None else offset
    header = TCP(
        sport=segment.source_port,
        dport=segment.destination_port,
        seq=segment.seq,
        ack=segment.ack,
        dataofs=words,
        reserved=segment.reserved,
        flags=int(segment.flags),
        window=segment.window,
        chksum=segment.checksum or 0,
        urgptr=segment.urgent,
    )
    return _built(header) + options + segment.payload


def _built(header: Packet) -> bytes:
    """Return the octets of one header, all of whose fields are given: nothing to be expanded."""
    octets: bytes = header.self_build()
    return octets


def _pseudo_header(datagram: Datagram, protocol: int, length: int) -> bytes:
    """Return what the checksum covers besides the segment (RFC 9293 section 3.1)."""
    addresses = _packed(datagram.source) + _packed(datagram.destination)
    if datagram.family == "ipv6":
        return addresses + length.to_bytes(4) + bytes((0, 0, 0, protocol))
    return addresses + bytes((0, protocol)) + length.to_bytes(2)


@functools.lru_cache(maxsize=1024)
def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@functools.lru_cache(maxsize=1024)
def _spelt(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


def _with_checksum(octets: bytes, place: int, pseudo_header: bytes = b"") -> bytes:
    """Put the checksum of the octets, in which it is still 0, at its place."""
    number = int(internet_checksum(pseudo_header + octets))
    return octets[:place] + number.to_bytes(2) + octets[place + 2 :]


def _decode_ipv4(octets: bytes) -> Datagram | None:
    if len(octets) < _HEADER["ipv4"] or octets[0] >> 4 != 4:
        return None
    first, tos, end, identification, fragment, ttl, protocol, _, source, destination = (
        _IPV4.unpack_from(octets)
    )
    start = 4 * (first & 0xF)
    fits = _HEADER["ipv4"] <= start <= end <= len(octets)
    if not fits or fragment & _FRAGMENT or internet_checksum(octets[:start]):
        return None
    content = OtherPayload(protocol, octets[start:end])
    envelope = Datagram(
        source=_spelt(source),
        destination=_spelt(destination),
        content=content,
        ttl=ttl,
        tos=tos,
        identification=identification,
        ip_options=octets[_HEADER["ipv4"] : start],
        dont_fragment=bool(fragment & _DONT_FRAGMENT),
    )
    return _opened(envelope, content)


def _decode_ipv6(octets: bytes) -> Datagram | None:
    if len(octets) < _HEADER["ipv6"] or octets[0] >> 4 != 6:
        return None
    first, length, protocol, ttl, source, destination = _IPV6.unpack_from(octets)
    end = _HEADER["ipv6"] + length
    if end > len(octets) or protocol == _IPV6_FRAGMENT:
        return None
    content = OtherPayload(protocol, octets[_HEADER["ipv6"] : end])
    envelope = Datagram(
        source=_spelt(source),
        destination=_spelt(destination),
        content=content,
        ttl=ttl,
        tos=first >> 20 & 0xFF,
        flow_label=first & 0xFFFFF,
    )
    return _opened(envelope, content)


def _opened(envelope: Datagram, content: OtherPayload) -> Datagram | None:
    """Read what the datagram carries, if it is TCP or ICMP; None when that is malformed."""
    protocol, octets = content.protocol, content.octets
    if protocol == _TCP:
        end = 4 * (octets[12] >> 4) if len(octets) >= _TCP_HEADER else 0
        if not _TCP_HEADER <= end <= len(octets):
            return None
        right = not internet_checksum(_pseudo_header(envelope, _TCP, len(octets)) + octets)
        segment = dataclasses.replace(
            _read_header(octets),
            options=decode_options(octets[_TCP_HEADER:end]),
            payload=octets[end:],
        )
        if right:
            segment = dataclasses.replace(segment, checksum=None)
        return dataclasses.replace(envelope, content=segment, checksum_right=right)
    if protocol == _ICMP[envelope.family]:
        if len(octets) < 8:
            return None
        covered = octets
        if envelope.family == "ipv6":
            covered = _pseudo_header(envelope, protocol, len(octets)) + octets
        message = IcmpMessage(octets[0], octets[1], octets[8:], int.from_bytes(octets[4:8]))
        right = not internet_checksum(covered)
        return dataclasses.replace(envelope, content=message, checksum_right=right)
    return envelope


def _read_header(octets: bytes) -> Segment:
    source, destination, seq, ack, bits, window, checksum, urgent = _TCP_FIELDS.unpack_from(octets)
    return Segment(
        source_port=source,
        destination_port=destination,
        seq=seq,
        ack=ack,
        flags=Flags(bits & 0x1FF),
        window=window,
        urgent=urgent,
        checksum=checksum,
        reserved=bits >> 9 & 0b111,
    )


def _decode_arp_request(octets: bytes) -> ArpRequest | None:
    # Ethernet and IPv4, addresses of 6 and 4 octets, and the operation "request".
    if len(octets) < _ARP_PACKET or octets[:8] != b"\0\1\x08\0\6\4\0\1":
        return None
    request = ARP(octets[:_ARP_PACKET])
    return ArpRequest(str(request.hwsrc), str(request.psrc), str(request.pdst))


def _neighbour_solicitation(
    datagram: Datagram, message: IcmpMessage, sender_mac: str
) -> NeighbourSolicitation | None:
    # A hop limit below 255 has come from another link (RFC 4861 section 7.1.1).
    proper = datagram.checksum_right and datagram.ttl == 255 and len(message.quoted) >= 16
    if not (proper and datagram.family == "ipv6" and message.type == _SOLICITATION):
        return None
    target = ipaddress.ip_address(message.quoted[:16])
    return NeighbourSolicitation(sender_mac, datagram.source, str(target))
