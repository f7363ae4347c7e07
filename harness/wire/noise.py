"""Noise: how late this machine delivers, measured while a testcase runs."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

# Ten minutes of heartbeats every 50 ms; older samples only live on in `worst`.
_KEPT = 12_000


@dataclass(slots=True)
class NoiseMeter:
    """Lateness of heartbeats and delay of captured frames, in seconds on the link's clock.

    `worst` is the largest lateness of a heartbeat since the last reset, or the longest that the
    harness was held up; `worst_delivery` the largest time from a frame's stamp until the harness
    had it in hand.
    """

    worst: float = 0.0
    worst_delivery: float = 0.0
    _samples: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def reset(self) -> None:
        """Forget everything: a new measurement begins."""
        self.worst = 0.0
        self.worst_delivery = 0.0
        self._samples.clear()

    def heartbeat(self, at: float, lateness: float) -> None:
        """Record that what was intended for `at` came `lateness` seconds after it."""
        lateness = max(0.0, lateness)
        self.worst = max(self.worst, lateness)
        self._samples.append((at, lateness))

    def held_up(self, delay: float) -> None:
        """Record that the harness was kept from running for so long while it did not wait."""
        self.worst = max(self.worst, delay)

    def delivery(self, delay: float) -> None:
        """Record that a frame was in hand `delay` seconds after its stamp."""
        self.worst_delivery = max(self.worst_delivery, delay)

    def samples(self) -> Iterator[tuple[float, float]]:
        """Give (time, lateness) of the heartbeats that are still kept, oldest first."""
        return iter(tuple(self._samples))

    def worst_between(self, begin: float, end: float) -> float:
        """Return the largest lateness of a heartbeat intended from `begin` to `end`."""
        return max((late for at, late in self._samples if begin <= at <= end), default=0.0)
