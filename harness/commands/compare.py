"""Compare: what differs between runs, or between targets of a run."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.commands.common import DIFFERS, command, show
from harness.documents.library import Library
from harness.judgement.ledger import Ledger
from harness.reporting import compare, comparison
from harness.reporting.site import build, columns
from harness.reporting.site.core import Report


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "compare", _compare, "compare runs, or targets of a run")
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="reports folder or file, or RUN:TARGET")
    add("--targets", default="", metavar="A,B", help="compare these targets of each run")
    add("--observations", action="store_true", help="what was observed must be alike too")
    add("--format", choices=("text", "json", "markdown", "html"), default="text")
    add("--output", type=Path, metavar="DIR", help="where html goes (comparison)")


def _compare(options: argparse.Namespace) -> int:
    targets = [name for name in options.targets.split(",") if name]
    sides = compare.sides_of(options.runs, targets)
    found = compare.compare(sides, observations=options.observations)
    if options.format == "json":
        show([json.dumps(compare.as_json(found), indent=1)])
    elif options.format == "markdown":
        show(comparison.as_markdown(found))
    elif options.format == "html":
        show([str(_pages(options, targets))])
    else:
        show(comparison.as_text(found))
    return 0 if found.equal else DIFFERS


def _pages(options: argparse.Namespace, targets: Sequence[str]) -> Path:
    """Build the pages of a report whose columns are the sides."""
    library = Library.load()
    report = Report(
        title=f"tcpspec compare {' '.join(options.runs)}",
        columns=columns.of_sides(compare.chosen_of(options.runs, targets)),
        library=library,
        ledger=Ledger.load(library),
        home={"differ": "1"},
    )
    return build.build(report, options.output or Path("comparison"))
