"""Forgery: very many SYNs from addresses that are nobody's, made by patching one.

A segment that goes through a library takes longer than a stack takes to answer it. So one frame is
made properly, and of every other only what differs is written: source address, port and number,
and the checksums, which are sums of 16-bit words (RFC 1071).
"""

import ipaddress
import itertools
import struct
from collections.abc import Iterator

from harness.segment import codec
from harness.segment.datagram import Datagram

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FIRST_PORT = 1024
_PORTS = (1 << 16) - FIRST_PORT
# Prime to the number of ports, so that each is taken before one comes again.
_STRIDE = 40_009
_SEQ_STRIDE = 2_654_435_761

_IP = 14
_IPV4_CHECKSUM, _IPV4_SOURCE = _IP + 10, _IP + 12
_IPV6_SOURCE = _IP + 8
_PORT, _SEQ, _CHECKSUM = 0, 4, 16


def forge(
    datagram: Datagram, source_mac: str, destination_mac: str, sources: Network
) -> Iterator[bytes]:
    """Yield frames without end, each with another source than tens of thousands before it.

    The sources differ in the last 16 bits of their address at most. The datagram carries a segment
    without payload; its source, port and number are replaced.
    """
    frame = bytearray(codec.encode_frame(source_mac, destination_mac, datagram))
    four = datagram.family == "ipv4"
    # The last word of the source is all of it that differs between the addresses.
    place = _IPV4_SOURCE + 2 if four else _IPV6_SOURCE + 14
    tcp = _IP + 4 * (frame[_IP] & 0xF) if four else _IP + 40
    network = sources.network_address.packed
    head = slice(_IPV4_SOURCE, _IPV4_SOURCE + 4) if four else slice(_IPV6_SOURCE, _IPV6_SOURCE + 16)
    old = bytes(frame[head])
    frame[head] = network
    (first,) = struct.unpack_from("!H", frame, place)
    # What the sums are without the words that will be written.
    change = _sum(network) - _sum(old) - first
    rest = change - _sum(frame[tcp : tcp + 2]) - _sum(frame[tcp + _SEQ : tcp + _SEQ + 4])
    base = -_word(frame, tcp + _CHECKSUM) + rest
    header = -_word(frame, _IPV4_CHECKSUM) + change if four else 0
    hosts = sources.num_addresses
    for number in itertools.count():
        host = first + number % hosts
        port = FIRST_PORT + number // hosts * _STRIDE % _PORTS
        seq = number * _SEQ_STRIDE % (1 << 32)
        struct.pack_into("!H", frame, place, host)
        struct.pack_into("!H", frame, tcp + _PORT, port)
        struct.pack_into("!I", frame, tcp + _SEQ, seq)
        total = base + host + port + (seq >> 16) + (seq & 0xFFFF)
        struct.pack_into("!H", frame, tcp + _CHECKSUM, _folded(total))
        if four:
            struct.pack_into("!H", frame, _IPV4_CHECKSUM, _folded(header + host))
        yield bytes(frame)


def _word(octets: bytearray, place: int) -> int:
    return int.from_bytes(octets[place : place + 2])


def _sum(octets: bytes | bytearray) -> int:
    return sum(struct.unpack(f"!{len(octets) // 2}H", octets))


def _folded(total: int) -> int:
    """Return the complement of a ones-complement sum, which is 0 only of nothing but zeros."""
    return ~(total % 0xFFFF or 0xFFFF) & 0xFFFF
