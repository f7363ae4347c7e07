"""Report: runs as pages."""

import argparse
from pathlib import Path
from typing import Any

from harness.commands.common import CHECKOUT, command, marked, show
from harness.documents.library import Library
from harness.judgement.ledger import Ledger
from harness.reporting.coverage import Covered, cover
from harness.reporting.run import Run, read_run
from harness.reporting.site import build, columns
from harness.reporting.site.core import Report


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "report", _report, "build pages of one run or several")
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="reports folder or file")
    add("--output", type=Path, metavar="DIR", help="where to build (site in the first run)")
    add("--title", default="tcpspec", help="what the pages are called")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--documents", type=Path, action="append", default=[], metavar="DIR",
        help="documents that come on top of the packaged ones; repeatable")  # fmt: skip


def _report(options: argparse.Namespace) -> int:
    runs = [read_run(path) for path in options.runs]
    library = Library.load(*options.documents)
    output = options.output or runs[0].path.parent / "site"
    report = Report(
        title=options.title,
        columns=columns.of_runs(runs),
        library=library,
        ledger=Ledger.load(library),
        covered=_covered(options, library, runs),
    )
    show([str(build.build(report, output))])
    return 0


def _covered(options: argparse.Namespace, library: Library, runs: list[Run]) -> list[Covered]:
    """Return the coverage by the testcases that are here; nothing where there are none."""
    here = any(path.is_dir() for path in (Path("testcases"), CHECKOUT / "testcases"))
    if options.testcases is None and not here:
        return []
    found, root = marked(options)
    return cover(library, found, root, [one for run in runs for one in run.verdicts])
