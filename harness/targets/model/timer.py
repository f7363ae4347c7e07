"""Timer: one of a connection's timers on the virtual clock, and the estimate of the round trip."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.wire.memory import Event, VirtualClock


class Timer:
    """Calls back once, unless it is stopped or started anew before."""

    def __init__(self, clock: VirtualClock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._event: Event | None = None

    @property
    def running(self) -> bool:
        """Whether it will go off."""
        return self._event is not None

    @property
    def left(self) -> float:
        """How many seconds are left; 0 when it does not run."""
        return max(0.0, self._event.time - self._clock.now()) if self._event else 0.0

    def start(self, seconds: float) -> None:
        """Go off after so many seconds from now, and not when it was to go off before."""
        self.stop()
        self._event = self._clock.at(self._clock.now() + seconds, self._expired)

    def stop(self) -> None:
        """Do not go off."""
        if self._event is not None:
            self._event.cancel()
            self._event = None

    def _expired(self) -> None:
        self._event = None
        self._callback()


@dataclass(slots=True)
class RoundTrip:
    """SRTT, RTTVAR and RTO (RFC 6298 section 2), seconds."""

    rto: float
    shortest: float
    longest: float
    smoothed: float | None = None
    variation: float = 0.0

    def measured(self, seconds: float) -> None:
        """Take a measurement of a round trip (2.2 and 2.3)."""
        if self.smoothed is None:
            self.smoothed, self.variation = seconds, seconds / 2
        else:
            self.variation = 0.75 * self.variation + 0.25 * abs(self.smoothed - seconds)
            self.smoothed = 0.875 * self.smoothed + 0.125 * seconds
        self.rto = self.bounded(self.smoothed + 4 * self.variation)

    def measured_again(self) -> None:
        """Forget that the timer was backed off: new data was acknowledged."""
        if self.smoothed is not None:
            self.rto = self.bounded(self.smoothed + 4 * self.variation)

    def back_off(self) -> None:
        """Double the RTO (5.5)."""
        self.rto = min(self.rto * 2, self.longest)

    def bounded(self, seconds: float) -> float:
        """Return an RTO within the bounds (2.4 and 2.5)."""
        return min(max(seconds, self.shortest), self.longest)
