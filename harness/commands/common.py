"""Common: what several commands need, to declare themselves and to find what they look at."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.judgement.verdict import Judgement
from harness.reporting.marked import Marked, scan
from harness.reporting.run import FILE_NAME, read_run

CHECKOUT = Path(__file__).parents[2]
"""Where testcases lie when the harness is used from its source."""

DIFFERS = 1
"""The exit status for a finding: runs that differ, a machine that lacks something."""


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    """Declare a command, what runs it, and what it is for."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=words.capitalize() + "."
    )
    parser.set_defaults(command=run)
    return parser


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Declare where testcases, the last run and further documents are."""
    add = parser.add_argument
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--reports", type=Path, metavar="DIR", help="where the last run is (reports)")
    add(
        "--documents",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="documents that come on top of the packaged ones; repeatable",
    )


def show(lines: Iterable[str]) -> None:
    """Write lines to the user."""
    for line in lines:
        sys.stdout.write(f"{line}\n")


def marked(options: argparse.Namespace) -> tuple[list[Marked], Path]:
    """Return the testcases' markers and the folder that their node ids are relative to."""
    folder: Path | None = options.testcases
    if folder is None:
        here = Path("testcases")
        folder = here if here.is_dir() else CHECKOUT / "testcases"
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of testcases; name it by --testcases")
    folder = folder.absolute()
    return scan(folder), folder.parent


def last_run(options: argparse.Namespace) -> tuple[Judgement, ...]:
    """Return the last run's verdicts; nothing was judged if there is none in the usual place."""
    if options.reports is None and not Path("reports", FILE_NAME).exists():
        return ()
    return read_run(options.reports or Path("reports")).verdicts
