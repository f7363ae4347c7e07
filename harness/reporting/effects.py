"""Effects: which setting moves which measure, and which two settings do so only together.

A setting moves a measure if two cells that differ in nothing else observed different things. Times
that differ by less than a granule of a timer wheel, and noise, are no difference.
"""

import itertools
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.reporting.findings import alike, grouped

DEFAULT = "default"
"""The value of a sysctl that a cell does not set."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one cell observed of one measure; `points` are the sysctls that it set."""

    target: str
    testcase: str
    family: str
    measure: str
    point: Mapping[str, str]
    observed: str
    values: Any

    def at(self, sysctl: str) -> str:
        """Return the value of a sysctl in this cell."""
        return self.point.get(sysctl, DEFAULT)


@dataclass(frozen=True, slots=True)
class Effect:
    """What one sysctl does to one measure: of `compared` pairs of cells it moved `moved`.

    `example` is one such pair, if there is any: value and what was observed, twice.
    """

    target: str
    measure: str
    sysctl: str
    compared: int
    moved: int
    example: tuple[tuple[str, str], tuple[str, str]] | None

    @property
    def share(self) -> float:
        """How many of the pairs moved, from 0 to 1."""
        return self.moved / self.compared if self.compared else 0.0


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two sysctls of which the one decides what the other does to a measure.

    `of` squares of cells that could show it, `shown` did; `example` is one: the four cells.
    """

    target: str
    measure: str
    first: str
    second: str
    of: int
    shown: int
    example: tuple[tuple[str, str, str], ...]


def effects(seen: Iterable[Seen]) -> list[Effect]:
    """Return what each sysctl does to each measure, of those that some cells vary."""
    groups = grouped(seen, lambda one: (one.target, one.measure))
    return [
        _effect(target, measure, sysctl, several)
        for (target, measure), several in groups.items()
        for sysctl in _varied(several)
    ]


def _effect(target: str, measure: str, sysctl: str, several: Sequence[Seen]) -> Effect:
    compared = moved = 0
    example = None
    for row in _rows(several, sysctl):
        for one, other in itertools.pairwise(row):
            compared += 1
            if differs(one, other):
                moved += 1
                example = example or (
                    (one.at(sysctl), one.observed),
                    (other.at(sysctl), other.observed),
                )
    return Effect(target, measure, sysctl, compared, moved, example)


def interactions(seen: Iterable[Seen]) -> list[Interaction]:
    """Return pairs of sysctls that do to a measure together what neither does alone."""
    found = []
    for (target, measure), several in grouped(seen, lambda one: (one.target, one.measure)).items():
        for first, second in itertools.combinations(_varied(several), 2):
            squares = list(_squares(several, first, second))
            shown = [square for square in squares if _interacts(square)]
            if shown:
                cells = tuple(
                    (one.at(first), one.at(second), one.observed) for one in _plainest(shown)
                )
                one = Interaction(target, measure, first, second, len(squares), len(shown), cells)
                found.append(one)
    return found


def differs(one: Seen, other: Seen) -> bool:
    """Tell whether two cells observed different things."""
    return not alike(one.observed, other.observed)


def _varied(several: Iterable[Seen]) -> list[str]:
    """Return the sysctls that have more than one value among some cells."""
    cells = list(several)
    names = sorted({name for one in cells for name in one.point})
    return [name for name in names if len({one.at(name) for one in cells}) > 1]


def _rows(several: Iterable[Seen], sysctl: str) -> Iterator[list[Seen]]:
    """Yield cells that differ in one sysctl alone, by its value."""

    def others(one: Seen) -> Hashable:
        rest = frozenset((k, v) for k, v in one.point.items() if k != sysctl)
        return one.testcase, one.family, rest

    for row in grouped(several, others).values():
        if len(row) > 1:
            yield sorted(row, key=lambda one: _order(one.at(sysctl)))


def _squares(
    several: Iterable[Seen], first: str, second: str
) -> Iterator[tuple[Seen, Seen, Seen, Seen]]:
    """Yield four cells each: two values of one sysctl by two of another, all else the same."""

    def others(one: Seen) -> Hashable:
        rest = frozenset((k, v) for k, v in one.point.items() if k not in (first, second))
        return one.testcase, one.family, rest

    for plane in grouped(several, others).values():
        cells = {(one.at(first), one.at(second)): one for one in plane}
        ones = sorted({place[0] for place in cells}, key=_order)
        others_ = sorted({place[1] for place in cells}, key=_order)
        for (a, b), (c, d) in itertools.product(
            itertools.pairwise(ones), itertools.pairwise(others_)
        ):
            corners = [cells.get(place) for place in ((a, c), (a, d), (b, c), (b, d))]
            if all(corner is not None for corner in corners):
                yield tuple(corners)  # type: ignore[misc] # all four are there


def _interacts(square: tuple[Seen, Seen, Seen, Seen]) -> bool:
    """Tell whether what the first sysctl does depends on the second.

    Of numbers, whether the effects add up; of words, whether the one moves at one value only.
    """
    near, beside, beyond, far = square
    sizes = [magnitude(one.values) for one in square]
    if None not in sizes:
        a, b, c, d = (one or 0.0 for one in sizes)
        noise = max(0.06, 0.15 * max(map(abs, (a, b, c, d))))
        whole = all(isinstance(one.values, int) for one in square)
        return abs((d - b) - (c - a)) > (0 if whole else noise)
    return differs(near, beyond) != differs(beside, far)


def _plainest(squares: Sequence[tuple[Seen, ...]]) -> tuple[Seen, ...]:
    """Return the square in which the effects differ most."""

    def strength(square: tuple[Seen, ...]) -> float:
        sizes = [magnitude(one.values) or 0.0 for one in square]
        return abs((sizes[3] - sizes[1]) - (sizes[2] - sizes[0]))

    return max(squares, key=strength)


def magnitude(values: Any) -> float | None:
    """Return one number for what was observed: seconds, their sum, a count; None for words."""
    if isinstance(values, bool) or values is None:
        return None
    if isinstance(values, int | float):
        return float(values)
    if isinstance(values, Mapping):
        return magnitude(values.get("after"))
    if isinstance(values, list) and values and all(_is_number(one) for one in values):
        return float(sum(values))
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _order(value: str) -> tuple[int, float, str]:
    """Sort values of a sysctl: what is not set, numbers by size, then words."""
    if value == DEFAULT:
        return 0, 0.0, ""
    try:
        return 1, float(value.split(maxsplit=1)[0]), value
    except ValueError:
        return 2, 0.0, value
