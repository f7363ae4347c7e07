"""Snapshot: coverage as a text that is kept with the source, so that it cannot shrink unseen.

A line is a claim, a measure and a testcase that judges the one by the other; or a claim and a word
for why none does.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.reporting.coverage import Covered, Status

FILE_NAME = "coverage.txt"
"""The snapshot that is kept beside the testcases."""

HEAD = "# Claims and what judges them; `tcpspec coverage --snapshot FILE` writes this file.\n"
WORDS = {Status.WAITING: "no-testcase", Status.OPEN: "open", Status.UNOBSERVABLE: "unobservable"}

Row = tuple[str, ...]


def rows(covered: Iterable[Covered]) -> list[Row]:
    """Return the lines of a snapshot, sorted, as tuples of words."""
    found: list[Row] = []
    for one in covered:
        pairs = [(measure, name) for measure, names in one.testcases.items() for name in names]
        found += [(one.claim.id, *pair) for pair in pairs]
        if not pairs:
            found.append((one.claim.id, WORDS[one.status]))
    return sorted(found)


def write(path: Path, covered: Iterable[Covered]) -> None:
    """Write a snapshot; UsageError if the file cannot be written."""
    text = HEAD + "".join(" ".join(row) + "\n" for row in rows(covered))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def read(path: Path) -> list[Row]:
    """Read a snapshot; UsageError names the line that is not one of a snapshot's."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: this is not UTF-8 text") from None
    found: list[Row] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        row = tuple(line.split(maxsplit=2))
        if len(row) != 3 and not (len(row) == 2 and row[1] in WORDS.values()):
            raise UsageError(f"{path}:{number}: not a line of a snapshot of coverage")
        found.append(row)
    return found


def lost(before: Sequence[Row], now: Sequence[Row]) -> list[str]:
    """Say what is no longer covered; nothing where testcases were renamed or added."""
    claims = {row[0] for row in now}
    counts = Counter(row[:2] for row in now if len(row) == 3)
    said = [f"{claim}: the claim is gone" for claim in sorted({row[0] for row in before} - claims)]
    for (claim, measure), count in Counter(row[:2] for row in before if len(row) == 3).items():
        if claim in claims and counts[claim, measure] < count:
            gone = [row[2] for row in before if row[:2] == (claim, measure) and row not in now]
            said += [f"{claim}: {measure} is no longer judged by {name}" for name in gone]
    return said


def gained(before: Sequence[Row], now: Sequence[Row]) -> int:
    """Count the lines that the snapshot does not have yet."""
    return len(set(now) - set(before))
