"""Precision: how late a timer may be, and how late this machine delivers."""

from dataclasses import dataclass

from harness.targets.wheel import granule

NOISE = "noise"
"""How a reason begins that says that this machine was too slow."""

EARLY = 0.002
"""Seconds that something may come before its time: two stamps differ, numbers are rounded."""

ALLOWANCE = 0.02
"""Seconds between a timer's interrupt and a stamp on the wire, or the return of a call, that no
document speaks of: soft interrupt, link, the agent's thread. A quiet machine needs half of it."""

_COARSEST = 8
"""What part of its length a timer may be late by in a wheel, at the most."""


@dataclass(frozen=True, slots=True)
class Precision:
    """A stack's timers and a machine's noise, all in seconds.

    `tick` is the stack's timer tick, `wheel` says that its timers stand in Linux's timer wheel.
    `noise` is how late this machine delivered while something was observed, None if unknown.
    """

    tick: float = 0.0
    wheel: bool = False
    noise: float | None = None

    def late(self, length: float) -> float:
        """Return how late a timer of a length may be by the stack's own granularity.

        Without a wheel it is a tick or an eighth of the length: what a wheel's coarsest would be.
        """
        if self.wheel and self.tick:
            return granule(length, self.tick)
        return max(self.tick, length / _COARSEST)

    @property
    def early(self) -> float:
        """How early something may be: a timer may be set just before a tick."""
        return self.tick + EARLY

    @property
    def slack(self) -> float:
        """How late something may be beyond the stack's own granularity."""
        return ALLOWANCE + (self.noise or 0.0)

    def excess(self, shortest: float) -> str | None:
        """Say that noise is above the budget of an expectation whose shortest time this is.

        A tenth of it, but 50 ms at least and half a second at most: with that much added to the
        time, it is still told from half of it and from its double.
        """
        return self.above(min(max(0.05, 0.1 * shortest), 0.5))

    def above(self, budget: float) -> str | None:
        """Say that noise is above a budget, or None."""
        if self.noise is None or self.noise <= budget:
            return None
        return (
            f"{NOISE}: this machine delivered up to {self.noise * 1000:.0f} ms late, "
            f"more than the {budget * 1000:.0f} ms that the expectation allows"
        )
