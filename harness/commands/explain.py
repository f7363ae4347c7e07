"""Explain: all about one claim."""

import argparse
from typing import Any

from harness.commands.common import add_sources, command, last_run, marked, show
from harness.documents.library import Library
from harness.reporting import explain


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "explain", _explain, "tell all about one claim")
    parser.add_argument("claim", metavar="CLAIM", help="the id of a claim, such as RFC9293:MUST-13")
    add_sources(parser)


def _explain(options: argparse.Namespace) -> int:
    library = Library.load(*options.documents)
    claim = library.claim(options.claim)
    found, root = marked(options)
    show(explain.explain(claim, library, found, root, last_run(options)))
    return 0
