"""Observer: watches two stacks on one link without taking part."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.endpoint import Endpoint
from harness.errors import Inconclusive
from harness.peer.connection import Connection
from harness.peer.peer import Ladder
from harness.peer.timeline import FROM, TOWARDS, Timeline
from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.notation import parse_pattern
from harness.segment.segment import Flags, Segment
from harness.segment.spelling import write_flags
from harness.states import State
from harness.wire.clock import Clock, check_patience, next_look
from harness.wire.link import Link


class Addressed(Protocol):
    """Anything with an address on the link: a target."""

    @property
    def address(self) -> str:
        """Its address of the testcase's family."""


@dataclass(slots=True)
class StateLog:
    """The states that one side of a connection was seen in, by looking again and again.

    `looks` are the clock's seconds before and after each look, and what was seen. A look that
    misses a row is believed when the one beside it misses it too.
    """

    sight: Callable[[], State]
    clock: Clock
    looks: list[tuple[float, float, State]] = field(default_factory=list)

    def look(self) -> State:
        """Look once."""
        before = self.clock.now()
        state = self.sight()
        self.looks.append((before, self.clock.now(), state))
        return state

    @property
    def seen(self) -> list[State]:
        """The states in their order, each once for as long as it lasted."""
        believed = [state for _, _, state in self._believed()]
        return [state for state, _ in itertools.groupby(believed)]

    def in_state(self, state: State) -> bool:
        """Tell whether the last two looks saw this state."""
        return [seen for _, _, seen in self.looks[-2:]] == [state, state]

    def lasted(self, state: State, *, since: float | None = None) -> tuple[float, float]:
        """Return bounds of how long a state lasted, in seconds, from `since` or the first look."""
        inside = [at for at, look in enumerate(self._believed()) if look[2] is state]
        if not inside:
            raise Inconclusive(f"{state} was never seen")
        looks = self._believed()
        begin = looks[inside[0]][0] if since is None else since
        end = looks[inside[-1] + 1][1] if inside[-1] + 1 < len(looks) else self.clock.now()
        return looks[inside[-1]][0] - begin, end - begin

    def _believed(self) -> list[tuple[float, float, State]]:
        gone = State.CLOSED
        # The last look has none after it: the one before it must have missed the row too.
        following = [*self.looks[1:], *self.looks[-2:][:1]]
        return [
            look
            for look, later in zip(self.looks, following, strict=False)
            if look[2] is not gone or later[2] is gone
        ]


@dataclass(frozen=True, slots=True)
class Passed:
    """A segment that passed the link: when (clock's seconds), from which address, relative."""

    at: float
    by: str
    segment: Segment


class Observer:
    """Everything that passes between client and server, with relative numbers.

    0 is the SYN of the side that sends. In the timeline `<` goes towards the server.
    """

    def __init__(
        self, link: Link, timeline: Timeline, *, client: str, server: str, limit: float
    ) -> None:
        self._link = link
        self._timeline = timeline
        self._client, self._server = client, server
        self._limit = limit
        self._books: dict[tuple[int, int], Connection] = {}
        self._passed: list[Passed] = []
        self._logs: list[StateLog] = []

    def watch(self, sight: Callable[[], State]) -> StateLog:
        """Look at a state whenever anything is waited for, from now on."""
        log = StateLog(sight, self._link.clock)
        log.look()
        self._logs.append(log)
        return log

    @property
    def passed(self) -> tuple[Passed, ...]:
        """All segments so far, in the order of the wire."""
        self._pump()
        return tuple(self._passed)

    @property
    def now(self) -> float:
        """The link's clock, seconds."""
        return self._link.clock.now()

    def flags(self, *, since: int = 0) -> str:
        """Return the flags of the segments so far, comma-separated, `since` the first so many."""
        return ",".join(write_flags(passed.segment.flags) for passed in self.passed[since:])

    def fitting(self, pattern: str, *, by: Addressed) -> Ladder:
        """Return the segments of one side that fit, so far."""
        wanted = parse_pattern(pattern)
        found = [p for p in self.passed if p.by == by.address and wanted.fits(p.segment)]
        return Ladder(tuple(p.at for p in found), tuple(p.segment for p in found))

    def collect(
        self,
        pattern: str,
        *,
        by: Addressed,
        until: Callable[[], bool] | float,
        poll: float | None = 0.02,
    ) -> Ladder:
        """Wait for a condition, or so many seconds; return what fitted of one side by then."""
        if callable(until):
            if not self.wait_until(until, within=self._limit, poll=poll):
                raise Inconclusive(f"still going on after {self._limit:g} s of patience")
        else:
            self.wait_until(lambda: False, within=until, poll=poll)
        return self.fitting(pattern, by=by)

    def expect(
        self,
        pattern: str,
        *,
        by: Addressed,
        within: float = 1.0,
        since: int = 0,
    ) -> Passed:
        """Wait for a segment of one side that fits, the first of `passed[since:]`.

        Inconclusive if none passes.
        """
        wanted = parse_pattern(pattern)

        def first() -> Passed | None:
            later = itertools.islice(self._passed, since, None)
            fit = (p for p in later if p.by == by.address and wanted.fits(p.segment))
            return next(fit, None)

        self.wait_until(lambda: first() is not None, within=within, poll=None)
        found = first()
        if found is None:
            raise Inconclusive(f"{pattern} did not pass within {within:g} s")
        return found

    def after(self, at: float, *, by: Addressed) -> Segment | None:
        """Return the first segment that one side sent after an instant, or None so far."""
        later = (p.segment for p in self.passed if p.by == by.address and p.at > at)
        return next(later, None)

    def wait(self, for_: float) -> None:
        """Let so many seconds of the link's clock go by."""
        self.wait_until(lambda: False, within=for_, poll=None)

    def wait_until(
        self,
        condition: Callable[[], bool],
        *,
        within: float | None = None,
        poll: float | None = 0.02,
    ) -> bool:
        """Wait for a condition, `within` seconds at most; tell whether it holds.

        Unsupported if that is beyond the limit, in real time.
        """
        clock = self._link.clock
        deadline = clock.now() + (self._limit if within is None else within)
        check_patience(clock, deadline, self._limit)
        while True:
            self._pump()
            for log in self._logs:
                log.look()
            if condition():
                return True
            now = clock.now()
            if now >= deadline:
                return False
            clock.wait(deadline if poll is None else min(deadline, next_look(clock, poll)))

    def _pump(self) -> None:
        while (frame := self._link.poll()) is not None:
            decoded = codec.decode_frame(frame.octets)
            content = decoded.content if decoded else None
            if isinstance(content, Datagram) and content.segment is not None:
                self._take(frame.stamp, content.source, content.segment)

    def _take(self, stamp: float, source: str, segment: Segment) -> None:
        by_client = source == self._client
        here = segment.source_port if by_client else segment.destination_port
        there = segment.destination_port if by_client else segment.source_port
        books = self._books.setdefault(
            (here, there),
            Connection(Endpoint(self._client, here), Endpoint(self._server, there), 0),
        )
        if by_client:
            if segment.flags & Flags.SYN and segment.seq != books.iss:
                books.iss = books.snd_nxt = segment.seq
                books.reopened = books.irs is not None
            books.sent(segment)
            mirrored = Connection(books.remote, books.local, books.irs or 0, books.iss)
            relative = mirrored.incoming(segment)
        else:
            books.received(segment)
            relative = books.incoming(segment)
        self._passed.append(Passed(stamp, source, relative))
        self._timeline.segment(stamp, TOWARDS if by_client else FROM, relative)
