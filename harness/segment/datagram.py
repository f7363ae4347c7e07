"""Datagram: what an Ethernet frame carries, as values."""

import functools
import ipaddress
from dataclasses import dataclass

from harness.errors import UsageError
from harness.segment.segment import Segment


@dataclass(frozen=True, slots=True)
class IcmpMessage:
    """One ICMPv4 or ICMPv6 message; which of the two, the addresses of its datagram say.

    `rest` is the second word of the header (the MTU of "fragmentation needed" is in it), `quoted`
    is all that follows: of an error, the datagram that it is about, cut.
    """

    type: int
    code: int
    quoted: bytes = b""
    rest: int = 0


@dataclass(frozen=True, slots=True)
class OtherPayload:
    """What a datagram of another protocol carries."""

    protocol: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class Datagram:
    """One IPv4 or IPv6 datagram, not a fragment.

    `tos` is the traffic class of IPv6, `ttl` its hop limit. `identification`, `dont_fragment` and
    `ip_options` (octets, padded to a word when sent) are IPv4's, `flow_label` is IPv6's.
    `checksum_right` tells of a received TCP or ICMP checksum; what is sent has the right one, or
    that of `Segment.checksum`.
    """

    source: str
    destination: str
    content: Segment | IcmpMessage | OtherPayload
    ttl: int = 64
    tos: int = 0
    identification: int = 0
    ip_options: bytes = b""
    dont_fragment: bool = False
    flow_label: int = 0
    checksum_right: bool = True

    @property
    def family(self) -> str:
        """`ipv4` or `ipv6`; UsageError when an address is none, or they are not of one family."""
        family = family_of(self.source)
        if family_of(self.destination) != family:
            raise UsageError(
                f"{self.source} cannot send to {self.destination}: give addresses of one family"
            )
        return family

    @property
    def segment(self) -> Segment | None:
        """The TCP segment, if that is what the datagram carries."""
        return self.content if isinstance(self.content, Segment) else None

    @property
    def icmp(self) -> IcmpMessage | None:
        """The ICMP message, if that is what the datagram carries."""
        return self.content if isinstance(self.content, IcmpMessage) else None


@dataclass(frozen=True, slots=True)
class ArpRequest:
    """Who has `target_address`? (RFC 826)."""

    sender_mac: str
    sender_address: str
    target_address: str


@dataclass(frozen=True, slots=True)
class NeighbourSolicitation:
    """Who has `target_address`? (RFC 4861); from `::` it looks for a duplicate address."""

    sender_mac: str
    sender_address: str
    target_address: str


@dataclass(frozen=True, slots=True)
class EthernetFrame:
    """One Ethernet frame; content is None where it is nothing that the harness understands."""

    source_mac: str
    destination_mac: str
    content: Datagram | ArpRequest | NeighbourSolicitation | None


@functools.lru_cache(maxsize=256)
def family_of(address: str) -> str:
    """Return `ipv4` or `ipv6`; UsageError when the text is no address."""
    try:
        return f"ipv{ipaddress.ip_address(address).version}"
    except ValueError:
        raise UsageError(f"{address!r} is no IP address: give one like 198.51.100.2") from None
