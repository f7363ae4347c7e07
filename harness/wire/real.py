"""Real clock: CLOCK_MONOTONIC, and waiting for descriptors."""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.wire.noise import NoiseMeter

SETTLED = 0.1
"""Seconds after anything happened in which what is looked at may still change because of it."""

# select() takes microseconds where epoll_wait() takes milliseconds, but only low descriptors.
_SELECTABLE = 1024


def held_up() -> float:
    """Return the seconds that this thread has spent ready to run while others ran.

    0 where the kernel does not count them (it does with CONFIG_SCHED_INFO).
    """
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as counts:  # noqa: PTH123 - often
            return int(counts.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def stood_still() -> float:
    """Return the seconds of the monotonic clock in which this thread has not run."""
    return time.monotonic() - time.thread_time()


@dataclass(slots=True, eq=False)
class Heartbeat:
    """Something that a clock does again and again while it waits; `due` is on that clock."""

    period: float
    callback: Callable[[float], object]
    due: float


@dataclass(slots=True)
class RealClock:
    """The machine's monotonic time; while it waits, descriptors are served and heartbeats beat.

    Heartbeats tell the noise meter how late they came. Between two waits the time counts in which
    this thread did not run, whatever kept it: other threads, the disk, the host of this machine;
    and when a wait ends, how long the thread was ready before it ran. `waiting_since` is when the
    last wait began. Not for use from two threads.
    """

    noise: NoiseMeter = field(default_factory=NoiseMeter)
    waiting_since: float = 0.0
    _epoll: select.epoll = field(default_factory=select.epoll)
    _callbacks: dict[int, Callable[[], object]] = field(default_factory=dict)
    _heartbeats: list[Heartbeat] = field(default_factory=list)
    _ready: float = field(default_factory=held_up)
    _left: float = field(default_factory=stood_still)
    _quiet: list[float] = field(default_factory=list)
    _stirred: float = 0.0

    @property
    def virtual(self) -> bool:
        """Waiting costs wall time."""
        return False

    def now(self) -> float:
        """Return CLOCK_MONOTONIC in seconds."""
        return time.monotonic()

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call `callback` whenever `descriptor` is readable while the clock waits.

        The callback must take what made it readable. Returning False says that nothing happened
        that a waiter cares for; anything else ends the wait.
        """
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed; one that is not watched is no error."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def every(self, period: float, callback: Callable[[float], object]) -> Callable[[], None]:
        """Call `callback` with its intended time every `period` seconds while the clock waits.

        Returns a function that ends it.
        """
        beat = Heartbeat(period, callback, self.now() + period)
        self._heartbeats.append(beat)

        def end() -> None:
            if beat in self._heartbeats:
                self._heartbeats.remove(beat)

        return end

    def looked(self, until: float) -> None:
        """Take note of until when something that was looked at is likely to stay as it is."""
        self._quiet.append(until)

    def quiet_until(self) -> float:
        """Return until when all is likely to stay that was looked at since the last wait.

        That is now where nothing was looked at, or where something has just happened.
        """
        now = self.now()
        settled = self._quiet and now - self._stirred > SETTLED
        return min(self._quiet) if settled else now

    def wait(self, deadline: float) -> None:
        """Return when a watched descriptor brought something, at `deadline` at the latest."""
        self.waiting_since = self.now()
        if deadline > self.waiting_since:
            self._quiet.clear()
        self.noise.held_up(self.waiting_since, stood_still() - self._left)
        self._ready = held_up()
        for beat in self._heartbeats:
            # What fell due while nobody waited is not late: the harness was busy, not held up.
            beat.due = max(beat.due, self.waiting_since)
        while True:
            self._beat()
            wake = min([deadline, *(beat.due for beat in self._heartbeats)])
            if self._serve(max(0.0, wake - self.now())) or self.now() >= deadline:
                break
        # Whatever ended the wait: a heartbeat that was due by then came late.
        self._beat()
        self._left = stood_still()

    def forget_noise(self) -> None:
        """Measure noise from now on: what was late before delays nothing that will be observed."""
        self.noise.reset()
        self._left = stood_still()

    def close(self) -> None:
        """Stop watching; a second call does nothing."""
        self._callbacks.clear()
        self._heartbeats.clear()
        self._epoll.close()

    def _beat(self) -> None:
        for beat in tuple(self._heartbeats):
            now = self.now()
            if beat.due <= now:
                due, beat.due = beat.due, now + beat.period
                self.noise.heartbeat(due, now - due)
                beat.callback(due)

    def _serve(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for descriptors; tell whether one brought something."""
        if timeout:
            if self._epoll.fileno() < _SELECTABLE:
                select.select([self._epoll], [], [], timeout)
                events = self._epoll.poll(0)
            else:
                events = self._epoll.poll(timeout)
            before, self._ready = self._ready, held_up()
            self.noise.held_up(self.now(), self._ready - before)
            return self._call(events)
        return self._call(self._epoll.poll(0))

    def _call(self, events: list[tuple[int, int]]) -> bool:
        # Every callback runs, even when an earlier one has already ended the wait.
        happened = [
            self._callbacks[descriptor]() is not False
            for descriptor, _ in events
            if descriptor in self._callbacks
        ]
        if any(happened):
            self._stirred = self.now()
            return True
        return False
