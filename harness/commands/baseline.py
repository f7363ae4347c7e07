"""Baseline: a run's observations, kept to compare later runs with."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.commands.common import command, show
from harness.documents.computed import FUNCTIONS, MissingKnobError, resolve
from harness.documents.expectation import Computed, Count
from harness.documents.library import Library
from harness.documents.measure import Kind
from harness.errors import UsageError
from harness.reporting import baseline
from harness.reporting.run import read_run


def add(commands: Any) -> None:
    """Declare the command and what it does with baselines."""
    parser = command(commands, "baseline", _list, "keep what a run observed, to compare with")
    inner = parser.add_subparsers(title="commands", metavar="COMMAND")
    save = command(inner, "save", _save, "write what a run observed as a baseline")
    save.add_argument("name", metavar="NAME", help="baselines/NAME.txt, or a path of your own")
    save.add_argument("run", nargs="?", type=Path, default=Path("reports"), metavar="RUN")
    command(inner, "list", _list, "list the baselines here")


def _save(options: argparse.Namespace) -> int:
    run = read_run(options.run)
    if not run.targets or not run.verdicts:
        raise UsageError(f"{run.path}: this run judged nothing")
    path = baseline.place_of(options.name, Path())
    count = baseline.save(run, path, bounded(Library.load()))
    show([f"{path}: {count} measures of {', '.join(one.name for one in run.targets)}"])
    return 0


def _list(_options: argparse.Namespace) -> int:
    folder = Path(baseline.FOLDER)
    found = sorted(folder.glob(f"*{baseline.SUFFIX}"))
    for path in found:
        known = baseline.read(path)
        stacks = ", ".join(f"{one.name} ({one.version})" for one in known.stacks.values())
        show([f"{known.name}: {len(known.lines)} measures of {stacks}"])
    if not found:
        show([f"there is no baseline in {folder}; `tcpspec baseline save NAME` makes one"])
    return 0


def bounded(library: Library) -> Callable[[str], bool]:
    """Return what tells counts of which documents give no more than bounds: any will do."""

    def tells(measure: str) -> bool:
        known = library.measures.get(measure)
        if known is None or known.kind is not Kind.COUNT:
            return False
        for _, judged in library.claims_about(measure):
            expectation = judged.expectation
            if isinstance(expectation, Computed):
                function = FUNCTIONS[expectation.name]
                try:
                    expectation = resolve(expectation, dict.fromkeys(function.needs, 2.0))
                except MissingKnobError:
                    continue
            if isinstance(expectation, Count) and not expectation.values:
                return True
        return False

    return tells
