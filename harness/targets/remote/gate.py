"""Gate: a link that lets through only what passes between a stack and the harness's peer.

The link belongs to the user. Nothing leaves for any other machine, and nothing is seen of others.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import Unsupported
from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.segment import Flags, Segment
from harness.segment.sequence import MODULUS
from harness.wire.link import Frame, Link
from harness.wire.real import RealClock

_DESTINATION, _SOURCE, _TYPE = slice(0, 6), slice(6, 12), slice(12, 14)
_GROUP = 1
_LINK_LOCAL = b"\xfe\x80" + bytes(6)
_ICMPV6 = 58


def octets_of(mac: str) -> bytes:
    """Return the six octets of a MAC."""
    return bytes.fromhex(mac.replace(":", ""))


@dataclass(slots=True)
class Gate:
    """The link between `peers` (at `mac`) and `addresses` (at `far_mac`), by family.

    What a testcase wants to send to another address, or from another, raises Unsupported.
    """

    link: Link
    mac: str
    peers: Mapping[str, str]
    far_mac: str
    addresses: Mapping[str, str]
    _last: dict[tuple[str, int, str, int], Segment] = field(default_factory=dict)
    _open: bool = True

    @property
    def clock(self) -> RealClock:
        """The clock that stamps this link's frames."""
        clock = self.link.clock
        assert isinstance(clock, RealClock)
        return clock

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far."""
        return self.link.lost

    @property
    def offset(self) -> float:
        """What is added to a stamp to get seconds since 1970."""
        return float(getattr(self.link, "offset", 0.0))

    @property
    def stepped(self) -> bool:
        """Whether the realtime clock was set meanwhile."""
        return bool(getattr(self.link, "stepped", False))

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire if it is for the stack; Unsupported if not."""
        if octets[_DESTINATION] != octets_of(self.far_mac):
            raise Unsupported("on this link nothing is sent to anybody but the stack")
        if octets[_SOURCE] != octets_of(self.mac) or not self._allowed(octets):
            raise Unsupported(
                "on this link nothing is sent but from the peer's address to the stack's"
            )
        self.link.send(octets)

    def poll(self) -> Frame | None:
        """Return the next frame of these two, in the order of the wire; None if there is none."""
        while (frame := self.link.poll()) is not None:
            mine = octets_of(self.mac)
            source, destination = frame.octets[_SOURCE], frame.octets[_DESTINATION]
            if frame.sent:
                if source == mine:
                    return frame
            elif source == octets_of(self.far_mac) and (
                destination == mine or destination[0] & _GROUP
            ):
                self._note(frame.octets)
                return frame
        return None

    def close(self) -> None:
        """Reset what is left of connections and close the link; again does nothing."""
        if self._open:
            self._open = False
            try:
                self._bury()
            finally:
                self.link.close()

    def _bury(self) -> None:
        """Reset every connection of the peer's, as far as the stack has told where it is."""
        while self.poll() is not None:
            pass
        for (source, source_port, destination, port), last in self._last.items():
            reset = Segment(
                source_port=port,
                destination_port=source_port,
                seq=last.ack,
                ack=(last.seq + last.length) % MODULUS,
                flags=Flags.RST | Flags.ACK,
                window=0,
            )
            datagram = Datagram(destination, source, reset)
            self.link.send(codec.encode_frame(self.mac, self.far_mac, datagram))
        self._last.clear()

    def _allowed(self, octets: bytes) -> bool:
        """Tell whether a frame is from the peer's address, and to the stack's."""
        match octets[_TYPE]:
            case b"\x08\x06":
                # The sender's address of ARP for IPv4 over Ethernet (RFC 826).
                return octets[28:32] == _packed(self.peers, "ipv4")
            case b"\x08\x00":
                ends = octets[26:30], octets[30:34]
                return ends == (_packed(self.peers, "ipv4"), _packed(self.addresses, "ipv4"))
            case b"\x86\xdd":
                source, destination = octets[22:38], octets[38:54]
                its = destination == _packed(self.addresses, "ipv6")
                # A stack may ask for the peer's MAC from its link-local address.
                near = destination[:8] == _LINK_LOCAL and octets[20] == _ICMPV6
                return source == _packed(self.peers, "ipv6") and (its or near)
        return False

    def _note(self, octets: bytes) -> None:
        """Remember the last segment of each connection, for its end."""
        frame = codec.decode_frame(octets)
        content = None if frame is None else frame.content
        if not isinstance(content, Datagram) or (segment := content.segment) is None:
            return
        if content.destination != self.peers.get(content.family):
            return
        ends = content.source, segment.source_port, content.destination, segment.destination_port
        if segment.flags & Flags.RST:
            self._last.pop(ends, None)
        else:
            self._last[ends] = segment


def _packed(addresses: Mapping[str, str], family: str) -> bytes | None:
    address = addresses.get(family)
    return None if address is None else ipaddress.ip_address(address).packed
