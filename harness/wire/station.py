"""Station: the peer's host on a link, with no kernel's address behind it."""

import ipaddress
import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.segment import codec
from harness.segment.datagram import ArpRequest, Datagram, NeighbourSolicitation
from harness.segment.forgery import forge
from harness.wire.clock import Clock
from harness.wire.link import Frame, Link
from harness.wire.volley import Volley, load

FORGED = {
    "ipv4": ipaddress.ip_network("198.51.100.128/26"),
    "ipv6": ipaddress.ip_network("2001:db8::f00d:0/122"),
}
"""The sources of floods: on the link, but nobody's; 64 of them in either family."""

_NEIGHBOUR_DISCOVERY = range(133, 138)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One datagram with TCP or ICMP as it passed the link; stamp and direction are the frame's."""

    stamp: float
    sent: bool
    datagram: Datagram


class Station:
    """A host that sends and sees datagrams, and answers for its addresses while it is polled.

    Without `target_mac` the target's is learned from the first frame that it sends. `answered`
    counts the requests for a MAC that were answered.
    """

    def __init__(
        self, link: Link, mac: str, addresses: Iterable[str], *, target_mac: str | None = None
    ) -> None:
        self._link = link
        self._mac = mac
        self._addresses: set[str] = set()
        self._target_mac = target_mac
        self.answered = 0
        for address in addresses:
            self.answers_for(address)

    @property
    def clock(self) -> Clock:
        """The clock of the link."""
        return self._link.clock

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far."""
        return self._link.lost

    def answers_for(self, address: str) -> None:
        """Answer for this address too, and see what the target sends to it."""
        self._addresses.add(str(ipaddress.ip_address(address)))

    def send(self, datagram: Datagram, *, destination_mac: str | None = None) -> None:
        """Put a datagram on the wire as it is, from whatever address, to the target's MAC.

        HarnessError when no MAC is given and none was learned yet.
        """
        mac = destination_mac or self._destination()
        self._link.send(codec.encode_frame(self._mac, mac, datagram))

    def send_together(self, datagrams: Iterable[Datagram]) -> float:
        """Put datagrams on the wire, made before the first goes; return in how many seconds."""
        mac = self._destination()
        frames = [codec.encode_frame(self._mac, mac, datagram) for datagram in datagrams]
        began = self.clock.now()
        for frame in frames:
            self._link.send(frame)
        return self.clock.now() - began

    def load(self, datagram: Datagram, *, count: int) -> Volley:
        """Make ready to send a segment in so many disguises, from forged sources.

        Requests for the MAC of the sources are answered, what the target sends to them is not seen.
        HarnessError when the target's MAC was not learned yet.
        """
        for source in FORGED[datagram.family]:
            self.answers_for(str(source))
        sources = FORGED[datagram.family]
        frames = forge(datagram, self._mac, self._destination(), sources)
        return load(self._link, list(itertools.islice(frames, count)), [sources])

    def _destination(self) -> str:
        if self._target_mac is None:
            raise HarnessError("no frame of the target has been seen: its MAC is not known")
        return self._target_mac

    def poll(self) -> Arrival | None:
        """Return the next TCP or ICMP that the harness sent, or that came for these addresses.

        Never waits. Requests for the MAC of these addresses are answered on the way; all else is
        skipped, fragments and what is malformed too.
        """
        while (frame := self._link.poll()) is not None:
            datagram = self._datagram(frame)
            if datagram is not None:
                return Arrival(frame.stamp, frame.sent, datagram)
        return None

    def _datagram(self, frame: Frame) -> Datagram | None:
        ethernet = codec.decode_frame(frame.octets)
        if ethernet is None:
            return None
        if not frame.sent and self._target_mac is None:
            self._target_mac = ethernet.source_mac
        match ethernet.content:
            case Datagram() as datagram if _shown(datagram):
                return datagram if frame.sent or datagram.destination in self._addresses else None
            case ArpRequest() | NeighbourSolicitation() as request if not frame.sent:
                self._answer(request)
        return None

    def _answer(self, request: ArpRequest | NeighbourSolicitation) -> None:
        if request.target_address not in self._addresses:
            return
        self.answered += 1
        if isinstance(request, ArpRequest):
            self._link.send(codec.encode_arp_reply(request, self._mac))
        else:
            self._link.send(codec.encode_neighbour_advertisement(request, self._mac))


def _shown(datagram: Datagram) -> bool:
    """Tell whether the datagram carries TCP, or ICMP that is not about neighbours."""
    if datagram.icmp is None:
        return datagram.segment is not None
    return datagram.family == "ipv4" or datagram.icmp.type not in _NEIGHBOUR_DISCOVERY
