"""Compare: what differs between runs, or between targets of a run."""

import argparse
import json
from typing import Any

from harness.commands.common import DIFFERS, command, show
from harness.reporting import compare, comparison


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "compare", _compare, "compare runs, or targets of a run")
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="reports folder or file, or RUN:TARGET")
    add("--targets", default="", metavar="A,B", help="compare these targets of each run")
    add("--observations", action="store_true", help="what was observed must be alike too")
    add("--format", choices=("text", "json", "markdown"), default="text")


def _compare(options: argparse.Namespace) -> int:
    targets = [name for name in options.targets.split(",") if name]
    sides = compare.sides_of(options.runs, targets)
    found = compare.compare(sides, observations=options.observations)
    if options.format == "json":
        show([json.dumps(compare.as_json(found), indent=1)])
    elif options.format == "markdown":
        show(comparison.as_markdown(found))
    else:
        show(comparison.as_text(found))
    return 0 if found.equal else DIFFERS
