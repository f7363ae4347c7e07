"""Clock: the one place where anything waits."""

from typing import Protocol


class Clock(Protocol):
    """Time on a link, in seconds; frames are stamped in the same time base.

    A real clock reads CLOCK_MONOTONIC, a virtual clock is advanced by waiting.
    """

    @property
    def virtual(self) -> bool:
        """Whether waiting costs no wall time."""

    def now(self) -> float:
        """Return the time in seconds."""

    def wait(self, deadline: float) -> None:
        """Return when something happened on a link or an agent, at `deadline` at the latest.

        Spurious returns are allowed: callers look for themselves what happened.
        """
