"""Coverage: for every claim the testcases that judge it, or why none does."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.documents.claim import Claim
from harness.documents.library import Library
from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.findings import grouped
from harness.reporting.marked import Marked
from harness.reporting.text import columns, cut, distinct, printable

WIDTH = 100


class Status(enum.StrEnum):
    """Whether a claim is judged."""

    JUDGED = "judged"
    PARTLY = "partly judged"
    WAITING = "no testcase"
    OPEN = "open"
    UNOBSERVABLE = "unobservable"


@dataclass(frozen=True, slots=True)
class Covered:
    """A claim, and by measure the testcases that judge it; `verdicts` maps targets to words."""

    claim: Claim
    testcases: Mapping[str, tuple[str, ...]]
    verdicts: Mapping[str, str]

    @property
    def status(self) -> Status:
        """Whether the claim is judged, wholly or in part, or why not."""
        if not self.testcases:
            return Status.UNOBSERVABLE if self.claim.unobservable else Status.OPEN
        if not any(self.testcases.values()):
            return Status.WAITING
        whole = all(self.testcases.values()) and not self.claim.open
        return Status.JUDGED if whole else Status.PARTLY

    @property
    def why(self) -> str:
        """What the documents, or the testcases, leave to be said about a claim not fully judged."""
        waiting = [measure for measure, names in self.testcases.items() if not names]
        said = [f"no testcase observes {measure}" for measure in waiting]
        if self.claim.unobservable:
            said.append(self.claim.unobservable)
        if self.claim.open:
            said.append(f"open: {self.claim.open}" if self.testcases else self.claim.open)
        return "; ".join(said)


def cover(
    library: Library, marked: Sequence[Marked], root: Path, judgements: Sequence[Judgement] = ()
) -> list[Covered]:
    """Return the coverage of every claim; testcases are named relative to `root`."""
    by_measure = grouped(marked, lambda one: one.measure)
    by_claim = grouped(judgements, lambda one: one.claim)
    return [
        Covered(
            claim,
            {
                judged.measure: tuple(
                    distinct(one.name(root) for one in by_measure.get(judged.measure, ()))
                )
                for judged in claim.judged
            },
            last_words(by_claim.get(claim.id, ())),
        )
        for claim in library.claims.values()
    ]


SEVERITY = (
    Verdict.DEVIATES,
    Verdict.INCONCLUSIVE,
    Verdict.PERMITTED,
    Verdict.CONFORMS,
    Verdict.UNSUPPORTED,
)
"""Which of several verdicts on one claim is told: what says most against it."""


def last_words(judgements: Iterable[Judgement]) -> dict[str, str]:
    """Return by target the verdict on one claim, over all its measures, in a word or two."""
    words = {}
    for target, of_target in grouped(judgements, lambda one: one.target).items():
        worst = min(of_target, key=lambda one: (SEVERITY.index(one.verdict), one.known))
        words[target] = verdict_words(worst)
    return words


def verdict_words(one: Judgement) -> str:
    """Say a verdict: `conforms`, `deviates (known)`, `deviates (informative)`."""
    if one.verdict is not Verdict.DEVIATES or (one.binding and not one.known):
        return str(one.verdict)
    return f"{one.verdict} ({'known' if one.known else 'informative'})"


def as_json(covered: Sequence[Covered]) -> list[dict[str, Any]]:
    """Return coverage as an object per claim."""
    return [
        {
            "claim": one.claim.id,
            "document": one.claim.document.id,
            "status": str(one.status),
            "why": one.why or None,
            "testcases": {measure: list(names) for measure, names in one.testcases.items()},
            "verdicts": dict(one.verdicts),
        }
        for one in covered
    ]


def table(covered: Sequence[Covered]) -> list[str]:
    """Count claims by document and status."""
    rows = [["document", "claims", *map(str, Status)]]
    groups = grouped(covered, lambda one: one.claim.document.id)
    for document, members in [*groups.items(), ("all", list(covered))]:
        counts = [sum(one.status is status for one in members) for status in Status]
        rows.append([document, str(len(members)), *map(str, counts)])
    return columns(rows, right=True)


def listing(covered: Sequence[Covered]) -> list[str]:
    """List every claim under its document: its verdicts, its testcases, or why it has none."""
    lines = []
    for members in grouped(covered, lambda one: one.claim.document.id).values():
        document = members[0].claim.document
        lines += ["", f"{document.title} ({document.id})"]
        width = max(len(one.claim.id) for one in members)
        for one in members:
            lines += _claim_lines(one, width)
    return [printable(line) for line in lines]


def _claim_lines(one: Covered, width: int) -> list[str]:
    said = [f"{target}: {word}" for target, word in one.verdicts.items()]
    head = ", ".join(said) or ("not judged yet" if any(one.testcases.values()) else "")
    note = f"{one.status}: {one.why}" if one.why else ""
    first = f"  {one.claim.id.ljust(width)}  {'; '.join(filter(None, (head, note)))}"
    by_testcase = grouped(
        ((name, measure) for measure, names in one.testcases.items() for name in names),
        lambda pair: pair[0],
    )
    return [cut(first, WIDTH)] + [
        f"      {name} ({', '.join(measure for _, measure in pairs)})"
        for name, pairs in by_testcase.items()
    ]
