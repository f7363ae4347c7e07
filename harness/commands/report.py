"""Report: runs as pages."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.commands.common import CHECKOUT, command, marked, show
from harness.documents.library import Library
from harness.errors import UsageError
from harness.judgement.ledger import Ledger
from harness.reporting.allure3 import build as allure3
from harness.reporting.allure3 import program
from harness.reporting.coverage import Covered, cover
from harness.reporting.run import Run, read_run
from harness.reporting.site import build, columns
from harness.reporting.site.core import Report


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "report", _report, "build pages of one run or several")
    add = parser.add_argument
    add("runs", nargs="*", type=Path, metavar="RUN", help="reports folder or file")
    add("--output", type=Path, metavar="DIR", help="where to build (the folder of the first run)")
    add("--only", choices=("site", "allure"), help="build only the site, or only Allure's report")
    add("--title", default="tcpspec", help="what the pages are called")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--documents", type=Path, action="append", default=[], metavar="DIR",
        help="documents that come on top of the packaged ones; repeatable")  # fmt: skip
    add("--install", action="store_true", help="install Allure, by npm, into the cache; once")


def _report(options: argparse.Namespace) -> int:
    if options.install:
        show([f"Allure is in {program.install()}"])
        if not options.runs:
            return 0
    if not options.runs:
        raise UsageError("name a RUN: the folder that pytest was given by --reports")
    runs = [read_run(path) for path in options.runs]
    found = columns.of_runs(runs)
    output: Path = options.output or runs[0].path.parent
    if options.only != "allure":
        show([str(build.build(_of(options, runs, found), output / "site"))])
    if options.only == "allure" or (options.only is None and allure3.has_results(found)):
        if options.only is None and program.script() is None:
            show([f"Allure's report is not built, Allure is not installed: {program.HINT}"])
        else:
            show([str(allure3.build(found, output / "allure", title=options.title))])
    return 0


def _of(
    options: argparse.Namespace, runs: Sequence[Run], found: Sequence[columns.Column]
) -> Report:
    library = Library.load(*options.documents)
    return Report(
        title=options.title,
        columns=found,
        library=library,
        ledger=Ledger.load(library),
        covered=_covered(options, library, runs),
    )


def _covered(
    options: argparse.Namespace, library: Library, runs: Sequence[Run]
) -> Sequence[Covered]:
    """Return the coverage by the testcases that are here; nothing where there are none."""
    here = any(path.is_dir() for path in (Path("testcases"), CHECKOUT / "testcases"))
    if options.testcases is None and not here:
        return ()
    found, root = marked(options)
    return cover(library, found, root, [one for run in runs for one in run.verdicts])
