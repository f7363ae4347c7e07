"""Report: runs as pages."""

import argparse
from pathlib import Path
from typing import Any

from harness.commands.common import add_sources, command, covered_here, show
from harness.documents.library import Library
from harness.judgement.ledger import Ledger
from harness.reporting.run import read_run
from harness.reporting.site import build, columns
from harness.reporting.site.core import Report


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "report", _report, "build pages of one run or several")
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="reports folder or file")
    add("--output", type=Path, metavar="DIR", help="where to build (site in the first run)")
    add("--title", default="tcpspec", help="what the pages are called")
    add_sources(parser)


def _report(options: argparse.Namespace) -> int:
    runs = [read_run(path) for path in options.runs]
    library = Library.load(*options.documents)
    output = options.output or runs[0].path.parent / "site"
    report = Report(
        title=options.title,
        columns=columns.of_runs(runs),
        library=library,
        ledger=Ledger.load(library),
        covered=covered_here(options, library, runs),
    )
    show([str(build.build(report, output))])
    return 0
