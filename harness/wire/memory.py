"""Memory: a clock that nobody waits for, and a link of two ends on it."""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.wire.link import Frame

DELAY = 0.0001
"""Seconds that a frame takes from one end of a link to the other."""


@dataclass(order=True, slots=True)
class Event:
    """Something that is to happen on a virtual clock."""

    time: float
    order: int
    callback: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """Let it not happen; does nothing when it has happened."""
        self.callback = None


class VirtualClock:
    """Time that passes only by waiting. Events happen within `wait`, in order."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._events: list[Event] = []
        self._orders = itertools.count()

    @property
    def virtual(self) -> bool:
        """Whether waiting costs no wall time: it costs none."""
        return True

    def now(self) -> float:
        """Return the time in seconds."""
        return self._now

    def at(self, time: float, callback: Callable[[], None]) -> Event:
        """Let the callback be called at that time, after all that are due before or then.

        What is due in the past happens at once in the next `wait`.
        """
        event = Event(max(time, self._now), next(self._orders), callback)
        heapq.heappush(self._events, event)
        return event

    def every(self, period: float, callback: Callable[[float], object]) -> Callable[[], None]:
        """Call `callback` with the time every `period` seconds; returns what ends it."""
        events: list[Event] = []

        def beat() -> None:
            events[:] = [self.at(self._now + period, beat)]
            callback(self._now)

        def end() -> None:
            events[0].cancel()

        events.append(self.at(self._now + period, beat))
        return end

    def wait(self, deadline: float) -> None:
        """Go to the next event and let all of that instant happen, or go to the deadline.

        An event at the deadline happens. HarnessError when nothing would ever end the wait.
        """
        self._forget_cancelled()
        if not self._events or self._events[0].time > deadline:
            if math.isinf(deadline):
                raise HarnessError("a wait without deadline on a virtual clock without events")
            self._now = max(self._now, deadline)
            return
        # Only what is due now: an event may make another for this instant, and so without end.
        self._now = self._events[0].time
        due: list[Event] = []
        while self._events and self._events[0].time <= self._now:
            due.append(heapq.heappop(self._events))
        for event in due:
            callback, event.callback = event.callback, None
            if callback is not None:
                callback()

    def quiet_until(self) -> float:
        """Return the time of the next event; nothing can happen before it."""
        self._forget_cancelled()
        return self._events[0].time if self._events else math.inf

    def _forget_cancelled(self) -> None:
        while self._events and self._events[0].callback is None:
            heapq.heappop(self._events)


class MemoryLink:
    """One end of a link in memory; `memory_pair` makes both.

    Each end captures what it sends at once, and what it gets after the delay.
    """

    def __init__(self, clock: VirtualClock, delay: float) -> None:
        self._clock = clock
        self._delay = delay
        self._captured: deque[Frame] = deque()
        self._listeners: list[Callable[[], None]] = []
        self._open = True
        self._far: MemoryLink = self

    @property
    def clock(self) -> VirtualClock:
        """The clock that both ends share."""
        return self._clock

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far: none."""
        return 0

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire; a closed end sends nothing."""
        if self._open:
            self._captured.append(Frame(self._clock.now(), sent=True, octets=octets))
            arrival = self._clock.now() + self._delay
            self._clock.at(arrival, lambda: self._far.arrive(octets))

    def poll(self) -> Frame | None:
        """Return the next captured frame of either direction, or None; never waits."""
        return self._captured.popleft() if self._captured else None

    def listen(self, callback: Callable[[], None]) -> None:
        """Have the callback called whenever a frame has arrived, for a stack that lives here."""
        self._listeners.append(callback)

    def arrive(self, octets: bytes) -> None:
        """Capture a frame from the far end now."""
        if self._open:
            self._captured.append(Frame(self._clock.now(), sent=False, octets=octets))
            for callback in self._listeners:
                callback()

    def close(self) -> None:
        """Neither send nor capture any more; a second call does nothing."""
        self._open = False

    def join(self, far: "MemoryLink") -> None:
        """Make `far` the end to which this end sends."""
        self._far = far


def memory_pair(clock: VirtualClock, *, delay: float = DELAY) -> tuple[MemoryLink, MemoryLink]:
    """Return the two ends of a link on which a frame takes `delay` seconds."""
    near, far = MemoryLink(clock, delay), MemoryLink(clock, delay)
    near.join(far)
    far.join(near)
    return near, far
