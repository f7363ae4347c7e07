"""Sabotage: whether each testcase can be turned red on a stack that conforms."""

import argparse
import sys
from pathlib import Path
from typing import Any

from harness.commands.common import DIFFERS, command, marked, show
from harness.documents.library import Library
from harness.reporting import mutation, sabotage

WORKERS = 18

_HUNG = {"tuned": 180.0, "documented": 600.0}
"""Seconds of wall time that a run under harm may last."""


def add(commands: Any) -> None:
    """Declare the command."""
    words = "find for each testcase something that turns it red"
    parser = command(commands, "sabotage", _sabotage, words)
    add = parser.add_argument
    add("--target", default="netns", metavar="NAME", help="on which stack (netns)")
    add(
        "--resume",
        type=Path,
        default=Path("sabotage.json"),
        metavar="FILE",
        help="where it is kept",
    )
    add("--list", action="store_true", help="list the means, in the order in which they are tried")
    add("--show", action="store_true", help="show what is kept, and try nothing")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--timers", choices=("tuned", "documented"), default="tuned")
    add("--first", type=Path, metavar="FILE", help="an earlier list, of what is tried first")
    add("--mutants", type=Path, metavar="FILE", help="what tcpspec mutants kept, for the rest")
    add("--patience", type=float, default=300.0, metavar="SECONDS", help="longest wait (300)")
    add("--piece", type=int, default=500, metavar="N", help="testcases of one run of pytest (500)")
    add("--workers", type=int, default=WORKERS, metavar="N", help="workers of one run (18)")
    add("--family", choices=("ipv4", "ipv6"), help="in one address family only (both)")


def _sabotage(options: argparse.Namespace) -> int:
    if options.list:
        show(sabotage.MEANS)
        return 0
    found, root = marked(options)
    measures: dict[str, list[str]] = {}
    for one in found:
        measures.setdefault(one.name(root), []).append(one.measure)
    testcases = tuple(measures)
    if options.show:
        kept = sabotage.read(options.resume)
    else:
        # Whatever a document says of a stack can be seen to be wrong.
        bound = [f"--bind={name}" for name in Library.load().documents]
        workers = ["-n", str(options.workers)] if options.workers > 1 else []
        search = sabotage.Search(
            options.target,
            testcases,
            root,
            options.resume.absolute(),
            ["--timers", options.timers, f"--patience={options.patience}", *workers, *bound],
            max(1, options.piece),
            options.family or "",
            first=sabotage.read_list(options.first) if options.first else {},
            hung=_HUNG[options.timers],
        )

        def told(line: str) -> None:
            sys.stderr.write(f"{line}\n")

        kept = search.run(told)
    mutants = sabotage.mutants_of(mutation.kept_in(options.mutants))
    show(sabotage.lines(kept, testcases, measures, mutants))
    return 0 if all(one in kept.by for one in testcases) else DIFFERS
