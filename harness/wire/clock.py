"""Clock: the one place where anything waits."""

from typing import TYPE_CHECKING, Protocol

from harness.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND = 60.0
"""Seconds up to which a wait may be bounded, however little patience there is."""

ROUNDING = 0.001
"""Seconds by which a deadline may differ from now and a limit: other instants, rounded numbers."""


class Clock(Protocol):
    """Time on a link, in seconds; frames are stamped in the same time base.

    A real clock reads CLOCK_MONOTONIC, a virtual clock is advanced by waiting.
    """

    @property
    def virtual(self) -> bool:
        """Whether waiting costs no wall time."""

    def now(self) -> float:
        """Return the time in seconds."""

    def every(self, period: float, callback: "Callable[[float], object]") -> "Callable[[], None]":
        """Call `callback` with its intended time every `period` seconds while the clock waits.

        Returns a function that ends it.
        """

    def wait(self, deadline: float) -> None:
        """Return when something happened on a link or an agent, at `deadline` at the latest.

        Spurious returns are allowed: callers look for themselves what happened.
        """


def check_patience(clock: Clock, deadline: float, limit: float) -> None:
    """Raise Unsupported for a wait of more than `limit` seconds that would cost wall time.

    Up to `BOUND` a wait is none of a long timer: what it is for comes soon, or not at all.
    """
    wait = deadline - clock.now()
    if wait > max(limit, BOUND) + ROUNDING and not clock.virtual:
        raise Unsupported(
            f"{wait:g} s may have to be waited for, beyond --patience: needs virtual time"
        )


def next_look(clock: Clock, poll: float) -> float:
    """Return when to look again, after `poll` seconds, at what no event announces.

    A clock that knows how long nothing will happen spares the looks until just before that.
    """
    quiet_until: Callable[[], float] | None = getattr(clock, "quiet_until", None)
    soon = clock.now() + poll
    return soon if quiet_until is None else max(soon, quiet_until() - poll)


def looked(clock: Clock, until: float) -> None:
    """Tell a clock that cares until when what was just looked at is likely to stay as it is."""
    note: Callable[[float], None] | None = getattr(clock, "looked", None)
    if note is not None:
        note(until)
