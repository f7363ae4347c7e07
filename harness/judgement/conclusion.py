"""Conclusion: what the judgements of one testcase make of it."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.documents.claim import Claim
from harness.documents.measure import Kind, Measure
from harness.judgement.verdict import Judgement, Verdict


class Outcome(enum.StrEnum):
    """How a testcase ends; what is inconclusive is tried once more, and then skipped."""

    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Record:
    """A judgement, with what a failure's text says of it."""

    judgement: Judgement
    claim: Claim
    measure: Measure
    details: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether it is a binding deviation that the ledger lacks."""
        one = self.judgement
        return one.verdict is Verdict.DEVIATES and one.binding and not one.known

    @property
    def headline(self) -> str:
        """The line that stands alone."""
        one = self.judgement
        return (
            f"{one.claim} on {one.target}: {one.documented} is documented, "
            f"{one.observed} was observed"
        )


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The outcome of a testcase, the text that explains it, and all that was judged.

    `stale` holds a line for every ledger entry that no longer deviates.
    """

    outcome: Outcome
    text: str
    judgements: tuple[Judgement, ...]
    stale: tuple[str, ...] = field(default=())


_JUDGED = (Verdict.CONFORMS, Verdict.PERMITTED, Verdict.DEVIATES)


def conclude(
    records: Sequence[Record], stale: Sequence[str], measures: Sequence[str]
) -> Conclusion:
    """Return what a testcase comes to; `measures` are those that it observed."""
    judgements = tuple(record.judgement for record in records)
    failing = [record for record in records if record.fails]
    if failing or stale:
        text = "\n".join(_failure(failing, stale))
        return Conclusion(Outcome.FAILED, text, judgements, tuple(stale))
    if not judgements:
        text = f"no document says anything of {', '.join(measures) or 'what was observed'}"
        return Conclusion(Outcome.UNSUPPORTED, text, judgements)
    unclear = [one for one in judgements if one.verdict is Verdict.INCONCLUSIVE]
    if binding := [one for one in unclear if one.binding]:
        return Conclusion(Outcome.INCONCLUSIVE, _reasons(binding), judgements)
    if any(one.verdict in _JUDGED for one in judgements):
        return Conclusion(Outcome.PASSED, "", judgements)
    if unclear:
        return Conclusion(Outcome.INCONCLUSIVE, _reasons(unclear), judgements)
    return Conclusion(Outcome.UNSUPPORTED, _reasons(judgements), judgements)


def _reasons(judgements: Sequence[Judgement]) -> str:
    return "; ".join(dict.fromkeys(one.reason or "no reason given" for one in judgements))


def _failure(failing: Sequence[Record], stale: Sequence[str]) -> list[str]:
    """Return the lines of a failure's text, the first of which stands alone."""
    if not failing:
        return [stale[0], *(f"  {line}" for line in stale[1:])]
    first, *others = failing
    lines = [first.headline, "", *_story(first)]
    for other in others:
        lines += ["", f"also: {other.headline}", "", *_story(other)]
    if stale:
        lines += ["", *stale]
    return lines


def _story(record: Record) -> list[str]:
    claim, one = record.claim, record.judgement
    place = ", ".join(filter(None, (claim.document.title, claim.place, str(claim.strength))))
    mark = "> " if record.measure.kind is Kind.SEGMENT else ""
    lines = [
        f"  {place} (measure {one.measure})",
        f'  "{claim.says}"',
        *([f"  {claim.url}"] if claim.url else []),
        "",
        f"    expected  {mark}{one.documented}",
        f"    observed  {mark}{one.observed}",
    ]
    if record.details:
        lines += ["", *(f"    {line}" for line in record.details)]
    return lines
