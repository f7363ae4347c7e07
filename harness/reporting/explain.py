"""Explain: one claim, from what the document says to what was last observed."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.documents.claim import Claim, Judged
from harness.documents.computed import FUNCTIONS, depends_on
from harness.documents.expectation import Computed, Expectation, Outcome
from harness.documents.library import Library
from harness.judgement.verdict import Judgement
from harness.reporting.coverage import verdict_words
from harness.reporting.findings import merged, observed, reason
from harness.reporting.marked import Marked
from harness.reporting.text import distinct, filled, listed, printable

WIDTH = 100


def explain(
    claim: Claim,
    library: Library,
    marked: Sequence[Marked],
    root: Path,
    judgements: Sequence[Judgement] = (),
) -> list[str]:
    """Return lines that tell all about a claim; `judgements` are those of the last run."""
    lines = _statement(claim)
    for judged in claim.judged:
        lines += ["", *_judged(judged, library, marked, root)]
        found = [
            one for one in judgements if (one.claim, one.measure) == (claim.id, judged.measure)
        ]
        lines += _observed(found, in_words(judged.expectation))
    if claim.unobservable:
        lines += ["", *_filled("not judged", claim.unobservable)]
    if claim.open:
        lines += ["", *_filled("open", f"not judged yet: {claim.open}")]
    return lines


def _statement(claim: Claim) -> list[str]:
    document = claim.document
    strength = claim.strength.name.replace("_", " ")
    lines = [
        f"{claim.id} ({strength})",
        *_filled("document", ", ".join(filter(None, (document.title, claim.place)))),
        *(_filled("where", claim.url) if claim.url else ()),
        *_filled("topic", claim.topic),
        *_filled("says", claim.says),
        *_filled("about", _about(claim)),
    ]
    if claim.judged and not document.binding:
        lines += _filled("binds", f"only with --bind {document.id}")
    return lines


def _about(claim: Claim) -> str:
    stacks = listed(sorted(claim.stacks)) if claim.stacks is not None else "every stack"
    versions = str(claim.versions)
    return f"{stacks} {versions}" if versions else stacks


def _judged(judged: Judged, library: Library, marked: Sequence[Marked], root: Path) -> list[str]:
    measure = library.measures[judged.measure]
    lines = [
        f"{measure.name} ({measure.kind})",
        *_filled("observed", measure.observes),
        *_filled("expected", in_words(judged.expectation)),
    ]
    if judged.default_of:
        knobs = listed(judged.default_of)
        lines += _filled("judged", f"only at the stack's own default of {knobs}")
    names = distinct(one.name(root) for one in marked if one.measure == measure.name)
    lines += [f"  {'run':<12}pytest {shlex.quote(printable(name))}" for name in names]
    return lines if names else [*lines, *_filled("run", "no testcase observes this yet")]


def in_words(expectation: Expectation) -> str:
    """Say what is expected; of what is computed, what the function does and with which knobs."""
    match expectation:
        case Computed(name=name):
            said = (FUNCTIONS[name].compute.__doc__ or name).partition("\n")[0].rstrip(".")
            knobs = depends_on(expectation)
            return f"{said}, from {listed(knobs)}" if knobs else said
        case Outcome(outcomes=outcomes, after=Computed() as after):
            return f"{' or '.join(outcomes)}; when: {in_words(after)}"
        case _:
            return expectation.text


def _observed(judgements: Sequence[Judgement], expected: str) -> list[str]:
    if not judgements:
        return _filled("last run", "not judged")
    lines: list[str] = []
    for finding in merged(judgements, _said):
        first = finding.first
        said = f"{finding.where}: {verdict_words(first)}, {finding.text}"
        if first.reason and not _without_observation(first):
            said += f" ({first.reason})"
        lines += _filled("last run", said)
        if first.documented not in ("", expected):
            lines += _filled("", f"where {first.documented} is documented")
    return lines


def _said(one: Judgement) -> str:
    return reason(one) if _without_observation(one) else observed(one)


def _without_observation(one: Judgement) -> bool:
    return not one.observed


def _filled(label: str, text: str) -> list[str]:
    return filled(label, text, width=WIDTH)
