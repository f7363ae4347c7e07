"""Parsing: expectations from the values that stand in a document's TOML.

Every function raises ValueError with one sentence that says what is wrong and what would be right.
"""

import difflib
import errno
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from harness.documents.arrival import Step
from harness.documents.computed import FUNCTIONS
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
from harness.documents.measure import Kind
from harness.errors import UsageError
from harness.segment.notation import parse_pattern
from harness.states import State

_Number = TypeVar("_Number", int, float)
_Value = TypeVar("_Value")


def expectation(kind: Kind, value: Any) -> Expectation:
    """Read what a claim expects of a measure of this kind."""
    if kind is not Kind.OUTCOME and isinstance(value, dict) and "computed" in value:
        return _computed(kind, value)
    return _READERS[kind](value)


def check_keys(table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse a key that nobody knows."""
    names = list(known)
    for key in table:
        if key not in names:
            raise ValueError(f"unknown key '{key}'{close(key, names)}")


def close(name: str, names: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or nothing if no name is close."""
    found = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{found[0]}'?" if found else ""


def _computed(kind: Kind, value: dict[str, Any]) -> Computed:
    check_keys(value, ("computed",))
    name = value["computed"]
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise ValueError(f"unknown computed '{name}'{close(str(name), FUNCTIONS)}")
    function = FUNCTIONS[name]
    if function.kind is not kind:
        raise ValueError(f"computed '{name}' is a {function.kind}, not a {kind}")
    return Computed(name, kind)


def _segment(value: Any) -> SegmentIs:
    patterns = tuple(_texts(value, "a segment is a pattern, 'nothing', or a list of them"))
    for pattern in patterns:
        if pattern != NOTHING:
            check_pattern(pattern)
    return SegmentIs(patterns)


def check_pattern(text: str) -> None:
    """Refuse a pattern that the notation cannot read."""
    try:
        parse_pattern(text)
    except UsageError as error:
        raise ValueError(str(error)) from None


def _duration(value: Any) -> Duration:
    if _is_number(value):
        return Duration(float(value), float(value))
    table = _table(value, "a duration is seconds or a table such as { at_least = 180 }")
    check_keys(table, ("at_least", "at_most", "between", "sum"))
    if "sum" in table:
        timers = tuple(_numbers(table["sum"], "sum is a list of seconds"))
        return Duration(sum(timers), sum(timers), timers)
    low, high = _bounds(table, _number)
    return Duration(low, high)


def _ladder(value: Any) -> Intervals | Shape:
    if isinstance(value, list):
        return Intervals(tuple(_numbers(value, "a ladder is a list of seconds")))
    table = _table(value, "a ladder is a list of seconds or a table such as { ratio = 2 }")
    check_keys(table, ("ratio", "from", "up_to", "constant", "count", "first"))
    if not {"ratio", "constant", "count", "first"} & set(table):
        raise ValueError("a ladder needs ratio, constant, count or first")
    if "ratio" in table and "constant" in table:
        raise ValueError("a ladder has a ratio or is constant, not both")
    for key in ("from", "up_to"):
        if key in table and "ratio" not in table:
            raise ValueError(f"'{key}' stands beside ratio only")
    start = table.get("from", 1)
    if not _is_integer(start) or start < 1:
        raise ValueError("from is the number of an interval; 1 is the first")
    return Shape(
        ratio=_optional(table, "ratio", _number),
        start=start,
        up_to=_optional(table, "up_to", _number),
        constant=_optional(table, "constant", _number),
        count=_optional(table, "count", _count),
        first=_optional(table, "first", _duration),
    )


def _outcome(value: Any) -> Outcome:
    after: Duration | Computed | AnyOf | None = None
    if isinstance(value, dict):
        check_keys(value, ("outcome", "after"))
        if "outcome" not in value:
            raise ValueError("a table of an outcome needs 'outcome'")
        if "after" in value:
            parsed = expectation(Kind.DURATION, value["after"])
            assert isinstance(parsed, Duration | Computed)
            after = parsed
        value = value["outcome"]
    outcomes = tuple(_texts(value, "an outcome is an errno's name, 'success', or a list of them"))
    for outcome in outcomes:
        _check_outcome(outcome)
    return Outcome(outcomes, after)


def _check_outcome(outcome: str) -> None:
    names = set(errno.errorcode.values())
    if re.fullmatch(r"E[A-Z0-9]+", outcome) and outcome not in names:
        raise ValueError(f"'{outcome}' is no errno{close(outcome, names)}")


def _states(value: Any) -> States:
    if isinstance(value, str):
        return States(sequences=((_state(value),),))
    if isinstance(value, list):
        return States(sequences=(_sequence(value),))
    table = _table(value, "states are a state, a list of states, or a table such as { any = … }")
    check_keys(table, ("any", "includes", "excludes"))
    sequences = table.get("any", [])
    if not table or not isinstance(sequences, list) or ("any" in table and not sequences):
        raise ValueError("'any' is a list of lists of states")
    return States(
        sequences=tuple(
            _sequence(item) if isinstance(item, list) else (_state(item),) for item in sequences
        ),
        includes=_sequence(table.get("includes", [])),
        excludes=_sequence(table.get("excludes", [])),
    )


def _sequence(value: Any) -> tuple[State, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(_state(item) for item in items)


def _state(value: Any) -> State:
    try:
        return State(value)
    except ValueError:
        known = [str(state) for state in State]
        spelt = str(value).upper().replace("_", "-")
        raise ValueError(f"'{value}' is no state{close(spelt, known)}") from None


def _count(value: Any) -> Count:
    if _is_integer(value):
        return Count((value,))
    if isinstance(value, list):
        return Count(tuple(_integers(value)))
    table = _table(value, "a count is a whole number or a table such as { at_least = 1 }")
    check_keys(table, ("at_least", "at_most", "between", "not"))
    if "not" in table:
        unlike = table["not"]
        rest = {key: bound for key, bound in table.items() if key != "not"}
        low, high = _bounds(rest, _integer) if rest else (None, None)
        others = unlike if isinstance(unlike, list) else [unlike]
        return Count((), low, high, tuple(_integers(others)))
    low, high = _bounds(table, _integer)
    return Count((), low, high)


def _fact(value: Any) -> Fact:
    if not isinstance(value, bool):
        raise ValueError("a fact is true or false")  # noqa: TRY004 - the user's input
    return Fact(value)


def _word(value: Any) -> Word:
    if not isinstance(value, dict):
        return Word(tuple(_texts(value, "a word is a text or a list of texts")))
    check_keys(value, ("includes", "excludes"))
    if not value:
        raise ValueError("a word needs includes or excludes")
    need = "includes and excludes are lists of words"
    includes, excludes = value.get("includes"), value.get("excludes")
    return Word(
        includes=() if includes is None else tuple(_texts(includes, need)),
        excludes=() if excludes is None else tuple(_texts(excludes, need)),
    )


def _cells(value: Any) -> Cells:
    table = _table(value, "cells are a table such as { steps = ['SYN'] }")
    check_keys(table, ("steps", "by"))
    names = _texts(table.get("steps", []), "steps is a list of steps")
    known = [str(step) for step in Step]
    for name in names:
        if name not in known:
            raise ValueError(f"'{name}' is no step{close(name, known)}")
    by = table.get("by")
    if by is not None and not isinstance(by, str):
        raise ValueError("by is the name of a text")
    return Cells(frozenset(Step(name) for name in names), by)


_READERS: dict[Kind, Callable[[Any], Expectation]] = {
    Kind.SEGMENT: _segment,
    Kind.DURATION: _duration,
    Kind.LADDER: _ladder,
    Kind.OUTCOME: _outcome,
    Kind.STATES: _states,
    Kind.COUNT: _count,
    Kind.FACT: _fact,
    Kind.WORD: _word,
    Kind.CELLS: _cells,
}


def _bounds(
    table: dict[str, Any], read: Callable[[Any], _Number]
) -> tuple[_Number | None, _Number | None]:
    if "between" in table:
        pair = table["between"]
        if len(table) > 1 or not isinstance(pair, list) or len(pair) != 2:
            raise ValueError("between is a list of two numbers, and stands alone")
        low, high = read(pair[0]), read(pair[1])
        if low > high:
            raise ValueError(f"nothing is between {low} and {high}")
        return low, high
    if len(table) != 1:
        raise ValueError("one of at_least, at_most and between is needed; both ends are 'between'")
    return _optional(table, "at_least", read), _optional(table, "at_most", read)


def _optional(table: dict[str, Any], key: str, read: Callable[[Any], _Value]) -> _Value | None:
    return read(table[key]) if key in table else None


def _table(value: Any, need: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{need}, not {value!r}")  # noqa: TRY004 - the user's input
    return value


def _texts(value: Any, need: str) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{need}, not {value!r}")
    return texts


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


def _number(value: Any) -> float:
    if not _is_number(value) or value < 0:
        raise ValueError(f"{value!r} is not a number of 0 or more")
    return float(value)


def _integer(value: Any) -> int:
    if not _is_integer(value):
        raise ValueError(f"{value!r} is not a whole number")
    return int(value)


def _numbers(value: Any, need: str) -> list[float]:
    if not isinstance(value, list):
        raise ValueError(f"{need}, not {value!r}")  # noqa: TRY004 - the user's input
    return [_number(item) for item in value]


def _integers(value: list[Any]) -> list[int]:
    if not value:
        raise ValueError("a list of counts is empty")
    return [_integer(item) for item in value]
