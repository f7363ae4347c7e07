"""Axis: seconds along a picture's width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness.documents.expectation import number

_STEPS = (1.0, 2.0, 5.0)
_LABEL = 46
"""Pixels that a label needs."""

_WIDE = 15.0
"""So many times the shortest time is the longest one before the axis is compressed."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Seconds from 0 to `longest`, between two pixels; `compressed` makes room for short times."""

    left: float
    right: float
    longest: float
    compressed: bool

    @classmethod
    def over(cls, times: Iterable[float], *, left: float, right: float) -> "Axis":
        """Return an axis that shows all of some times, in seconds."""
        positive = sorted(time for time in times if 0 < time < math.inf)
        if not positive:
            return cls(left, right, 1.0, compressed=False)
        longest = positive[-1]
        return cls(left, right, longest * 1.04, compressed=longest > _WIDE * positive[0])

    def x(self, seconds: float) -> float:
        """Return where an instant lies; what is beyond an end lies on it."""
        share = min(max(seconds / self.longest, 0.0), 1.0)
        if self.compressed:
            share = math.sqrt(share)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[tuple[float, str]]:
        """Return pixels and words of round times that have room beside each other."""
        found = [(self.left, "0")]
        for seconds in self._round():
            x = self.x(seconds)
            if seconds <= self.longest and x - found[-1][0] >= _LABEL:
                found.append((x, number(seconds)))
        return found

    def _round(self) -> list[float]:
        if not self.compressed:
            rough = self.longest * _LABEL * 1.4 / (self.right - self.left)
            power = 10 ** math.floor(math.log10(rough))
            step = next((s * power for s in _STEPS if s * power >= rough), 10 * power)
            return [step * place for place in range(1, int(self.longest / step) + 1)]
        low = math.floor(math.log10(self.longest)) - 3
        return [s * 10.0**power for power in range(low, low + 5) for s in _STEPS]
