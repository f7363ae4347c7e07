"""Coverage: the claims, and what judges them."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.commands.common import DIFFERS, add_sources, command, last_run, marked, show
from harness.documents.library import Library
from harness.errors import UsageError
from harness.reporting import coverage, snapshot
from harness.reporting.text import printable

USUAL = Path()
"""Stands for the snapshot that is kept beside the testcases."""


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "coverage", _coverage, "list the claims and what judges them")
    add_sources(parser)
    add = parser.add_argument
    add("--format", choices=("text", "json"), default="text")
    add("--document", metavar="ID", help="only the claims of this document")
    kept: dict[str, Any] = {"nargs": "?", "const": USUAL, "type": Path, "metavar": "FILE"}
    add("--snapshot", **kept, help="write coverage as a text to keep (testcases/coverage.txt)")
    add("--check", **kept, help="fail if coverage is less than a snapshot's (as above)")


def _coverage(options: argparse.Namespace) -> int:
    library = Library.load(*options.documents)
    found, root = marked(options)
    for one in found:
        if one.measure not in library.measures:
            raise UsageError(f"{one.path}:{one.line}: no measure is called '{one.measure}'")
    covered = coverage.cover(library, found, root, last_run(options))
    folder = options.testcases.name if options.testcases else "testcases"
    usual = root / folder / snapshot.FILE_NAME
    if options.check:
        return _check(usual if options.check == USUAL else options.check, covered)
    if options.snapshot:
        snapshot.write(usual if options.snapshot == USUAL else options.snapshot, covered)
        return 0
    if options.document:
        document = library.document(options.document)
        covered = [one for one in covered if one.claim.document is document]
    if options.format == "json":
        show([json.dumps(coverage.as_json(covered), indent=1)])
    else:
        show([*coverage.table(covered), *coverage.listing(covered)])
    return 0


def _check(path: Path, covered: Sequence[coverage.Covered]) -> int:
    before, now = snapshot.read(path), snapshot.rows(covered)
    lost = snapshot.lost(before, now)
    if lost:
        show(["coverage has shrunk:", *(f"  {printable(line)}" for line in lost)])
        show([f"if that is meant: tcpspec coverage --snapshot {path}"])
        return DIFFERS
    gained = snapshot.gained(before, now)
    more = f"; {gained} lines are new: tcpspec coverage --snapshot {path}" if gained else ""
    show([f"coverage has not shrunk{more}"])
    return 0
