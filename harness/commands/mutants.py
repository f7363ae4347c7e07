"""Mutants: whether the catalogue notices the faults of a faulty model."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from harness.commands.common import DIFFERS, command, marked, show
from harness.documents.library import Library
from harness.errors import UsageError
from harness.reporting import mutation
from harness.targets.model import mutants


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "mutants", _mutants, "see whether the catalogue notices faults")
    add = parser.add_argument
    add("names", nargs="*", metavar="MUTANT", help="these only (all)")
    add("--list", action="store_true", help="list the mutants and the claims that they break")
    add("--model", default="model-rfc9293", metavar="NAME", help="what has the faults")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--whole", action="store_true", help="always run all testcases, to list all that notice")
    add("--family", choices=("ipv4", "ipv6"), help="in one address family only (both)")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="mutants at a time")


def _mutants(options: argparse.Namespace) -> int:
    known = mutants.load()
    if unknown := [name for name in options.names if name not in known]:
        raise UsageError(f"no mutant is called {unknown[0]}: `tcpspec mutants --list` lists them")
    chosen = [known[name] for name in options.names or known]
    if options.list:
        show(f"{one.name}: {', '.join(one.breaks)}" for one in chosen)
        return 0
    found, root = marked(options)
    library = Library.load()
    near: dict[str, list[str]] = {}
    for one in () if options.whole else chosen:
        claims = [library.claims[claim] for claim in one.breaks if claim in library.claims]
        measures = {judged.measure for claim in claims for judged in claim.judged}
        fitting = [each.name(root) for each in found if each.measure in measures]
        near[one.name] = sorted(set(fitting))
    trials = mutation.Trials(
        options.model,
        sorted({str(each.path) for each in found}),
        root,
        options.family or "",
        max(1, options.jobs),
        near,
    )

    def told(outcome: mutation.Outcome) -> None:
        sys.stderr.write(f"{mutation.headline(outcome)}\n")

    outcomes = trials.run([(one.name, one.breaks) for one in chosen], told)
    show(mutation.lines(outcomes))
    return 0 if all(one.killed for one in outcomes) else DIFFERS
