"""Behaviour: what documents expect of one measure, and what targets did, on one axis of time."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.documents.expectation import (
    AnyOf,
    Count,
    Duration,
    Expectation,
    Intervals,
    Outcome,
    Shape,
    number,
)
from harness.judgement.precision import Precision
from harness.judgement.timing import allowed
from harness.reporting.picture.axis import Axis
from harness.reporting.picture.scene import Box, Dot, Line, Mark, Scene, Text
from harness.reporting.text import counted, cut

WIDTH = 960
LEFT, RIGHT = 356, 936
"""Between what pixels time runs; names stand before."""

ROW, HEAD = 38, 30
MOST = 14
"""Intervals of a shape that gives no number that are drawn at most."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Times:
    """Instants, or ranges, in seconds; `bands` are what tolerance makes of them.

    `ideal` says that only their relation is documented: they are drawn from what was observed.
    """

    instants: tuple[float, ...] = ()
    ranges: tuple[Range, ...] = ()
    bands: tuple[Range, ...] = ()
    ladder: bool = False
    ideal: bool = False

    @property
    def all(self) -> Iterator[float]:
        """All finite times."""
        yield from self.instants
        for low, high in self.ranges:
            yield low
            yield low * 1.2 if high == math.inf else high


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the picture: who, in how many more words, and the times."""

    name: str
    words: str
    times: Sequence[Times]
    kind: str = ""
    says: str = field(default="")


def scene(title: str, documented: Sequence[Row], observed: Sequence[Row]) -> Scene | None:
    """Return the picture; None where nobody speaks of time."""
    times = [t for row in (*documented, *observed) for one in row.times for t in one.all]
    if not any(time > 0 for time in times) or not any(row.times for row in observed):
        return None
    axis = Axis.over(times, left=LEFT, right=RIGHT)
    marks: list[Mark] = []
    y = 8.0
    for words, rows in (("documented", documented), ("observed", observed)):
        marks.append(Text(8, y + 20, words, "heading"))
        y += HEAD
        for row in rows:
            marks += _row(row, y, axis, seen=words == "observed")
            y += ROW
    ticks = list(_ticks(axis, y))
    says = (
        f"{counted(len(documented), 'expectation')} and {counted(len(observed), 'observation')} "
        "on one axis; the table tells them as text"
    )
    return Scene(WIDTH, y + 34, title, says, [*ticks, *marks])


def expected(expectation: Expectation, precision: Precision, seen: Sequence[float]) -> list[Times]:
    """Return the times of an expectation; `seen` are intervals that were observed, seconds."""
    match expectation:
        case AnyOf(options=options):
            return [one for option in options for one in expected(option, precision, seen)]
        case Outcome(after=after) if after is not None:
            return expected(after, precision, seen)
        case Duration():
            return [_duration(expectation, precision)]
        case Intervals(intervals=intervals, stretch=stretch) if intervals:
            return [_ladder(intervals, stretch, precision)]
        case Shape():
            return _shape(expectation, precision, seen)
        case _:
            return []


def observed(values: Any) -> list[Times]:
    """Return the times of an observation, given as a verdict has it; none where it has none."""
    if isinstance(values, dict):
        return observed(values.get("after"))
    if _is_time(values):
        return [Times(instants=(float(values),))]
    return []


def observed_range(values: Any) -> list[Times]:
    """Return the times of a duration, which may be bounds; the upper one may be open."""
    if isinstance(values, dict):
        return observed_range(values.get("after"))
    if isinstance(values, list) and len(values) == 2 and _is_time(values[0]):
        low, high = values
        if high is None or _is_time(high):
            return [Times(ranges=((float(low), math.inf if high is None else float(high)),))]
    return observed(values)


def observed_ladder(values: Any) -> list[Times]:
    """Return the instants of a ladder, given as its intervals."""
    if not isinstance(values, list) or not all(map(_is_time, values)):
        return []
    return [Times(instants=(0.0, *itertools.accumulate(map(float, values))), ladder=True)]


def _is_time(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < math.inf


def _duration(one: Duration, precision: Precision) -> Times:
    low, high = allowed(one, precision)
    band = (max(low, 0.0), high)
    if one.low is not None and one.low == one.high:
        return Times(instants=(one.low,), bands=(band,))
    top = math.inf if one.high is None else one.high
    return Times(ranges=((one.low or 0.0, top),), bands=(band,))


def _ladder(
    intervals: Sequence[float], stretch: float, precision: Precision, *, ideal: bool = False
) -> Times:
    instants = (0.0, *itertools.accumulate(intervals))
    bands = []
    for before, length in zip(instants, intervals, strict=False):
        low, high = allowed(Duration(length, length, stretch=stretch), precision)
        bands.append((before + max(low, 0.0), before + high))
    return Times(instants, (), tuple(bands), ladder=True, ideal=ideal)


def _shape(shape: Shape, precision: Precision, seen: Sequence[float]) -> list[Times]:
    count = _number(shape.count, len(seen))
    if shape.constant is not None:
        return [_ladder([shape.constant] * min(count, MOST), 1.0, precision)]
    if shape.ratio is None:
        if shape.first is None:
            return []
        return [_duration(shape.first, precision)]
    lengths = list(seen[: shape.start]) or ([shape.first.low or 1.0] if shape.first else [1.0])
    while len(lengths) < min(count, MOST):
        longer = lengths[-1] * shape.ratio
        lengths.append(longer if shape.up_to is None else min(longer, shape.up_to))
    return [_ladder(lengths, 1.0, precision, ideal=True)]


def _number(count: Count | None, seen: int) -> int:
    if count is not None and count.values:
        return count.values[0]
    return max(seen, count.low or 0) if count is not None else seen


def _ticks(axis: Axis, bottom: float) -> Iterator[Mark]:
    for x, words in axis.ticks():
        yield Line(x, HEAD - 4, x, bottom, "grid")
        yield Text(x, bottom + 16, words, "tick-label", "middle")
    unit = "s, longer times are compressed" if axis.compressed else "s"
    yield Text(RIGHT, bottom + 30, unit, "unit", "end")


def _row(row: Row, y: float, axis: Axis, *, seen: bool) -> Iterator[Mark]:
    middle = y + ROW / 2
    yield Text(8, y + 16, cut(row.name, 46), f"name {row.kind}")
    yield Text(8, y + 30, cut(row.words, 54), "words")
    yield Line(LEFT, middle, RIGHT, middle, "base")
    for times in row.times:
        role = "seen" if seen else "ideal" if times.ideal else "said"
        yield from _times(times, middle, axis, f"{role} {row.kind}".strip())


def _times(times: Times, y: float, axis: Axis, kind: str) -> Iterator[Mark]:
    for low, high in times.bands:
        left, right = axis.x(low), axis.x(high)
        words = f"allowed: {number(low)} s" + ("" if high == math.inf else f" to {number(high)} s")
        yield Box(left, y - 9, max(right - left, 2.0), 18, "band", words)
    for low, high in times.ranges:
        left, right = axis.x(low), axis.x(high)
        open_ = high == math.inf
        words = f"{number(low)} s or longer" if open_ else f"{number(low)} to {number(high)} s"
        yield Box(left, y - 4, max(right - left, 4.0), 8, f"range {kind}", words)
        if open_:
            yield Line(right - 12, y, right + 6, y, f"arrow open {kind}")
    last = -math.inf
    for place, instant in enumerate(times.instants):
        x = axis.x(instant)
        start = times.ladder and place == 0
        yield Dot(x, y, f"point {kind}{' start' if start else ''}", f"{number(instant)} s")
        if times.ladder and place:
            gap = instant - times.instants[place - 1]
            middle = (axis.x(times.instants[place - 1]) + x) / 2
            if x - axis.x(times.instants[place - 1]) >= 24 and middle - last >= 24:
                yield Text(middle, y - 7, number(gap), f"gap-label {kind}", "middle")
                last = middle
        elif not times.ladder:
            yield Text(x + 9, y - 6, f"{number(instant)} s", f"gap-label {kind}")
