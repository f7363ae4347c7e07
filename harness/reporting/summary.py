"""Summary: a run told in the terminal, what is wrong first and what is well as a number."""

import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.findings import Finding, grouped, merged, reason
from harness.reporting.text import columns, counted, cut, distinct, filled, listed, printable

WIDTH = 100
"""Columns that the summary is laid out for."""

NAME_WIDTH = 40

JUDGED = (Verdict.CONFORMS, Verdict.PERMITTED, Verdict.DEVIATES)
"""The verdicts that say something about the target."""


class WriteLine(Protocol):
    """Writes one line to a terminal; markup is pytest's: `red=True`, `bold=True`."""

    def __call__(self, line: str, /, **markup: bool) -> object:
        """Write `line` and end it."""


@dataclass(frozen=True, slots=True)
class Results:
    """What the summary is about.

    `titles` maps documents' ids to their titles, `stale` holds the conclusions' lines about ledger
    entries that no longer deviate, `reports` is the folder that captures' paths are relative to,
    `contradictions` names the measures of which documents contradict each other.
    """

    judgements: Sequence[Judgement]
    titles: Mapping[str, str] = field(default_factory=dict)
    stale: Sequence[str] = ()
    reports: Path = Path("reports")
    contradictions: Sequence[str] = ()

    def those(self, choose: Callable[[Judgement], bool]) -> list[Judgement]:
        """Return the judgements that `choose` picks."""
        return [one for one in self.judgements if choose(one)]


def summarize(write_line: WriteLine, results: Results) -> None:
    """Write the summary of a run, line by line, deviations that fail it first."""
    if not results.judgements and not results.stale:
        write_line("nothing was judged")
        return
    stale = distinct(results.stale)
    _headline(write_line, results, stale)
    for finding in merged(results.those(is_new)):
        _block(write_line, finding, results)
    _stale(write_line, stale)
    _known(write_line, merged(results.those(is_known)))
    _informative(write_line, merged(results.those(is_informative)), results.titles)
    _unsupported(write_line, results.those(lambda one: one.verdict is Verdict.UNSUPPORTED))
    _inconclusive(write_line, results.those(lambda one: one.verdict is Verdict.INCONCLUSIVE))
    if results.contradictions:
        measures = counted(len(results.contradictions), "measure")
        write_line("")
        write_line(f"documents contradict each other about {measures}: tcpspec contradictions")
    _table(write_line, results.judgements)


def is_new(one: Judgement) -> bool:
    """Tell whether a judgement fails the run: a binding deviation that the ledger lacks."""
    return one.verdict is Verdict.DEVIATES and one.binding and not one.known


def is_known(one: Judgement) -> bool:
    """Tell whether a judgement is a deviation that the ledger has."""
    return one.verdict is Verdict.DEVIATES and one.known


def is_informative(one: Judgement) -> bool:
    """Tell whether a judgement is a deviation from a document that does not bind here."""
    return one.verdict is Verdict.DEVIATES and not one.binding and not one.known


def _headline(write_line: WriteLine, results: Results, stale: Sequence[str]) -> None:
    new = len(merged(results.those(is_new)))
    said = [counted(new, "deviation") if new else "no deviation"]
    if stale:
        said.append(counted(len(stale), "stale ledger entry", "stale ledger entries"))
    known = len(merged(results.those(is_known)))
    if known:
        said.append(counted(known, "known deviation"))
    conform = len(results.those(lambda one: one.verdict is Verdict.CONFORMS))
    verdicts = counted(len(results.judgements), "verdict")
    wrong = bool(new or stale)
    line = f"{listed(said)}; {conform} of {verdicts} {'conforms' if conform == 1 else 'conform'}"
    write_line(line, bold=True, red=wrong, green=not wrong)


def _block(write_line: WriteLine, finding: Finding, results: Results) -> None:
    """Write a deviation that fails the run, whole."""
    first = finding.first
    write_line("")
    write_line(printable(f"{first.claim} on {finding.where}: {first.measure} deviates"), red=True)
    rows = [
        ("document", results.titles.get(first.document, first.document)),
        ("documented", first.documented),
        ("observed", finding.text),
        ("testcase", _testcases(finding)),
    ]
    captures = [str(results.reports / one.pcap) for one in finding.members if one.pcap]
    if captures:
        more = f" and {len(captures) - 1} more" if len(captures) > 1 else ""
        rows.append(("pcap", captures[0] + more))
    for label, text in rows:
        for line in filled(label, text, width=WIDTH):
            write_line(line)


def _testcases(finding: Finding) -> str:
    """Name the first testcase so that it can be run, and the parameters of the others."""
    names = distinct(one.testcase for one in finding.members)
    others = [f"[{name.partition('[')[2]}" for name in names[1:] if "[" in name]
    return listed([names[0], *others])


def _stale(write_line: WriteLine, stale: Sequence[str]) -> None:
    if not stale:
        return
    write_line("")
    write_line(f"stale ledger entries ({len(stale)}): they conform now", red=True)
    for entry in stale:
        _hanging(write_line, entry)


def _known(write_line: WriteLine, known: Sequence[Finding]) -> None:
    for where, findings in grouped(known, lambda one: one.where).items():
        write_line("")
        write_line(printable(f"known deviations ({len(findings)}) on {where}"), yellow=True)
        for why, alike in grouped(findings, lambda one: reason(one.first)).items():
            claims = ", ".join(distinct(one.first.claim for one in alike))
            seen = "; ".join(distinct(one.text for one in alike))
            _hanging(write_line, why)
            for line in (claims, f"observed  {seen}"):
                write_line(cut(printable(f"    {line}"), WIDTH))


def _informative(
    write_line: WriteLine, found: Sequence[Finding], titles: Mapping[str, str]
) -> None:
    groups = grouped(found, lambda one: (one.first.document, one.where))
    for (document, where), findings in groups.items():
        write_line("")
        rest = f", informative ({len(findings)}) on {where}"
        title = cut(f"deviations from {titles.get(document, document)}", WIDTH - len(rest))
        write_line(printable(title + rest), cyan=True)
        rows = [(one.first.claim, one.first.documented, f"not {one.text}") for one in findings]
        for line in _rows(rows, share=0.5):
            write_line(line)


def _rows(rows: Sequence[tuple[str, str, str]], share: float) -> list[str]:
    """Lay out claim and two texts on one line each.

    Of the room that is left to the texts the first gets `share`, and what the second does not need.
    """
    longest = [max(len(printable(text)) for text in column) for column in zip(*rows, strict=True)]
    named = min(NAME_WIDTH, longest[0])
    room = WIDTH - 2 - named - 4
    first = min(max(int(room * share), room - longest[2]), longest[1])
    cells = [
        (
            "  " + cut(printable(claim), named),
            cut(printable(one), first),
            cut(printable(other), room - first),
        )
        for claim, one, other in rows
    ]
    return columns(cells)


def _unsupported(write_line: WriteLine, judgements: Sequence[Judgement]) -> None:
    if not judgements:
        return
    write_line("")
    write_line(f"unsupported ({counted(len(judgements), 'verdict')})", bold=True)
    reasons = Counter(reason(one) for one in judgements)
    for text, count in reasons.most_common():
        targets = distinct(one.target for one in judgements if reason(one) == text)
        write_line(cut(f"{count:6}  {printable(text)} ({printable(listed(targets))})", WIDTH))


def _inconclusive(write_line: WriteLine, judgements: Sequence[Judgement]) -> None:
    if not judgements:
        return
    write_line("")
    write_line(f"inconclusive ({counted(len(judgements), 'verdict')})", bold=True, yellow=True)
    groups = grouped(
        merged(judgements, reason), lambda one: (one.first.measure, one.where, one.text)
    )
    for (measure, where, text), findings in groups.items():
        claims = distinct(one.first.claim for one in findings)
        shown = counted(len(claims), "claim") if len(claims) > 1 else claims[0]
        _hanging(write_line, f"{measure} on {where}: {text} [{shown}]")


def _hanging(write_line: WriteLine, text: str) -> None:
    """Write one entry of a list, its further lines indented."""
    for line in textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
    ):
        write_line(line)


def _table(write_line: WriteLine, judgements: Sequence[Judgement]) -> None:
    """Write a row of counts per target; `deviates` counts what fails the run, and only that."""
    heads = ("conforms", "permitted", "deviates", "known", "informative")
    rows = [["target", *heads, "unsupported", "inconclusive", "measures", "claims"]]
    for target, of_target in grouped(judgements, lambda one: one.target).items():
        judged = [one for one in of_target if one.verdict in JUDGED]
        counts = [
            *(_count(of_target, verdict) for verdict in (Verdict.CONFORMS, Verdict.PERMITTED)),
            *(sum(map(choose, of_target)) for choose in (is_new, is_known, is_informative)),
            *(
                _count(of_target, verdict)
                for verdict in (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE)
            ),
            len({one.measure for one in judged}),
            len({one.claim for one in judged}),
        ]
        rows.append([cut(printable(target), NAME_WIDTH), *map(str, counts)])
    write_line("")
    for place, line in enumerate(columns(rows, right=True, gap=1)):
        write_line(line, bold=place == 0)


def _count(judgements: Sequence[Judgement], verdict: Verdict) -> int:
    return sum(one.verdict is verdict for one in judgements)
