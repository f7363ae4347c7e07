"""Core: what every page of the site needs, as one object."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.documents.claim import Claim
from harness.documents.library import Library
from harness.documents.measure import Kind
from harness.judgement.ledger import Ledger
from harness.judgement.verdict import Verdict
from harness.reporting import contradictions, coverage
from harness.reporting.coverage import Covered
from harness.reporting.explain import in_words
from harness.reporting.findings import behaviour, grouped
from harness.reporting.run import FILE_NAME
from harness.reporting.site.columns import Column
from harness.reporting.site.table import Names, Numbered, verdicts
from harness.reporting.text import printable


@dataclass(frozen=True, slots=True)
class Report:
    """All that a site is about.

    `covered` is empty where there are no testcases to look at, `home` are the filters of the
    matrix that the site opens with.
    """

    title: str
    columns: Sequence[Column]
    library: Library
    ledger: Ledger
    covered: Sequence[Covered] = ()
    home: Mapping[str, str] = field(default_factory=dict)


def core(report: Report) -> dict[str, Any]:
    """Return documents, claims, measures, targets and all verdicts."""
    library = report.library
    names = Names(
        Numbered({name: place for place, name in enumerate(library.claims)}),
        Numbered({name: place for place, name in enumerate(library.measures)}),
    )
    table = verdicts(report.columns, names)
    documents = {one.claim: one.document for c in report.columns for one in c.judgements}
    covered = {one.claim.id: one for one in report.covered}
    return {
        "title": printable(report.title),
        "home": dict(report.home),
        "columns": [_column(one, report.columns) for one in report.columns],
        "documents": _documents(library, documents),
        "measures": [_measure(library, name) for name in names.measures.all],
        "claims": [_claim(library, name, documents, covered) for name in names.claims.all],
        "testcases": names.testcases.all,
        "texts": names.texts.all,
        "verdicts": table,
    }


def states(report: Report) -> dict[str, Any]:
    """Return what each target did in each cell of the matrix of states and segments."""
    texts: Numbered[str] = Numbered()
    found: dict[str, dict[str, dict[str, int]]] = {}
    for place, column in enumerate(report.columns):
        if column.older:
            continue
        for one in column.judgements:
            measure = report.library.measures.get(one.measure)
            if measure is None or measure.kind is not Kind.CELLS:
                continue
            if one.verdict in (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE):
                continue
            of_measure = found.setdefault(one.measure, {})
            for cell, done in _cells(one.values):
                key = f"{place} {one.family or ''}".strip()
                of_measure.setdefault(cell, {})[key] = texts.number(done)
    order = [name for name in report.library.measures if name in found]
    return {"measures": {name: found[name] for name in order}, "texts": texts.all}


def knowledge(report: Report) -> dict[str, Any]:
    """Return contradictions, coverage and the ledger."""
    judged = [one for c in report.columns if not c.older for one in c.judgements]
    return {
        "contradictions": contradictions.as_json(contradictions.find(report.library, judged)),
        "coverage": coverage.as_json(report.covered),
        "ledger": _ledger(report),
    }


def _cells(values: Any) -> list[tuple[str, str]]:
    if not isinstance(values, dict):
        return []
    return [(printable(str(cell)), printable(str(done))) for cell, done in values.items()]


def _column(one: Column, columns: Sequence[Column]) -> dict[str, Any]:
    target = one.target
    return {
        "name": printable(one.name),
        "stack": printable(f"{target.stack} {target.version}".strip()),
        "run": printable(_run_name(one)),
        "started": printable(one.run.started),
        "wall": round(one.run.wall_s, 1),
        "older": one.older,
        "latest": next(
            place for place, each in enumerate(columns) if each.name == one.name and not each.older
        ),
        "sysctls": {printable(key): printable(value) for key, value in target.sysctls.items()},
    }


def _run_name(one: Column) -> str:
    """Return what the user would call a run: its folder, unless it is but a file."""
    path = one.run.path
    return str(path.parent if path.name == FILE_NAME else path)


def _documents(library: Library, judged: Mapping[str, str]) -> list[dict[str, Any]]:
    found = [
        {"id": one.id, "title": one.title, "url": one.url.partition("#")[0], "binding": one.binding}
        for one in library.documents.values()
    ]
    # What binds comes first, and of that what says most.
    said = Counter(claim.document.id for claim in library.claims.values())
    found.sort(key=lambda one: (not one["binding"], -said[str(one["id"])]))
    known = {one["id"] for one in found}
    return found + [
        {"id": printable(name), "title": printable(name), "url": "", "binding": False}
        for name in dict.fromkeys(judged.values())
        if name not in known
    ]


def _measure(library: Library, name: str) -> list[Any]:
    """Return name, kind, topic, and what is observed."""
    one = library.measures.get(name)
    if one is None:
        return [printable(name), "", "", "This version of tcpspec has no such measure."]
    return [one.name, str(one.kind), one.topic, one.observes]


def _claim(
    library: Library, name: str, documents: Mapping[str, str], covered: Mapping[str, Covered]
) -> list[Any]:
    """Return id, document, strength, topic, place, address, what it says, status, why, measures."""
    one = library.claims.get(name)
    if one is None:
        gone = "This version of tcpspec has no such claim."
        return [printable(name), printable(documents[name]), "", "", "", "", gone, "", "", {}]
    coverage_ = covered.get(name)
    status = str(coverage_.status) if coverage_ else ""
    why = coverage_.why if coverage_ else one.unobservable or one.open
    return [
        one.id, one.document.id, str(one.strength), one.topic, one.place, one.url, one.says,
        status, why, _expected(one),
    ]  # fmt: skip


def _expected(claim: Claim) -> dict[str, str]:
    return {judged.measure: in_words(judged.expectation) for judged in claim.judged}


def _ledger(report: Report) -> list[dict[str, Any]]:
    """Return the entries, and where each was seen in these runs."""
    judged = [one for c in report.columns if not c.older for one in c.judgements]
    seen = grouped(judged, lambda one: (one.claim, one.measure))
    found = []
    for entry in report.ledger.entries:
        mine = seen.get((entry.claim, entry.measure), ())
        known = [one for one in mine if one.known and one.reason == entry.reason]
        found.append(
            {
                "stack": entry.stack,
                "claim": entry.claim,
                "measure": entry.measure,
                "versions": str(entry.versions),
                "reason": entry.reason,
                "reference": entry.reference,
                "targets": list(dict.fromkeys(printable(one.target) for one in known)),
                "testcases": list(dict.fromkeys(printable(behaviour(one)) for one in known)),
            }
        )
    return found
