"""Comparison: how sides that were compared are shown, as text and as Markdown."""

from collections.abc import Iterator, Sequence

from harness.judgement.verdict import Judgement
from harness.reporting.compare import REASONED, Comparison, Row
from harness.reporting.coverage import verdict_words
from harness.reporting.findings import alike, grouped
from harness.reporting.text import columns, counted, cut, distinct, listed, printable

WIDTH = 100

LONGEST = 60_000
"""Characters of Markdown at most: a comment on a pull request takes 65,536."""

CELL = 160
"""Characters of a cell of Markdown at most."""

Words = tuple[str, str]


def cell_words(cell: Sequence[Judgement]) -> Words:
    """Return verdict and observation of one side, or that there is none, in words."""
    if not cell:
        return "not judged", ""
    said = ((one.reason or "") if one.verdict in REASONED else one.observed for one in cell)
    return listed(distinct(map(verdict_words, cell))), printable("; ".join(distinct(said)))


def headline(comparison: Comparison) -> str:
    """Say in one sentence how many verdicts differ."""
    differs, only = len(comparison.differs), len(comparison.only)
    total = differs + only + comparison.same
    sides = printable(listed(comparison.names))
    if comparison.equal:
        return f"no difference between {sides}: {counted(total, 'verdict')} the same"
    parts = [f"{differs} of {counted(total, 'verdict')} {'differs' if differs == 1 else 'differ'}"]
    if only:
        parts.append(f"{only} not judged on every side")
    return f"{', '.join(parts)}: {sides}"


def as_text(comparison: Comparison) -> list[str]:
    """Return a comparison as lines, what differs before what only some sides have."""
    lines = [headline(comparison)]
    for row, families in _by_family(comparison.differs):
        lines += ["", cut(_subject(row, families), WIDTH)]
        cells = [
            (f"  {printable(name)}", *cell_words(cell))
            for name, cell in zip(comparison.names, row.cells, strict=True)
        ]
        lines += [cut(line, WIDTH) for line in columns(cells)]
    for missing, rows in grouped(comparison.only, _missing).items():
        names = [name for name, gone in zip(comparison.names, missing, strict=True) if gone]
        lines += ["", f"not judged on {printable(listed(names))} ({len(rows)})"]
        lines += [cut("  " + _subject(*pair), WIDTH) for pair in _by_family(rows)]
    return lines


def as_markdown(comparison: Comparison) -> list[str]:
    """Return a comparison as a sentence and one table of all that is not the same.

    It fits into a comment on a pull request: what does not is counted.
    """
    lines = [_escaped(headline(comparison))]
    if comparison.equal:
        return lines
    names = [_escaped(printable(name)) for name in comparison.names]
    lines += ["", _table_row("claim", "measure", "testcase", *names)]
    lines.append(_table_row(*["---"] * (3 + len(names))))
    length = sum(map(len, lines))
    rows = list(_by_family((*comparison.differs, *comparison.only)))
    for place, (row, families) in enumerate(rows):
        subject = row.subject
        testcase = subject.testcase.rpartition("::")[2]
        where = ", ".join(filter(None, (subject.target, listed(families))))
        cells = [": ".join(filter(None, cell_words(cell))) for cell in row.cells]
        named = f"{testcase} ({where})" if where else testcase
        words = (subject.claim, subject.measure, named, *cells)
        line = _table_row(*(_escaped(cut(printable(word), CELL)) for word in words))
        length += len(line) + 1
        if length > LONGEST:
            more = counted(len(rows) - place, "more row")
            return [*lines, "", f"… and {more}: `tcpspec compare` shows all"]
        lines.append(line)
    return lines


def _by_family(rows: Sequence[Row]) -> Iterator[tuple[Row, list[str]]]:
    """Yield rows that differ in nothing but the family once, with their families."""

    def key(row: Row) -> tuple[object, ...]:
        subject = row.subject
        verdicts = tuple(cell_words(cell)[0] for cell in row.cells)
        return subject.claim, subject.measure, subject.testcase, subject.target, verdicts

    for members in grouped(rows, key).values():
        left = list(members)
        while left:
            same = [row for row in left if _alike(left[0], row)]
            left = [row for row in left if row not in same]
            yield same[0], [row.subject.family for row in same if row.subject.family]


def _alike(one: Row, other: Row) -> bool:
    pairs = zip(one.cells, other.cells, strict=True)
    return all(alike(cell_words(left)[1], cell_words(right)[1]) for left, right in pairs)


def _subject(row: Row, families: Sequence[str]) -> str:
    subject = row.subject
    testcase = subject.testcase.rpartition("/")[2]
    where = ", ".join(filter(None, (subject.target, listed(families))))
    line = f"{subject.claim}  {subject.measure}" + (f" ({where})" if where else "")
    return printable(f"{line}  {testcase}")


def _missing(row: Row) -> tuple[bool, ...]:
    return tuple(not cell for cell in row.cells)


def _table_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    r"""Escape what Markdown would read as markup: `*`, `_`, `|`, `<` and the like."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>|" else char for char in text)
