"""Evaluate: an observation against an expectation of the same kind."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from harness.documents.arrival import Decision, decide
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
    number,
)
from harness.errors import HarnessError
from harness.judgement import timing
from harness.judgement.finding import Finding
from harness.judgement.precision import Precision
from harness.segment.notation import parse_pattern, write
from harness.segment.pattern import Pattern
from harness.segment.segment import Segment
from harness.states import State
from harness.targets.matrix import Cell


@runtime_checkable
class Ladder(Protocol):
    """Events in their order: the kernel's `stamps` and the `intervals` between them, seconds."""

    @property
    def stamps(self) -> Sequence[float]:
        """When each came."""

    @property
    def intervals(self) -> Sequence[float]:
        """How long each came after the one before."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An observation, when it came (seconds, or their bounds), and how long was waited for it.

    `stamps` are the instants that it was made of, where it is a ladder.
    """

    value: Any
    after: timing.Observed | None = None
    within: float | None = None
    stamps: Sequence[float] = ()


def evaluate(expectation: Expectation, seen: Seen, precision: Precision) -> Finding:
    """Compare an observation with what is expected; HarnessError if they are not of one kind.

    An observation is a Segment or None (silence, over `within` seconds), seconds or their bounds
    (low, high; high None for longer than was watched), a sequence of intervals, an outcome's text
    (None is success) with the seconds `after` which it came, a sequence of states, a whole number,
    a truth, a text, or a sequence of cells.
    """
    if isinstance(expectation, Computed):
        raise HarnessError(f"{expectation.name} is judged before it is computed")
    return _EVALUATORS[type(expectation)](expectation, seen, precision)


def _wrong(what: str, observation: Any) -> HarnessError:
    return HarnessError(f"the observation is not {what}: {observation!r}")


def _any(expectation: AnyOf, seen: Seen, precision: Precision) -> Finding:
    findings = [evaluate(option, seen, precision) for option in expectation.options]
    best = min(findings, key=lambda finding: (True, None, False).index(finding.fits))
    return replace(best, documented=expectation.text)


def _duration(expectation: Duration, seen: Seen, precision: Precision) -> Finding:
    observation = seen.value
    if not _is_time(observation):
        raise _wrong("seconds or their bounds", observation)
    fits, reason = timing.duration(expectation, observation, precision)
    observed = timing.words(observation)
    return Finding(fits, expectation.text, observed, timing.values(observation), reason)


def _is_time(observation: Any) -> bool:
    if isinstance(observation, tuple) and len(observation) == 2:
        low, high = observation
        return _is_number(low) and (high is None or _is_number(high))
    return _is_number(observation)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ladder(expectation: Intervals | Shape, seen: Seen, precision: Precision) -> Finding:
    observation = seen.value
    if not isinstance(observation, Sequence) or not all(map(_is_number, observation)):
        raise _wrong("a list of intervals", observation)
    fits, reason = timing.ladder(expectation, observation, precision)
    observed = Intervals(tuple(observation)).text
    return Finding(fits, expectation.text, observed, [round(i, 6) for i in observation], reason)


def _outcome(expectation: Outcome, seen: Seen, precision: Precision) -> Finding:
    outcome, after = "success" if seen.value is None else seen.value, seen.after
    if not isinstance(outcome, str):
        raise _wrong("the name of an outcome", outcome)
    observed = outcome if after is None else f"{outcome} after {timing.words(after)}"
    values = {"outcome": outcome, "after": None if after is None else timing.values(after)}
    finding = Finding(outcome in expectation.outcomes, expectation.text, observed, values)
    if not finding.fits or expectation.after is None:
        return finding
    if after is None:
        return replace(finding, fits=None, reason="when the call returned was not observed")
    timed = evaluate(expectation.after, Seen(after), precision)
    return replace(finding, fits=timed.fits, reason=timed.reason)


def _segment(expectation: SegmentIs, seen: Seen, precision: Precision) -> Finding:
    observation, within = seen.value, seen.within
    if observation is not None and not isinstance(observation, Segment):
        raise _wrong("a segment or None", observation)
    patterns = [parse_pattern(text) for text in expectation.patterns if text != NOTHING]
    if observation is not None:
        fits = any(pattern.fits(observation) for pattern in patterns)
        details = () if fits else _differences(patterns, observation)
        text = write(observation)
        return Finding(fits, expectation.text, text, text, details=details)
    observed = NOTHING if within is None else f"{NOTHING} within {number(within)} s"
    fits = NOTHING in expectation.patterns
    reason = None if within is None else precision.above(within / 2)
    # Late is not never: with much noise, what did not come may only not have come yet.
    return Finding(None if reason else fits, expectation.text, observed, None, reason)


def _differences(patterns: Sequence[Pattern], segment: Segment) -> tuple[str, ...]:
    """Return a table of the fields in which a segment differs from the nearest pattern."""
    if not patterns:
        return ()
    nearest = min(patterns, key=lambda pattern: pattern.distance(segment))
    rows = [("field", "expected", "observed")]
    rows += [(one.field, one.expected, one.observed) for one in nearest.mismatches(segment)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    return tuple(f"{a:<{first}}  {b:<{second}}  {c}".rstrip() for a, b, c in rows)


def _states(expectation: States, seen: Seen, _: Precision) -> Finding:
    observation = seen.value
    states = (observation,) if isinstance(observation, State) else observation
    if not isinstance(states, Sequence) or not all(isinstance(s, State) for s in states):
        raise _wrong("a list of states", observation)
    states = tuple(states)
    fits = (
        (not expectation.sequences or states in expectation.sequences)
        and set(expectation.includes) <= set(states)
        and not set(expectation.excludes) & set(states)
    )
    values = [str(state) for state in states]
    return Finding(fits, expectation.text, ", ".join(values) or "none", values)


def _count(expectation: Count, seen: Seen, _: Precision) -> Finding:
    observation = seen.value
    if not isinstance(observation, int) or isinstance(observation, bool):
        raise _wrong("a whole number", observation)
    return Finding(
        timing.counts(expectation, observation), expectation.text, str(observation), observation
    )


def _fact(expectation: Fact, seen: Seen, _: Precision) -> Finding:
    observation = seen.value
    if not isinstance(observation, bool):
        raise _wrong("true or false", observation)
    observed = Fact(observation).text
    return Finding(observation == expectation.value, expectation.text, observed, observation)


def _word(expectation: Word, seen: Seen, _: Precision) -> Finding:
    observation = seen.value
    if not isinstance(observation, str):
        raise _wrong("a text", observation)
    members = set(observation.split(","))
    fits = (
        (not expectation.words or observation in expectation.words)
        and set(expectation.includes) <= members
        and not set(expectation.excludes) & members
    )
    return Finding(fits, expectation.text, observation or "none", observation)


_TOLD = 3
"""Cells that are named in what was observed; the details have them all."""


def _cells(expectation: Cells, seen: Seen, _: Precision) -> Finding:
    cells = seen.value
    if not isinstance(cells, Sequence) or not all(isinstance(cell, Cell) for cell in cells):
        raise _wrong("a list of cells", cells)
    decided = [(cell, decide(cell.situation, cell.sent)) for cell in cells]
    spoken = [pair for pair in decided if pair[1].steps & expectation.steps]
    ways = {cell.name: _way(expectation, cell, decision) for cell, decision in spoken}
    details = tuple(
        f"{cell.name}: {_allowed(expectation, decision)} is allowed, {_done(cell)} was observed"
        for cell, decision in spoken
        if ways[cell.name] is None
    )
    wrong = tuple(cell.name for cell, _ in spoken if ways[cell.name] is None)
    found = Counter(way for way in ways.values() if way is not None)
    parts = [f"{number} of {len(spoken)} cells by {way}" for way, number in sorted(found.items())]
    parts += [f"{len(wrong)} otherwise: {'; '.join(details[:_TOLD])}"] if wrong else []
    values = {cell.name: _done(cell) for cell, _ in spoken}
    text = ", ".join(parts) or "no such cell"
    return Finding(not wrong, expectation.text, text, values, details=details, wrong=wrong)


def _way(expectation: Cells, cell: Cell, decision: Decision) -> str | None:
    """Return the text whose way the target went, or None where none of them allows it."""
    fitting = [one.by for one in decision.reactions if one.fits(cell.answers, cell.after)]
    ours = [by for by in fitting if expectation.by in (None, by)]
    choice = any(one.by == expectation.by for one in decision.reactions)
    # Where the text has no way of its own, it leaves the matter as it is.
    return next(iter(ours if choice or expectation.by is None else fitting), None)


def _allowed(expectation: Cells, decision: Decision) -> str:
    named = [one for one in decision.reactions if one.by == expectation.by]
    return "; ".join(one.text for one in named or decision.reactions)


def _done(cell: Cell) -> str:
    answers = " and ".join(write(answer, brief=True) for answer in cell.answers)
    return f"{answers or NOTHING}, {cell.after}"


_EVALUATORS: dict[type, Callable[[Any, Seen, Precision], Finding]] = {
    AnyOf: _any,
    SegmentIs: _segment,
    Duration: _duration,
    Intervals: _ladder,
    Shape: _ladder,
    Outcome: _outcome,
    States: _states,
    Count: _count,
    Fact: _fact,
    Word: _word,
    Cells: _cells,
}
