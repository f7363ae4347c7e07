"""Estimate: how long a sweep still takes, by what it has done so far."""

from collections.abc import Iterable
from dataclasses import dataclass

OVERHEAD = 0.05
"""Seconds that a cell costs beside its timers; only what it is relative to them matters."""

SOON, SHARE = 3.0, 0.02
"""Seconds, and the share of the work, before which any estimate would be a guess."""


@dataclass(slots=True)
class Estimate:
    """The work that there is, in seconds by the documents, and how much of it is done.

    `began` and `now` are any clock's seconds.
    """

    began: float
    work: float = 0.0
    done: float = 0.0
    cells: int = 0
    done_cells: int = 0

    def expect(self, seconds: Iterable[float]) -> None:
        """Add cells that are to be run, by how long each takes."""
        for one in seconds:
            self.work += one + OVERHEAD
            self.cells += 1

    def finish(self, seconds: Iterable[float]) -> None:
        """Count cells as run."""
        for one in seconds:
            self.done += one + OVERHEAD
            self.done_cells += 1

    def left(self, now: float) -> float | None:
        """Return the seconds that are left, None while nobody can tell."""
        took = now - self.began
        if took < SOON or self.done < SHARE * self.work:
            return None
        return took * (self.work - self.done) / self.done

    def text(self, now: float) -> str:
        """Say how far it is and how long it takes, no more exactly than is known."""
        head = f"[{self.done_cells}/{self.cells}] cells"
        if self.done_cells >= self.cells:
            return f"{head}, all done"
        left = self.left(now)
        if left is None:
            return f"{head}, too early to tell how long"
        return f"{head}, about {_rough(left)} left"


def _rough(seconds: float) -> str:
    """Round to what an estimate is good for: 5 s, a minute, a tenth of an hour."""
    if seconds < 100:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 100 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
