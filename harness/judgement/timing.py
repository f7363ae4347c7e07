"""Timing: observed durations and ladders against documented ones.

A timer is never early and may be late by the granularity of the stack's timers. So a documented
duration has asymmetric bounds, and each interval of a ladder likewise.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

from harness.documents.expectation import Count, Duration, Intervals, Shape, number
from harness.judgement.precision import Precision

Observed = float | tuple[float, float | None]
"""Seconds, or bounds between which they are; without an upper bound: longer than was watched."""

Answer = tuple[bool | None, str | None]
"""Whether it fits, and the reason where that cannot be told."""


def bounds(observed: Observed) -> tuple[float, float]:
    """Return the bounds of what was observed; infinity for an end that was not seen."""
    if isinstance(observed, tuple):
        low, high = observed
        return low, math.inf if high is None else high
    return observed, observed


def words(observed: Observed) -> str:
    """Say what was observed."""
    low, high = bounds(observed)
    if high == math.inf:
        return f"more than {number(low)} s"
    # A state table is looked at again and again; what lies between two looks is one instant.
    if number(low) == number(high) or high - low <= 0.05:
        return f"{number(high)} s"
    return f"{number(low)} to {number(high)} s"


def values(observed: Observed) -> float | list[float | None]:
    """Return what was observed as JSON."""
    if not isinstance(observed, tuple):
        return round(observed, 6)
    low, high = bounds(observed)
    return [round(low, 6), None if high == math.inf else round(high, 6)]


def allowed(expected: Duration, precision: Precision) -> tuple[float, float]:
    """Return the bounds of what may be observed where a duration is documented, in seconds.

    A limit (`at most`) is a limit on the stack's late timers too; a length is not.
    """
    low = -math.inf if expected.low is None else expected.low - precision.early
    if expected.high is None:
        return low, math.inf
    high = expected.high * expected.stretch + precision.slack
    if expected.low is not None:
        timers = expected.timers or (expected.high,)
        high += sum(precision.late(timer * expected.stretch) for timer in timers)
    return low, high


def duration(expected: Duration, observed: Observed, precision: Precision) -> Answer:
    """Tell whether a duration fits."""
    shortest = expected.low or expected.high  # a lower bound of 0 is none
    if reason := precision.excess(shortest or 0.0):
        return None, reason
    low, high = bounds(observed)
    earliest, latest = allowed(expected, precision)
    if high < earliest or low > latest:
        return False, None
    if earliest <= low and high <= latest:
        return True, None
    # The truth lies between the bounds: when they are close together, on the documented side.
    if high - low <= max(0.05, 0.025 * (shortest or 0.0)):
        return True, None
    if high == math.inf:
        return None, f"it was watched for {number(low)} s only"
    return None, f"it is only known to lie between {number(low)} and {number(high)} s"


def ladder(expected: Intervals | Shape, observed: Sequence[float], precision: Precision) -> Answer:
    """Tell whether the intervals of a ladder fit.

    Several that fit as exactly as on a quiet machine are believed on a noisy one: what was late
    would have to make up for just what the stack does wrong, in each of them.
    """
    if _many(expected, observed) and _ladder(expected, observed, replace(precision, noise=0.0))[0]:
        return True, None
    return _ladder(expected, observed, precision)


def _many(expected: Intervals | Shape, observed: Sequence[float]) -> bool:
    """Tell whether something is expected of more than one interval."""
    every = isinstance(expected, Intervals) or (expected.ratio or expected.constant) is not None
    return every and len(observed) > 1


def _ladder(expected: Intervals | Shape, observed: Sequence[float], precision: Precision) -> Answer:
    if isinstance(expected, Intervals):
        return _intervals(expected, observed, precision)
    return _shape(expected, observed, precision)


def _intervals(expected: Intervals, observed: Sequence[float], precision: Precision) -> Answer:
    if expected.intervals and (reason := precision.excess(min(expected.intervals))):
        return None, reason
    if len(expected.intervals) != len(observed):
        return False, None
    pairs = zip(expected.intervals, observed, strict=True)
    return all(_near(length, seen, precision, expected.stretch) for length, seen in pairs), None


def _near(length: float, seen: float, precision: Precision, stretch: float = 1.0) -> bool:
    """Tell whether an interval between two stamps fits a documented one.

    The first stamp may have been late as well as the second, so noise counts both ways.
    """
    earliest, latest = allowed(Duration(length, length, stretch=stretch), precision)
    return earliest - (precision.noise or 0.0) <= seen <= latest


def _shape(expected: Shape, observed: Sequence[float], precision: Precision) -> Answer:
    for property_ in (_count, _first, _constant, _ratio):
        fits, reason = property_(expected, observed, precision)
        if not fits:
            return fits, reason
    return True, None


def _count(expected: Shape, observed: Sequence[float], _: Precision) -> Answer:
    return expected.count is None or counts(expected.count, len(observed)), None


def _first(expected: Shape, observed: Sequence[float], precision: Precision) -> Answer:
    if expected.first is None:
        return True, None
    return duration(expected.first, observed[0], precision) if observed else (False, None)


def _constant(expected: Shape, observed: Sequence[float], precision: Precision) -> Answer:
    if expected.constant is None:
        return True, None
    if not observed:
        return None, "there was no interval to compare"
    if reason := precision.excess(expected.constant):
        return None, reason
    return all(_near(expected.constant, seen, precision) for seen in observed), None


def _ratio(expected: Shape, observed: Sequence[float], precision: Precision) -> Answer:
    if expected.ratio is None:
        return True, None
    pairs = [
        (before, later)
        for before, later in itertools.pairwise(observed[expected.start - 1 :])
        if expected.up_to is None or before * expected.ratio <= expected.up_to
    ]
    if not pairs:
        return None, "there were too few intervals to compare: a ratio needs two"
    if reason := precision.excess(min(observed)):
        return None, reason
    return all(_in_ratio(expected.ratio, *pair, precision) for pair in pairs), None


def _in_ratio(ratio: float, before: float, later: float, precision: Precision) -> bool:
    """Tell whether two intervals may stand in a ratio, when each may be late and none early."""
    shortest, longest = _true(before, precision)
    least, most = _true(later, precision)
    return least <= ratio * longest and most >= ratio * shortest


def _true(seen: float, precision: Precision) -> tuple[float, float]:
    """Return between what bounds the timer behind an observed interval may have been set."""
    late = precision.late(seen) + precision.slack
    return seen - late, seen + precision.early + (precision.noise or 0.0)


def counts(expected: Count, observed: int) -> bool:
    """Tell whether a number fits."""
    return (
        (not expected.values or observed in expected.values)
        and (expected.low is None or observed >= expected.low)
        and (expected.high is None or observed <= expected.high)
        and observed not in expected.unlike
    )
