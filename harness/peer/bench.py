"""Bench: what the peers of one testcase share."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.endpoint import Endpoint
from harness.peer.timeline import Timeline
from harness.segment.datagram import Datagram, IcmpMessage, family_of
from harness.segment.notation import write
from harness.segment.segment import Segment
from harness.states import State
from harness.wire.clock import check_patience, next_look
from harness.wire.noise import USUAL
from harness.wire.real import RealClock
from harness.wire.station import Station

_ECHO_REQUEST = {"ipv4": 8, "ipv6": 128}
_ECHO_REPLIES = (0, 129)


class Observed(Protocol):
    """Where an observation goes: to be judged against every claim about the measure."""

    def __call__(self, measure: str, observation: Segment | None, within: float) -> None:
        """Judge a segment, or None for silence over `within` seconds."""


class Member(Protocol):
    """One connection on the bench: its two ports, and where its datagrams go."""

    @property
    def local(self) -> Endpoint:
        """The peer's own end."""

    @property
    def remote(self) -> Endpoint:
        """The target's end; its port is 0 until it is known."""

    def passed(self, stamp: float, sent: bool, datagram: Datagram) -> None:
        """Take note of a segment of this connection that the capture saw."""


@dataclass(slots=True)
class Bench:
    """What the peers of one testcase share: a station, a timeline, a limit to all waiting.

    `state_of` looks a connection up in the target's state table (local port, remote endpoint);
    None where the target has no table. `limit` is the longest that anything may be waited for, s.
    """

    station: Station
    timeline: Timeline
    addresses: tuple[str, str]
    observed: Observed
    state_of: Callable[[int, Endpoint], State] | None = None
    limit: float = 300.0
    peers: list[Member] = field(default_factory=list)
    echoes: dict[int, float] = field(default_factory=dict)
    icmp: deque[tuple[float, Datagram]] = field(default_factory=deque)
    _fence: int = 0
    _quickest: float = 1.0

    def pump(self) -> bool:
        """Hand every captured datagram to its peer; tell whether there was any."""
        some = False
        while (arrival := self.station.poll()) is not None:
            some = True
            datagram = arrival.datagram
            if datagram.icmp is not None:
                self._icmp(arrival.stamp, arrival.sent, datagram)
            else:
                self._route(arrival.stamp, arrival.sent, datagram)
        return some

    def _icmp(self, stamp: float, sent: bool, datagram: Datagram) -> None:
        message = datagram.icmp
        if message is None or sent:
            return
        if message.type in _ECHO_REPLIES:
            self.echoes[message.rest] = stamp
        else:
            self.timeline.note(stamp, f"> ICMP type {message.type} code {message.code}")
            self.icmp.append((stamp, datagram))

    def _route(self, stamp: float, sent: bool, datagram: Datagram) -> None:
        segment = datagram.segment
        if segment is None:
            return
        here = segment.source_port if sent else segment.destination_port
        there = segment.destination_port if sent else segment.source_port
        for peer in self.peers:
            if peer.local.port == here and peer.remote.port in (0, there):
                peer.passed(stamp, sent, datagram)
                return
        text = f"stray {datagram.source}:{segment.source_port} > {segment.destination_port} "
        self.timeline.note(stamp, text + write(segment, brief=True))

    def wait(
        self, condition: Callable[[], bool], deadline: float, *, poll: float | None = None
    ) -> bool:
        """Wait until the condition holds or the clock has reached the deadline; tell which.

        `poll` is for conditions that no event announces: seconds between two looks. Unsupported if
        the deadline is beyond the limit, in real time.
        """
        clock = self.station.clock
        check_patience(clock, deadline, self.limit)
        while True:
            self.pump()
            if condition():
                return True
            now = clock.now()
            if now >= deadline:
                return False
            clock.wait(deadline if poll is None else min(deadline, next_look(clock, poll)))

    def fence(self) -> float | None:
        """Wait until everything that was sent has been dealt with by the target.

        An echo request behind the segments is answered after them (RFC 792). Return the stamp of
        its answer, None where the target does not answer echo requests within a second. Where an
        answer had to wait for a MAC that was asked for meanwhile, it comes before a second one.
        """
        answered = -1
        replied: float | None = None
        while answered != self.station.answered:
            answered = self.station.answered
            replied = self._echo()
            if replied is None:
                return None
        return replied

    def _echo(self) -> float | None:
        self._fence += 1
        token = 0x7C5 << 16 | self._fence
        mine, its = self.addresses
        request = _ECHO_REQUEST[family_of(mine)]
        message = IcmpMessage(type=request, code=0, rest=token, quoted=b"fence")
        clock = self.station.clock
        sent = clock.now()
        self.station.send(Datagram(mine, its, message))
        self.wait(lambda: token in self.echoes, clock.now() + 1.0)
        replied = self.echoes.get(token)
        if replied is not None:
            self._took(replied - sent)
        return replied

    def _took(self, delay: float) -> None:
        """Take note of how long an echo took: more than the quickest, and frames are late."""
        self._quickest = min(self._quickest, delay)
        clock = self.station.clock
        if isinstance(clock, RealClock) and delay - self._quickest > USUAL:
            clock.noise.held_up(clock.now(), delay - self._quickest)
