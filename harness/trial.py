"""Trial: one testcase on one target, with everything that it may ask for."""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.documents.computed import ROUND_TRIP
from harness.endpoint import Endpoint
from harness.errors import HarnessError, Inconclusive
from harness.judgement.conclusion import Conclusion
from harness.judgement.judge import Judge
from harness.peer.bench import Bench
from harness.peer.observer import Observer
from harness.peer.peer import Peer
from harness.peer.timeline import Timeline
from harness.sabotage import Sabotage, heard, spoiled_host, spoiled_link
from harness.segment.segment import Segment
from harness.states import State
from harness.targets.driver import Capability, Driver, Facts, Place, World
from harness.targets.target import Target
from harness.targets.walk import LISTENING_PORT, Walk
from harness.wire.link import Link
from harness.wire.pcap import PcapWriter, Recorded
from harness.wire.real import RealClock
from harness.wire.station import Station

PEER_PORT = 40017
"""The peer's port while no testcase asks for another."""

PEER = Place("02:00:00:00:00:01", {"ipv4": "198.51.100.1", "ipv6": "2001:db8::1"})
"""Where the peer is on a link of our own."""

TOLD = 40
"""Events of the timeline that a failure shows at most."""


@dataclass(slots=True)
class Trial:
    """Builds, on demand, what a testcase's fixtures return, and gives it all back in `close`.

    `knobs` are the values that the testcase asks for, `limit` is the longest wait in seconds,
    `capture` the file that everything on the link goes to.
    """

    driver: Driver
    facts: Facts
    family: str
    judge: Judge
    capture: Path
    limit: float
    knobs: Mapping[str, float] = field(default_factory=dict)
    sabotage: Sequence[Sabotage] = ()
    fixed: frozenset[str] = frozenset()
    timeline: Timeline = field(default_factory=Timeline)
    _world: World | None = None
    _began: float = 0.0
    _unheard: Mapping[str, float] = field(default_factory=dict)
    _link: Link | None = None
    _pair: bool = False
    _port: int = LISTENING_PORT
    _complete: bool = False
    _targets: list[Target] = field(default_factory=list)
    _peer: Peer | None = None
    _observer: Observer | None = None

    def __post_init__(self) -> None:
        self.judge.knobs = self._effective
        self.judge.noise = self._noise
        self.judge.lost = self._lost

    @property
    def target(self) -> Target:
        """The stack under test, alone on its link."""
        self._open(pair=False)
        return self._targets[0]

    @property
    def client(self) -> Target:
        """The first of two stacks that meet on one link."""
        self._open(pair=True)
        return self._targets[0]

    @property
    def server(self) -> Target:
        """The second of two stacks that meet on one link."""
        self._open(pair=True)
        return self._targets[1]

    @property
    def peer(self) -> Peer:
        """The far end of the link."""
        if self._peer is None:
            bench = self._bench()
            self._peer = Peer(bench, local_port=PEER_PORT, remote_port=self._port)
        return self._peer

    @property
    def reach(self) -> Walk:
        """The way into any state."""
        return Walk(self.target, self.peer)

    @property
    def wire(self) -> Observer:
        """What passes between client and server."""
        link = self._open(pair=True)
        if self._observer is None:
            ends = self.client.address, self.server.address
            self._observer = Observer(
                link, self.timeline, client=ends[0], server=ends[1], limit=self.limit
            )
        return self._observer

    @property
    def passed(self) -> float | None:
        """Seconds that passed for the stack since its world was made, where time is virtual."""
        if self._world is None or not self._world.clock.virtual:
            return None
        return self._world.clock.now() - self._began

    def trouble(self) -> str | None:
        """Say why nothing that was measured can be believed, or None."""
        if self._world is None:
            return None
        if lost := self._world.link.lost:
            return f"the capture lost {lost} frames"
        if getattr(self._world.link, "stepped", False):
            return "the real-time clock was stepped"
        return None

    def conclude(self) -> Conclusion:
        """Return what the testcase comes to, and complete the capture: no more will be observed."""
        try:
            self._look()
        except Inconclusive as error:
            # A stack that has died while a call was under way.
            self.judge.distrust(str(error))
        if reason := self.trouble():
            self.judge.distrust(reason)
        self._complete = True
        if self._link is not None:
            self._link.close()
        return self.judge.conclude()

    @property
    def pair(self) -> bool:
        """Whether two stacks met, without a peer."""
        return self._pair

    def story(self) -> str:
        """Return the timeline, what the stack printed, and where the capture is, as text."""
        with contextlib.suppress(Inconclusive):
            self._look()
        lines = ["timeline, < towards the target:", *self.timeline.lines(TOLD)]
        console = self._world.console() if self._world else ""
        if console:
            lines += ["", "console:", *console.splitlines()]
        if self.judge.pcap is not None:
            lines += ["", str(self.capture)]
        return "\n".join(lines)

    def close(self) -> None:
        """End the world and the capture; a second call does nothing."""
        world, self._world = self._world, None
        link, self._link = self._link, None
        try:
            if link is not None:
                link.close()
        finally:
            if world is not None:
                world.close()

    def _open(self, *, pair: bool) -> Link:
        if self._link is not None:
            if self._pair is not pair:
                raise HarnessError("a testcase has either a peer or client and server, not both")
            return self._link
        if pair:
            self.judge.need(Capability.PAIR)
        self._pair = pair
        knobs = heard(self.knobs, self.facts.defaults, self.sabotage)
        self._unheard = {} if knobs is self.knobs else self.knobs
        self._world = world = self.driver.world(pair=pair, knobs=knobs)
        self._began = world.clock.now()
        self.capture.parent.mkdir(parents=True, exist_ok=True)
        # Captures lie in a folder of the reports, and are named from there.
        self.judge.pcap = str(Path(self.capture.parent.name, self.capture.name))
        offset = getattr(world.link, "offset", 0.0)
        recorded = Recorded(world.link, PcapWriter(self.capture.open("wb"), offset))
        self._link = link = spoiled_link(recorded, self.sabotage, watched=pair)
        names = ("client: ", "server: ") if pair else ("",)
        self._targets = [
            Target(
                spoiled_host(host, self.sabotage, world.clock),
                self.facts,
                world.clock,
                self.family,
                on_event=functools.partial(self._note, who),
                fixed=self.fixed,
                on_listen=self._listens,
            )
            for who, host in zip(names, world.hosts, strict=True)
        ]
        self._begin_observing()
        return link

    def _note(self, who: str, at: float, text: str) -> None:
        self.timeline.note(at, who + text)

    def _listens(self, port: int) -> None:
        """Have the peer send to the port at which something listens."""
        self._port = port
        if self._peer is not None:
            self._peer.towards(port)

    def _bench(self) -> Bench:
        target = self.target
        assert self._link is not None
        assert self._world is not None
        host = self._world.hosts[0]
        place: Place = getattr(self._world, "peer", PEER)
        station = Station(self._link, place.mac, place.addresses.values(), target_mac=host.mac)
        has_table = Capability.STATE_TABLE in self.facts.capabilities

        def state_of(local_port: int, remote: Endpoint) -> State:
            return target.state(local_port=local_port, remote=remote)

        bench = Bench(
            station=station,
            timeline=self.timeline,
            addresses=(place.addresses[self.family], host.addresses[self.family]),
            observed=self._observed,
            state_of=state_of if has_table else None,
            limit=self.limit,
        )
        # Now the stack knows the peer's MAC: no first segment has to wait for an answer of ours,
        # which would make the first interval of a ladder look too short.
        bench.fence()
        self._begin_observing()
        return bench

    def _observed(self, measure: str, observation: Segment | None, within: float) -> None:
        self.judge(measure).judge(observation, within=within)

    def _effective(self) -> Mapping[str, float]:
        """Return all that computed expectations depend on: knobs in force, and the round trip."""
        if not self._targets:
            return self.facts.effective
        round_trip = self._peer.round_trip if self._peer else None
        try:
            knobs = self._targets[0].effective
        except (HarnessError, Inconclusive):
            # Who has ended cannot be asked, but what is not judged is still written down.
            knobs = self.facts.effective
        # A stack that is made not to hear what it is told is judged by that all the same.
        return {**knobs, **self._unheard, ROUND_TRIP: round_trip or 0.0}

    def _begin_observing(self) -> None:
        """Leave out of the noise how late anything was while the world was made."""
        clock = self._world.clock if self._world else None
        if isinstance(clock, RealClock):
            clock.forget_noise()

    def _noise(self, stamps: Sequence[float]) -> float | None:
        clock = self._world.clock if self._world else None
        if not isinstance(clock, RealClock):
            return None
        if stamps:
            return clock.noise.worst_around(stamps)
        return max(clock.noise.worst, clock.noise.worst_delivery)

    def _lost(self) -> float | None:
        clock = self._world.clock if self._world else None
        return clock.noise.worst_sum if isinstance(clock, RealClock) else None

    def _look(self) -> None:
        """Take what has come in, so that the timeline is complete."""
        if self._world is None:
            return
        for target in self._targets:
            target.settle()
        if self._link is None or self._complete:
            return
        if self._peer is not None:
            self._peer.bench.pump()
        if self._observer is not None:
            _ = self._observer.passed
