"""Behaviours: for each measure that has times in it, the picture of who expects and did what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.documents.claim import Claim, Judged
from harness.documents.computed import MissingKnobError, resolve
from harness.documents.expectation import Expectation
from harness.documents.library import Library
from harness.documents.measure import Kind
from harness.judgement.precision import Precision
from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.findings import alike, grouped
from harness.reporting.picture import behaviour
from harness.reporting.picture.behaviour import Row, Times
from harness.reporting.picture.scene import Scene
from harness.reporting.site.columns import Column
from harness.reporting.text import distinct, listed, printable

TIMED = (Kind.LADDER, Kind.DURATION, Kind.OUTCOME)
"""The kinds of measures that may have a picture."""

_SHOWN = 24
"""Rows of either half of a picture at most; the table below has all."""


def pictures(columns: Sequence[Column], library: Library) -> Iterator[tuple[str, Scene]]:
    """Yield the measures that have pictures, and those."""
    judged = [(column, one) for column in columns if not column.older for one in column.judgements]
    for name, members in grouped(judged, lambda pair: pair[1].measure).items():
        measure = library.measures.get(name)
        if measure is None or measure.kind not in TIMED:
            continue
        claims = {claim.id: (claim, one) for claim, one in library.claims_about(name)}
        observed = list(_observed(members, measure.kind))
        documented = list(_documented(members, claims))
        found = behaviour.scene(name, documented[:_SHOWN], observed[:_SHOWN])
        if found is not None:
            yield name, found


def _observed(members: Sequence[tuple[Column, Judgement]], kind: Kind) -> Iterator[Row]:
    """Yield a row for each target, families and testcases that show the same together."""
    for column, pairs in grouped(members, lambda pair: pair[0].name).items():
        seen: list[list[Judgement]] = []
        by_case = grouped((one for _, one in pairs), lambda one: (one.testcase, one.observed))
        for verdicts in by_case.values():
            first = verdicts[0]
            if not first.observed:
                continue
            same = next((each for each in seen if alike(each[0].observed, first.observed)), None)
            if same is None:
                seen.append(list(verdicts))
            else:
                same += verdicts
        for same in seen:
            families = sorted({one.family for one in same if one.family})
            name = f"{column} ({listed(families)})" if len(seen) > 1 and families else column
            times = _times(same[0].values, kind)
            yield Row(name, printable(same[0].observed), times, _standing(same))


def _times(values: Any, kind: Kind) -> list[Times]:
    read = behaviour.observed_ladder if kind is Kind.LADDER else behaviour.observed_range
    return read(values)


def _standing(verdicts: Iterable[Judgement]) -> str:
    """Return how what was seen stands to what binds: bad, known, good, or nothing."""
    binding = [one for one in verdicts if one.binding]
    if any(one.verdict is Verdict.DEVIATES and not one.known for one in binding):
        return "bad"
    if any(one.verdict is Verdict.DEVIATES for one in binding):
        return "known"
    return "good" if any(one.verdict is Verdict.CONFORMS for one in binding) else ""


def _documented(
    members: Sequence[tuple[Column, Judgement]], claims: Mapping[str, tuple[Claim, Judged]]
) -> Iterator[Row]:
    """Yield a row for each thing that is expected, with the claims that expect it.

    What is expected of some targets only, because it follows from their knobs, says of which.
    """
    told = [pair for pair in members if pair[1].claim in claims]
    everywhere = set(distinct(column.name for column, _ in told))
    for text, pairs in grouped(told, lambda pair: pair[1].documented).items():
        column, first = pairs[0]
        expectation = _resolved(claims[first.claim][1].expectation, first.knobs)
        if expectation is None:
            continue
        seen = first.values if isinstance(first.values, list) else []
        lengths = [each for each in seen if isinstance(each, int | float)]
        precision = Precision(column.target.tick, wheel=column.target.wheel)
        times = behaviour.expected(expectation, precision, lengths)
        if not times:
            continue
        ids = listed(distinct(one.claim for _, one in pairs))
        targets = {column.name for column, _ in pairs}
        where = "" if targets == everywhere else f"for {listed(sorted(targets))}: "
        yield Row(printable(text), where + ids, times)


def _resolved(expectation: Expectation, knobs: Mapping[str, float]) -> Expectation | None:
    try:
        return resolve(expectation, knobs)
    except (MissingKnobError, TypeError, ValueError, ArithmeticError):
        return None
