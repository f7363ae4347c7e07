"""Contradictions: where documents disagree, and whom the last run bears out."""

import argparse
import json
from pathlib import Path
from typing import Any

from harness.commands.common import command, show
from harness.documents.library import Library
from harness.reporting import contradictions
from harness.reporting.run import read_run


def add(commands: Any) -> None:
    """Declare the command."""
    words = "show where documents disagree, and which of them the last run bears out"
    parser = command(commands, "contradictions", _contradictions, words)
    add = parser.add_argument
    add("--reports", type=Path, default=Path("reports"), metavar="DIR",
        help="where the last run is (reports)")  # fmt: skip
    add("--documents", type=Path, action="append", default=[], metavar="DIR",
        help="documents that come on top of the packaged ones; repeatable")  # fmt: skip
    add("--format", choices=("text", "json"), default="text")


def _contradictions(options: argparse.Namespace) -> int:
    library = Library.load(*options.documents)
    found = contradictions.find(library, read_run(options.reports).verdicts)
    if options.format == "json":
        show([json.dumps(contradictions.as_json(found), indent=1)])
    else:
        show(contradictions.as_text(found))
    return 0
