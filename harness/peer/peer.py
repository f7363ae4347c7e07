"""Peer: the far end of one connection, as a testcase plays it."""

import contextlib
import dataclasses
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.endpoint import Endpoint
from harness.errors import Inconclusive, Unsupported
from harness.peer.bench import Bench
from harness.peer.connection import Connection, initial_sequence_number
from harness.peer.flood import Flood
from harness.peer.timeline import FROM, TOWARDS
from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.notation import parse_pattern, parse_segment, write
from harness.segment.pattern import Mismatch, Pattern
from harness.segment.problem import Problem, complain
from harness.segment.segment import Flags, Segment
from harness.segment.sequence import add
from harness.states import State
from harness.wire.clock import ROUNDING

POLL = 0.02
"""Seconds between two looks at a state table while something is waited for."""

_NO_FENCE = "the target does not answer echo requests"

PROMPT = 0.1
"""Seconds within which an immediate answer comes; a repetition after them may be a timer's."""

VOLLEY = 1 << 14
"""Disguises of a flood's segment, more than any queue of a listener is long."""

AT_ONCE = 0.25
"""Seconds in which what is sent "at once" has left: well below any limit by the second."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Segments that came one after another, and when (seconds of the link's clock)."""

    stamps: tuple[float, ...]
    segments: tuple[Segment, ...]

    @property
    def intervals(self) -> list[float]:
        """Return the seconds between each segment and the next."""
        return [later - earlier for earlier, later in itertools.pairwise(self.stamps)]

    @property
    def began(self) -> float:
        """When the first came; Inconclusive if none did."""
        if not self.stamps:
            raise Inconclusive("no segment came of those that are timed")
        return self.stamps[0]

    @property
    def newest(self) -> Segment:
        """The last segment; Inconclusive if none came."""
        if not self.segments:
            raise Inconclusive("no segment came of those that are looked at")
        return self.segments[-1]


class Peer:
    """The far end of one connection.

    Numbers are relative: 0 is the SYN of the side that sends. `send` advances the books by what was
    really sent; `expect` is strict: the next segment must fit, unless `skip` names it.
    """

    def __init__(self, bench: Bench, *, local_port: int, remote_port: int = 0) -> None:
        mine, its = bench.addresses
        self.bench = bench
        self.connection = Connection(
            Endpoint(mine, local_port), Endpoint(its, remote_port), initial_sequence_number()
        )
        self.socket: Any = None
        self.call: Any = None
        self.listener: Any = None
        self._expected = (0, 0)
        self._history: list[tuple[float, Segment]] = []
        self._sent = 0
        self._inbox: deque[tuple[float, Segment, tuple[int, int]]] = deque()
        self._datagrams: list[Datagram] = []
        self.last_stamp: float | None = None
        self.round_trip: float | None = None
        self._syn_stamp: float | None = None
        self.last_sent_stamp: float | None = None
        bench.peers.insert(0, self)

    def port(self, number: int) -> Endpoint:
        """Take this port; return the endpoint that a target may connect to, from any of its own."""
        local = self.connection.local
        self.connection.local = dataclasses.replace(local, port=number)
        self.towards(0)
        return self.connection.local

    def towards(self, port: int) -> "Peer":
        """Send to this port of the target."""
        self.connection.remote = dataclasses.replace(self.connection.remote, port=port)
        return self

    def another(self, *, local_port: int | None = None, remote_port: int | None = None) -> "Peer":
        """Return a peer for another connection on the same link."""
        taken = {peer.local.port for peer in self.bench.peers}
        fresh = local_port or next(port for port in range(40000, 60000) if port not in taken)
        there = self.connection.remote.port if remote_port is None else remote_port
        return Peer(self.bench, local_port=fresh, remote_port=there)

    @property
    def local(self) -> Endpoint:
        """The peer's own end."""
        return self.connection.local

    @property
    def remote(self) -> Endpoint:
        """The target's end; its port is 0 until it is known."""
        return self.connection.remote

    @property
    def now(self) -> float:
        """The link's clock, seconds."""
        return self.bench.station.clock.now()

    def passed(self, stamp: float, sent: bool, datagram: Datagram) -> None:
        """Take note of a segment of this connection that the capture saw."""
        segment = datagram.segment
        if segment is None:
            return
        if sent:
            self.bench.timeline.segment(stamp, TOWARDS, self._relative_own(segment))
            self.last_sent_stamp = stamp
            self._sent += 1
            began = self._syn_stamp
            if self.round_trip is None and began is not None and segment.flags & Flags.ACK:
                self.round_trip = stamp - began
            return
        if self.connection.remote.port == 0:
            self.towards(segment.source_port)
        if segment.syn:
            self._syn_stamp = stamp
        expected = self.connection.expected_seq, self.connection.expected_ack
        self.connection.received(segment)
        relative = self.connection.incoming(segment)
        self.bench.timeline.segment(stamp, FROM, relative)
        self._history.append((stamp, relative))
        self._datagrams.append(datagram)
        self._inbox.append((stamp, relative, expected))

    def _relative_own(self, segment: Segment) -> Segment:
        """Translate a segment of the peer's own from absolute to relative numbers."""
        books = self.connection
        mirrored = Connection(books.remote, books.local, books.irs or 0, books.iss)
        return mirrored.incoming(segment)

    def send(self, what: Any, **envelope: Any) -> None:
        """Send a segment: notation, a `Segment`, or a Scapy TCP layer, numbers relative.

        `envelope` overrides fields of the IP header (`ttl`, `tos`, `source` …); what the target
        sends to another source is seen too.
        """
        fields = {"source": self.local.address, "destination": self.remote.address} | envelope
        self.bench.station.answers_for(fields["source"])
        self.bench.station.send(Datagram(content=self._next_out(what), **fields))

    def send_together(self, whats: Iterable[Any], *, within: float) -> None:
        """Send segments one right after another: all are made before the first is sent.

        Inconclusive if sending them took more than so many seconds.
        """
        mine, its = self.local.address, self.remote.address
        self.bench.station.answers_for(mine)
        took = self.bench.station.send_together(
            [Datagram(mine, its, self._next_out(what)) for what in whats]
        )
        self.bench.pump()
        if took > within:
            raise Inconclusive(f"what was to be sent at once took {took:.3f} s")

    def _next_out(self, what: Any) -> Segment:
        """Return a segment with absolute numbers, and enter it in the books as sent."""
        if isinstance(what, str):
            segment = parse_segment(what)
        elif isinstance(what, Segment):
            segment = what
        else:
            segment = codec.from_scapy(what)
        absolute = self.connection.outgoing(segment)
        self.connection.sent(absolute)
        return absolute

    def flood(self, what: str, *, rate: float) -> Flood:
        """Return a flood, for a `with` block, of one segment from many forged sources.

        It flows while the testcase waits, `rate` segments a second. Its sources are on the link,
        but nobody's; the capture leaves aside what they send and what is sent to them.
        """
        mine, its = self.local, self.remote
        segment = dataclasses.replace(
            parse_segment(what), source_port=mine.port, destination_port=its.port
        )
        station = self.bench.station
        volley = station.load(Datagram(mine.address, its.address, segment), count=VOLLEY)
        return Flood(station.clock, volley, rate, self.bench.timeline)

    @contextlib.contextmanager
    def at_once(self, within: float = AT_ONCE) -> Iterator[None]:
        """Mean what is done inside to happen at once; Inconclusive if it took too long for that."""
        start = self.now
        yield
        self.bench.pump()
        if (took := self.now - start) > within:
            raise Inconclusive(f"what was to happen at once took {took:.3f} s")

    def send_icmp(
        self, problem: Problem, *, seq: int | None = None, mtu: int = 0, octets: int = 8
    ) -> None:
        """Send an ICMP error about the last segment that the target sent.

        `seq` is a relative number to be quoted instead of the right one, `mtu` what `TOO_BIG` says,
        `octets` how much is quoted after the IP header. Inconclusive if nothing was sent.
        """
        if not self.datagrams:
            raise Inconclusive("the target has sent nothing that an ICMP error could be about")
        about = self.datagrams[-1]
        if seq is not None and about.segment is not None:
            number = add(seq, self.connection.irs or 0)
            about = dataclasses.replace(
                about, content=dataclasses.replace(about.segment, seq=number)
            )
        message = complain(problem, about, mtu=mtu, octets=octets)
        self.bench.timeline.note(self.now, f"< ICMP type {message.type} code {message.code}")
        mine, its = self.bench.addresses
        self.bench.station.send(Datagram(mine, its, message))

    def expect(
        self,
        pattern: str,
        *,
        within: float = 1.0,
        skip: Sequence[str] = (),
        measure: str | None = None,
    ) -> Segment:
        """Require that the next segment fits; return it, relative.

        `within` is seconds from now. With `measure`, what came instead is itself the observation.
        Inconclusive if it does not fit: a step of the way failed.
        """
        wanted = parse_pattern(pattern)
        before = self.now
        found = self._next(before + within, skip)
        seq, ack = self._expected
        if measure is not None:
            self.bench.observed(measure, found, within)
        if found is None:
            raise Inconclusive(_nothing(wanted, within))
        if misses := wanted.mismatches(found, seq=seq, ack=ack):
            raise Inconclusive(self._instead(wanted, found, misses, before, within))
        return found

    def expect_silence(
        self, for_: float | None = None, *, skip: Sequence[str] = (), measure: str | None = None
    ) -> None:
        """Require that nothing comes for so many seconds, or behind a fence if no time is given."""
        found = self.observe(for_, skip=skip)
        within = 1.0 if for_ is None else for_
        if measure is not None:
            self.bench.observed(measure, found, within)
        if found is not None:
            raise Inconclusive(f"silence was expected, {write(found)} came")

    def observe(self, within: float | None = None, *, skip: Sequence[str] = ()) -> Segment | None:
        """Return the next segment, relative, or None if none comes within so many seconds.

        Without a time, an immediate answer is meant: what comes before a fence is answered.
        """
        return self._next(self._until(within), skip)

    def answers(self, *, skip: Sequence[str] = ()) -> list[Segment]:
        """Return all immediate answers, relative; Inconclusive if the target has no fence."""
        replied = self.bench.fence()
        if replied is None:
            raise Inconclusive(_NO_FENCE)
        prompt = self._prompt(replied)
        found = []
        while (segment := self._next(prompt, skip)) is not None:
            found.append(segment)
        return found

    def answer(self, what: Any, *, measure: str, within: float | None = None) -> Segment | None:
        """Send a segment and judge what comes back at once, silence included; return it.

        What the target sent before the segment was on the wire is no answer to it. Inconclusive if
        it repeats itself so late that this may be a timer's doing.
        """
        self.send(what)
        until = self._until(within)
        found = self._next(until, ())
        while found is not None and (self.last_stamp or 0) < (self.last_sent_stamp or 0):
            found = self._next(until, ())
        late = (self.last_stamp or 0) - (self.last_sent_stamp or 0)
        if within is None and found is not None and late > PROMPT and self._repeats(found):
            raise Inconclusive(f"{write(found)} came again {late:.3f} s later: no prompt answer")
        self.bench.observed(measure, found, 1.0 if within is None else within)
        return found

    def collect(
        self,
        pattern: str,
        *,
        until: Callable[[], bool] | float,
        skip: Sequence[str] = (),
        poll: float | None = None,
    ) -> Ladder:
        """Take segments that fit, until a condition holds or so many seconds have gone by.

        `poll` is for conditions that no event announces. Inconclusive if another segment comes, or
        if the condition does not hold within the patience of the run.
        """
        wanted = parse_pattern(pattern)
        start = self.now
        timed = isinstance(until, int | float)
        deadline = start + (float(until) if isinstance(until, int | float) else self.bench.limit)
        condition = until if callable(until) else _never
        stamps: list[float] = []
        segments: list[Segment] = []
        while True:
            done = self.bench.wait(
                lambda: self._came_by(deadline) or condition(), deadline, poll=poll
            )
            while self._came_by(deadline):
                found = self._take(skip)
                if found is None:
                    continue
                if misses := wanted.mismatches(found):
                    took = self.now - start
                    raise Inconclusive(self._instead(wanted, found, misses, start, took))
                stamps.append(self.last_stamp or 0.0)
                segments.append(found)
            if condition() or (timed and not done):
                return Ladder(tuple(stamps), tuple(segments))
            if not done:
                raise Inconclusive(f"still going on after {self.bench.limit:g} s of patience")

    def absorb(self, answer: str = ". 1:1(0) ack {}", *, burst: float = 0.1) -> int:
        """Acknowledge data until no more comes; return the most octets that were outstanding.

        It is taken in bursts of so many seconds, and each segment of a burst is then acknowledged
        with `answer`. Inconclusive if it does not end within the patience of the run.
        """
        deadline = self.now + self.bench.limit
        acknowledged, most = 1, 0
        while segments := self.collect(". *:*(*)", until=burst).segments:
            if self.now > deadline:
                raise Inconclusive(f"still going on after {self.bench.limit:g} s of patience")
            ends = [one.seq + len(one.payload) for one in segments]
            most = max(most, max(ends) - acknowledged)
            for end in ends:
                acknowledged = max(acknowledged, end)
                self.send(answer.format(acknowledged))
        return most

    def wait(self, for_: float) -> None:
        """Let so many seconds of the link's clock go by."""
        self.bench.wait(_never, self.now + for_)

    def wait_until(
        self,
        condition: Callable[[], bool],
        *,
        within: float | None = None,
        poll: float | None = POLL,
    ) -> bool:
        """Wait for a condition, `within` seconds at most; tell whether it holds."""
        limit = self.bench.limit if within is None else within
        return self.bench.wait(condition, self.now + limit, poll=poll)

    def discard(self) -> None:
        """Forget what has come and was not yet looked at."""
        self.bench.pump()
        while self._inbox:
            self._take(())

    def state(self) -> State:
        """Return the state of this connection in the target's state table (CLOSED if no row)."""
        if self.bench.state_of is None:
            raise Unsupported("this target has no state table")
        self.bench.pump()
        state = self.bench.state_of(self.remote.port, self.local)
        self.bench.timeline.note(self.now, f"the target is in {state}")
        return state

    def reaches(self, state: State, *, within: float = 1.0) -> State:
        """Return the target's state as soon as it is `state`, or the one at the end of `within`."""
        state_of = self.bench.state_of
        if state_of is None:
            raise Unsupported("this target has no state table")
        seen = State.CLOSED

        def reached() -> bool:
            nonlocal seen
            seen = state_of(self.remote.port, self.local)
            return seen is state

        self.wait_until(reached, within=within, poll=POLL / 4)
        self.bench.timeline.note(self.now, f"the target is in {seen}")
        return seen

    def history(self, pattern: str) -> Ladder:
        """Return all segments of the target that fit so far, looked at or not."""
        self.bench.pump()
        wanted = parse_pattern(pattern)
        found = [(stamp, segment) for stamp, segment in self._history if wanted.fits(segment)]
        return Ladder(tuple(stamp for stamp, _ in found), tuple(segment for _, segment in found))

    @property
    def datagrams(self) -> tuple[Datagram, ...]:
        """What the target has sent so far on this connection, complete with IP; absolute."""
        self.bench.pump()
        return tuple(self._datagrams)

    def begins_at(self, number: int) -> "Peer":
        """Take this initial sequence number; return the peer."""
        self.connection.iss = self.connection.snd_nxt = number % (1 << 32)
        return self

    def passed_segments(self) -> int:
        """Return how many segments of this connection have passed, both ways."""
        self.bench.pump()
        return len(self._history) + self._sent

    def let_connect(self, call: Any, *, within: float = 2.0) -> None:
        """Play a listening host: answer a SYN if one comes, until the call has ended."""
        self.wait_until(lambda: bool(self._inbox) or call.finished(), within=within, poll=None)
        while self._inbox:
            found = self._take(())
            if found is not None and found.syn:
                self.send("S. 0:0(0) ack 1 <mss 1460>")
        self.wait_until(call.finished, within=within, poll=None)

    def fence(self) -> None:
        """Wait until the target has dealt with all that was sent; Inconclusive if it cannot say."""
        if self.bench.fence() is None:
            raise Inconclusive(_NO_FENCE)

    def target_leaves(
        self, state: State, *, since: float | None = None
    ) -> tuple[float, float | None]:
        """Wait until the target has left the state; return bounds of how long it lasted, seconds.

        Without an upper bound it lasted longer than the run's patience.

        The time counts from `since`, or from the last segment of this connection. The state table
        is looked at every `POLL` seconds, and one look that misses the row is not believed.
        """
        state_of = self.bench.state_of
        if state_of is None:
            raise Unsupported("this target has no state table")
        self.bench.pump()
        begin = since if since is not None else max(self.last_stamp or 0, self.last_sent_stamp or 0)
        seen = [self.now, self.now]
        misses = [0]

        def gone() -> bool:
            before = self.now
            if state_of(self.remote.port, self.local) is state:
                seen[0] = before
                misses[0] = 0
                return False
            if misses[0] == 0:
                seen[1] = self.now
            misses[0] += 1
            return misses[0] > 1

        if not self.bench.wait(gone, self.now + self.bench.limit, poll=POLL):
            return seen[0] - begin, None
        self.bench.timeline.note(seen[1], f"the target has left {state}")
        return seen[0] - begin, seen[1] - begin

    def _until(self, within: float | None) -> float:
        """Return until when something is waited for: so many seconds, or behind a fence."""
        if within is not None:
            return self.now + within
        replied = self.bench.fence()
        return self.now + 0.5 if replied is None else self._prompt(replied)

    def _prompt(self, replied: float) -> float:
        """Return until when what came is prompt: looked at late, there is what timers sent."""
        return min(self.now, replied + PROMPT)

    def _next(self, deadline: float, skip: Sequence[str]) -> Segment | None:
        while True:
            if not self.bench.wait(lambda: self._came_by(deadline), deadline):
                return None
            found = self._take(skip)
            if found is not None and not self._crossed(found):
                return found

    def _came_by(self, deadline: float) -> bool:
        """Tell whether a segment is there that was in time, however late it is looked at."""
        return bool(self._inbox) and self._inbox[0][0] <= deadline + ROUNDING

    def _crossed(self, found: Segment) -> bool:
        """Tell whether a segment is a repetition that was on its way when the peer last sent.

        It says that the harness was late, and nothing of the target.
        """
        before = (self.last_stamp or 0) < (self.last_sent_stamp or 0)
        return before and self._repeats(found)

    def _repeats(self, found: Segment) -> bool:
        """Tell whether the segment last taken came before, too."""
        same = (found.flags, found.seq, found.length)
        earlier = (one for stamp, one in self._history if stamp < (self.last_stamp or 0))
        return any((one.flags, one.seq, one.length) == same for one in earlier)

    def _take(self, skip: Sequence[str]) -> Segment | None:
        stamp, relative, self._expected = self._inbox.popleft()
        self.last_stamp = stamp
        if any(parse_pattern(text).fits(relative) for text in skip):
            return None
        return relative

    def _instead(
        self,
        wanted: Pattern,
        found: Segment,
        misses: Sequence[Mismatch],
        since: float,
        within: float,
    ) -> str:
        """Say what was expected and what came nearest, on two aligned lines, and what differs."""
        at = (self.last_stamp or since) - since
        first = misses[0]
        rows = [f"  {one.field:<8} {one.expected:<12} {one.observed}" for one in misses]
        lines = [
            f"{first.field} {first.observed}, not {first.expected}",
            "",
            _expected(wanted, within),
            f"  nearest   > {write(found)}   at {at:+.3f} s",
            "",
            f"  {'field':<8} {'expected':<12} observed",
        ]
        return "\n".join([*lines, *rows])


def _nothing(wanted: Pattern, within: float) -> str:
    """Say that nothing came, on the same two lines."""
    return f"nothing came\n\n{_expected(wanted, within)}\n  nearest   > nothing"


def _expected(wanted: Pattern, within: float) -> str:
    return f"  expected  > {wanted.text}   within {within:g} s"


def _never() -> bool:
    return False
