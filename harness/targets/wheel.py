"""Wheel: how late Linux's timers are, and when those that a state table shows can end.

A timer is put into a bucket of a wheel and ends with it: at the first count of ticks after it is
due that is a multiple of the bucket's length. Level n takes timers that are shorter than 63 * 8^n
ticks; its buckets are 8^n ticks long (kernel/time/timer.c).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

_BUCKETS = 63
"""A level has 64 buckets, and takes timers that end 63 of them ahead."""

_COARSER = 8
"""Each level's buckets are so many times longer than those of the level below."""

_VAGUE = 2
"""Ticks by which what is known of a timer may be wrong: all of it is rounded."""

_IDENTITY = ("local_address", "local_port", "remote_address", "remote_port", "timer")


def granule(length: float, tick: float) -> float:
    """Return how late the wheel lets a timer of a length be; all in seconds."""
    ticks = length / tick
    bucket = 1
    while ticks >= _BUCKETS * bucket:
        bucket *= _COARSER
    return bucket * tick


class Wheel:
    """The wheel of a kernel, and the timers in it that a state table has shown so far.

    `tick` is in seconds; `zero` is an instant at which the count of ticks is a multiple of every
    bucket, None if no such instant is known. The table shows when a timer is due, which may be
    seconds before it ends; its bucket is taken to be that of the longest time left that was seen.
    """

    def __init__(self, tick: float, zero: float | None) -> None:
        self._tick = tick
        self._zero = zero
        # When each timer is due, and the longest time left, both in seconds.
        self._seen: dict[tuple[Any, ...], tuple[float, float]] = {}

    def quiet_until(self, at: float, table: Sequence[Mapping[str, Any]]) -> float:
        """Return an instant before which none of the timers ends that a table shows at `at`."""
        before, self._seen = self._seen, {}
        ends = []
        for row in table:
            if row["timer"] != "none":
                timer = tuple(row[name] for name in _IDENTITY)
                self._seen[timer] = self._now_seen(before.get(timer), at, row["expires"] / 1000)
                ends.append(self._end(*self._seen[timer], at))
        return min(ends, default=math.inf)

    def _now_seen(
        self, before: tuple[float, float] | None, at: float, left: float
    ) -> tuple[float, float]:
        """Return when a timer is due and its longest time left, with `left` seconds left `at`."""
        vague = _VAGUE * self._tick
        if before is not None:
            due, _ = before
            if left and abs(at + left - due) <= vague:
                return before
            # Beyond that it is another timer that is overdue.
            if not left and at < self._end(*before, due + 2 * vague) + vague:
                return before
        return at + left, left

    def _end(self, due: float, longest: float, at: float) -> float:
        """Return the earliest instant, from `at` on, at which such a timer can end."""
        if self._zero is None:
            return due
        vague = _VAGUE * self._tick
        bucket = granule(max(0.0, longest - vague), self._tick)
        passed = math.floor((max(due, at) - vague - self._zero) / bucket)
        return self._zero + (passed + 1) * bucket - self._tick
