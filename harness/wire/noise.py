"""Noise: how late this machine delivers, measured while a testcase runs."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

# Ten minutes of heartbeats every 50 ms at least; older samples only live on in `worst`.
_KEPT = 12_000

_NOTABLE = 0.001

WINDOW = 0.2
"""Seconds in which small delays add up: the shortest time-out that a stack may have."""

USUAL = 0.02
"""Seconds that a call of an agent or an echo takes, at most, where nothing is held up."""

AROUND = 0.06
"""Seconds before and after a stamp in which what was late may have made it late: more than lies
between two heartbeats."""


@dataclass(slots=True)
class NoiseMeter:
    """Lateness of heartbeats and delay of captured frames, in seconds on the link's clock.

    `worst` is the largest lateness of a heartbeat since the last reset, or the longest that the
    harness was held up; `worst_delivery` the largest time from a frame's stamp until the harness
    had it in hand; `worst_sum` the most that it was held up, all in all, within `WINDOW`.
    """

    worst: float = 0.0
    worst_delivery: float = 0.0
    worst_sum: float = 0.0
    _samples: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _delays: deque[tuple[float, float]] = field(default_factory=deque)
    _sum: float = 0.0

    def reset(self) -> None:
        """Forget everything: a new measurement begins."""
        self.worst = 0.0
        self.worst_delivery = 0.0
        self.worst_sum = 0.0
        self._samples.clear()
        self._delays.clear()
        self._sum = 0.0

    def heartbeat(self, at: float, lateness: float) -> None:
        """Record that what was intended for `at` came `lateness` seconds after it."""
        lateness = max(0.0, lateness)
        self.worst = max(self.worst, lateness)
        self._samples.append((at, lateness))

    def held_up(self, at: float, delay: float) -> None:
        """Record that the harness, or an agent, was kept from running for so long until `at`."""
        if delay < _NOTABLE:
            return
        self.worst = max(self.worst, delay)
        self._samples.append((at - delay, delay))
        self._delays.append((at, delay))
        self._sum += delay
        while self._delays[0][0] < at - WINDOW:
            self._sum -= self._delays.popleft()[1]
        self.worst_sum = max(self.worst_sum, self._sum)

    def delivery(self, delay: float) -> None:
        """Record that a frame was in hand `delay` seconds after its stamp."""
        self.worst_delivery = max(self.worst_delivery, delay)

    def samples(self) -> Iterator[tuple[float, float]]:
        """Give (time, lateness) of the heartbeats and delays that are still kept, oldest first.

        The time of a heartbeat is the intended one, that of a delay when it began.
        """
        return iter(tuple(self._samples))

    def worst_around(self, stamps: Sequence[float]) -> float:
        """Return the largest lateness at any of some instants, or just before or after."""
        return max(
            (
                late
                for at, late in self._samples
                if any(at - AROUND <= stamp <= at + late + AROUND for stamp in stamps)
            ),
            default=0.0,
        )
