"""Table: verdicts as columns of small numbers, each text once."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.findings import behaviour
from harness.reporting.site.columns import Column
from harness.reporting.text import printable

T = TypeVar("T", bound=Hashable)

VERDICTS = tuple(Verdict)
FAMILIES = (None, "ipv4", "ipv6")

BINDING, KNOWN = 1, 2
"""The flags of a verdict."""


@dataclass(slots=True)
class Numbered(Generic[T]):
    """Things that are numbered in the order of their first appearance."""

    places: dict[T, int] = field(default_factory=dict)

    def number(self, thing: T) -> int:
        """Return the number of a thing."""
        return self.places.setdefault(thing, len(self.places))

    @property
    def all(self) -> list[T]:
        """The things, in the order of their numbers."""
        return list(self.places)


@dataclass(slots=True)
class Names:
    """What verdicts refer to by number; `texts` begins with the one that is empty."""

    claims: Numbered[str]
    measures: Numbered[str]
    testcases: Numbered[str] = field(default_factory=Numbered)
    texts: Numbered[str] = field(default_factory=lambda: Numbered({"": 0}))

    def text(self, text: str | None) -> int:
        """Return the number of a text that is safe to show."""
        return self.texts.number(printable(text or ""))


def verdicts(columns: Sequence[Column], names: Names) -> dict[str, list[int]]:
    """Return all verdicts, a list for each of their members."""
    rows: list[Mapping[str, int]] = []
    for place, column in enumerate(columns):
        rows += [_row(one, place, names) for one in column.judgements]
    rows.sort(key=lambda row: (row["claim"], row["measure"], row["testcase"], row["column"]))
    members = rows[0].keys() if rows else ()
    return {member: [row[member] for row in rows] for member in members}


def _row(one: Judgement, column: int, names: Names) -> dict[str, int]:
    return {
        "claim": names.claims.number(one.claim),
        "measure": names.measures.number(one.measure),
        "testcase": names.testcases.number(printable(behaviour(one))),
        "column": column,
        "family": FAMILIES.index(one.family),
        "verdict": VERDICTS.index(one.verdict),
        "flags": BINDING * one.binding + KNOWN * one.known,
        "documented": names.text(one.documented),
        "observed": names.text(one.observed),
        "reason": names.text(one.reason),
        "noise": _milliseconds(one.noise_s),
        "attempt": one.attempt,
    }


def _milliseconds(seconds: Any) -> int:
    return 0 if seconds is None else min(round(max(seconds, 0.0) * 1000), 10**9)
