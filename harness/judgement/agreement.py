"""Agreement: whether one observation can be all that several claims expect of a measure.

What is compared is what is documented, so that no tolerance counts here: 60 s and 60.5 s disagree.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from harness.documents.expectation import (
    NOTHING,
    AnyOf,
    Cells,
    Computed,
    Count,
    Duration,
    Expectation,
    Fact,
    Intervals,
    Outcome,
    SegmentIs,
    Shape,
    States,
    Word,
)
from harness.errors import HarnessError
from harness.judgement.timing import counts
from harness.segment.notation import parse_pattern
from harness.segment.pattern import Hole, OptionPattern, OptionsPattern, Pattern

_FEW = 3
"""Intervals of a ladder that shows every property of a shape that gives no count."""

_CLOSE = 1e-6
"""Seconds by which two documented times may differ and be the same."""

Box = tuple[float, float]


def agree(expectations: Sequence[Expectation]) -> bool:
    """Tell whether some observation fits all; HarnessError for what is not computed yet.

    All must be of one kind.
    """
    if any(isinstance(one, Computed) for one in expectations):
        raise HarnessError("what is computed can be compared only when it has been")
    choices = itertools.product(*map(_options, expectations))
    return any(_AGREE[type(choice[0])](choice) for choice in choices) if expectations else True


def _options(expectation: Expectation) -> tuple[Any, ...]:
    """Return the alternatives, of which each is one thing."""
    match expectation:
        case AnyOf(options=options):
            return options
        case SegmentIs(patterns=patterns):
            return tuple(SegmentIs((pattern,)) for pattern in patterns)
        case Outcome(outcomes=outcomes, after=after):
            return tuple(Outcome((outcome,), after) for outcome in outcomes)
        case States(sequences=sequences) if sequences:
            return tuple(dataclasses.replace(expectation, sequences=(one,)) for one in sequences)
        case Word(words=words) if words:
            return tuple(dataclasses.replace(expectation, words=(word,)) for word in words)
        case _:
            return (expectation,)


def _durations(choice: Sequence[Duration]) -> bool:
    return _within(_box(one) for one in choice) is not None


def _box(one: Duration) -> Box:
    return one.low or 0.0, math.inf if one.high is None else one.high * one.stretch


def _within(boxes: Iterator[Box]) -> Box | None:
    """Return what all boxes share, or None."""
    lows, highs = zip(*boxes, strict=True)
    low, high = max(lows), min(highs)
    return (low, max(low, high)) if low <= high + _CLOSE else None


def _ladders(choice: Sequence[Intervals | Shape]) -> bool:
    ladders = [one for one in choice if isinstance(one, Intervals)]
    shapes = [one for one in choice if isinstance(one, Shape)]
    return any(_ladder(length, ladders, shapes) for length in _lengths(ladders, shapes))


def _lengths(ladders: Sequence[Intervals], shapes: Sequence[Shape]) -> list[int]:
    """Return the numbers of intervals among which one fits, if any does.

    A ladder that is too short shows nothing of a shape, so that shorter ones count only where no
    longer one may be.
    """
    found = [one.count for one in shapes if one.count is not None]
    enough = max((_FEW + one.start for one in shapes), default=0)
    lengths = {len(one.intervals) for one in ladders} or {enough} | _numbers(found)
    lengths |= {one.low + enough for one in found if one.low is not None} if not ladders else set()
    allowed = [length for length in lengths if all(counts(one, length) for one in found)]
    need = max((_shown(one) for one in shapes), default=0)
    return [length for length in allowed if length >= need] or allowed


def _shown(shape: Shape) -> int:
    """Return how many intervals a ladder needs to show a shape."""
    if shape.ratio is not None:
        return shape.start + 1
    return 0 if shape.first is None and shape.constant is None else 1


def _ladder(length: int, ladders: Sequence[Intervals], shapes: Sequence[Shape]) -> bool:
    if any(len(one.intervals) != length for one in ladders):
        return False
    boxes: list[Box] = []
    for place in range(length):
        shared = _within(_boxes_at(place, ladders, shapes))
        if shared is None:
            return False
        boxes.append(shared)
    ratios = {one.ratio for one in shapes if one.ratio is not None and length > one.start}
    if len(ratios) > 1 and all(one.up_to is None for one in shapes):
        return False
    return all(_in_ratio(boxes, one) for one in shapes)


def _boxes_at(place: int, ladders: Sequence[Intervals], shapes: Sequence[Shape]) -> Iterator[Box]:
    yield 0.0, math.inf
    for ladder in ladders:
        yield ladder.intervals[place], ladder.intervals[place] * ladder.stretch
    for shape in shapes:
        if shape.constant is not None:
            yield shape.constant, shape.constant
        if shape.first is not None and place == 0:
            yield _box(shape.first)


def _in_ratio(boxes: Sequence[Box], shape: Shape) -> bool:
    """Tell whether each interval can be so many times the one before."""
    ratio = shape.ratio
    if ratio is None:
        return True
    low, high = boxes[shape.start - 1] if len(boxes) >= shape.start else (0.0, math.inf)
    for least, most in boxes[shape.start :]:
        if shape.up_to is not None and low * ratio > shape.up_to:
            low, high = least, most
            continue
        low, high = max(low * ratio, least), min(high * ratio, most)
        if low > high + _CLOSE:
            return False
    return True


def _counts(choice: Sequence[Count]) -> bool:
    return any(all(counts(one, number) for one in choice) for number in _numbers(choice))


def _numbers(choice: Sequence[Count]) -> set[int]:
    """Return numbers among which one fits all counts, if any does."""
    found = {0}
    for one in choice:
        found |= {*one.values, *filter(None, (one.low, one.high)), *one.unlike}
    unlike = sum(len(one.unlike) for one in choice)
    return {near for each in found for near in range(each, each + unlike + 1)}


def _facts(choice: Sequence[Fact]) -> bool:
    return len(set(choice)) == 1


def _outcomes(choice: Sequence[Outcome]) -> bool:
    times = [one.after for one in choice if one.after is not None]
    return len({one.outcomes for one in choice}) == 1 and agree(times)


def _members(choice: Sequence[States] | Sequence[Word], whole: str, split: bool) -> bool:
    """Tell whether one list has what all want in it, and nothing that one of them excludes."""
    wholes = {value for one in choice for value in getattr(one, whole)}
    if len(wholes) > 1:
        return False
    wanted = {member for one in choice for member in one.includes}
    unwanted = {member for one in choice for member in one.excludes}
    for value in wholes:
        members = set(value.split(",")) if split else set(value)
        return wanted <= members and not unwanted & members
    return not wanted & unwanted


def _states(choice: Sequence[States]) -> bool:
    return _members(choice, "sequences", split=False)


def _words(choice: Sequence[Word]) -> bool:
    return _members(choice, "words", split=True)


def _segments(choice: Sequence[SegmentIs]) -> bool:
    texts = [one.patterns[0] for one in choice]
    if NOTHING in texts:
        return set(texts) == {NOTHING}
    pairs = itertools.combinations(map(parse_pattern, texts), 2)
    return all(_patterns(one, other) for one, other in pairs)


_FIELDS = ("seq", "length", "ack", "window", "urgent", "reserved", "checksum")


def _patterns(one: Pattern, other: Pattern) -> bool:
    """Tell whether a segment can be as both patterns have it."""
    if (one.flags ^ other.flags) & one.checked & other.checked:
        return False
    if not all(_same(getattr(one, name), getattr(other, name)) for name in _FIELDS):
        return False
    if one.payload is not None and other.payload is not None and one.payload != other.payload:
        return False
    if one.options is None or other.options is None:
        return True
    return _option_lists(one.options, other.options)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, Hole) or isinstance(other, Hole) or one == other


def _option_lists(one: OptionsPattern, other: OptionsPattern) -> bool:
    if not one.others and not other.others:
        pairs = zip(one.members, other.members, strict=False)
        return len(one.members) == len(other.members) and all(_option(*pair) for pair in pairs)
    if one.others and other.others:
        # An option stands once in a segment, so that two of a form are the same one.
        return all(
            _option(mine, its)
            for mine, its in itertools.product(one.members, other.members)
            if mine.form is its.form
        )
    some, exact = (one, other) if one.others else (other, one)
    return all(any(_option(mine, its) for its in exact.members) for mine in some.members)


def _option(one: OptionPattern, other: OptionPattern) -> bool:
    pairs = zip(one.values, other.values, strict=False)
    return one.form is other.form and all(_same(*pair) for pair in pairs)


def _cells(choice: Sequence[Cells]) -> bool:
    """Tell whether nobody wants one step done by two texts."""
    return not any(
        one.steps & other.steps and None not in (one.by, other.by) and one.by != other.by
        for one, other in itertools.combinations(choice, 2)
    )


_AGREE: dict[type, Callable[[Any], bool]] = {
    SegmentIs: _segments,
    Duration: _durations,
    Intervals: _ladders,
    Shape: _ladders,
    Outcome: _outcomes,
    States: _states,
    Count: _counts,
    Fact: _facts,
    Word: _words,
    Cells: _cells,
}
