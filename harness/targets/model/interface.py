"""Interface: a host's end of the link: frames, neighbours, ICMP, and the filter."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.segment import codec
from harness.segment.datagram import ArpRequest, Datagram, IcmpMessage, NeighbourSolicitation
from harness.targets.model import icmp
from harness.targets.model.filter import Filter
from harness.targets.model.stack import Stack
from harness.wire.memory import MemoryLink

_ECHO = {"ipv4": (8, 0), "ipv6": (128, 129)}
_MULTICAST_MAC = "33:33:"
_BROADCAST_MAC = "ff:ff:ff:ff:ff:ff"
SOURCE_ROUTES = (b"\x83", b"\x89")


@dataclass(slots=True, eq=False)
class Interface:
    """One interface: its MAC, its addresses by family, and the MACs of neighbours by address."""

    link: MemoryLink
    mac: str
    addresses: Mapping[str, str]
    neighbours: dict[str, str]
    filters: dict[str, Filter] = field(default_factory=lambda: {"ipv4": Filter(), "ipv6": Filter()})
    up: bool = True
    _stack: Stack | None = None

    def attach(self, stack: Stack) -> None:
        """Hand what arrives to a stack from now on."""
        self._stack = stack
        self.link.listen(self._arrived)

    def send(self, datagram: Datagram) -> None:
        """Send a datagram to a neighbour, unless a rule drops it."""
        if not self.up or self.filters[datagram.family].drops("OUTPUT", datagram):
            return
        mac = self.neighbours.get(datagram.destination)
        if mac is not None:
            self.link.send(codec.encode_frame(self.mac, mac, datagram))

    def _arrived(self) -> None:
        while (frame := self.link.poll()) is not None:
            if frame.sent or not self.up:
                continue
            ethernet = codec.decode_frame(frame.octets)
            if ethernet is None or not self._mine(ethernet.destination_mac):
                continue
            match ethernet.content:
                case Datagram() as datagram:
                    self.neighbours.setdefault(datagram.source, ethernet.source_mac)
                    self._datagram(datagram)
                case ArpRequest() as request if request.target_address in self._own:
                    self.link.send(codec.encode_arp_reply(request, self.mac))
                case NeighbourSolicitation() as request if request.target_address in self._own:
                    self.link.send(codec.encode_neighbour_advertisement(request, self.mac))
                case _:
                    pass

    @property
    def _own(self) -> set[str]:
        return set(self.addresses.values())

    def _mine(self, mac: str) -> bool:
        return mac in (self.mac, _BROADCAST_MAC) or mac.startswith(_MULTICAST_MAC)

    def _datagram(self, datagram: Datagram) -> None:
        assert self._stack is not None
        if datagram.destination not in self._own:
            return
        if self.filters[datagram.family].drops("INPUT", datagram):
            return
        if self._stack.parameters.ip_options_returned and datagram.ip_options[:1] in SOURCE_ROUTES:
            return
        if datagram.segment is not None:
            self._stack.receive(datagram)
        elif datagram.icmp is not None and datagram.checksum_right:
            self._icmp(datagram, datagram.icmp)

    def _icmp(self, datagram: Datagram, message: IcmpMessage) -> None:
        request, reply = _ECHO[datagram.family]
        if message.type == request:
            answer = IcmpMessage(reply, 0, message.quoted, message.rest)
            self.send(Datagram(datagram.destination, datagram.source, answer))
        elif self._stack is not None:
            icmp.arrives(self._stack, datagram.family, message)
            self._stack.changed()
