"""Mutants: whether the catalogue notices the faults of a faulty model."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.commands.common import DIFFERS, command, marked, show
from harness.documents.library import Library
from harness.errors import UsageError
from harness.reporting import mutation
from harness.reporting.marked import Marked
from harness.targets.model import mutants


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "mutants", _mutants, "see whether the catalogue notices faults")
    add = parser.add_argument
    add("names", nargs="*", metavar="MUTANT", help="these only (all)")
    add("--list", action="store_true", help="list the mutants and the claims that they break")
    add("--model", default="model-rfc9293", metavar="NAME", help="what has the faults")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add(
        "--whole",
        action="store_true",
        help="run all testcases with each, not a tenth of those that are far",
    )
    add("--resume", type=Path, metavar="FILE", help="keep what is found, and begin with it")
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
    topics = {claim.id: claim.topic for claim in library.claims.values()}
    names = tuple(dict.fromkeys(each.name(root) for each in found))
    faults = [_fault(one, library, found, root) for one in chosen]
    trials = mutation.Trials(
        options.model,
        names,
        root,
        topics,
        options.family or "",
        max(1, options.jobs),
        options.whole,
        options.resume,
    )

    def told(outcome: mutation.Outcome) -> None:
        sys.stderr.write(f"{mutation.headline(outcome)}\n")

    outcomes = trials.run(faults, told)
    show(mutation.lines(outcomes, topics))
    return 0 if all(one.well for one in outcomes) else DIFFERS


def _fault(
    mutant: mutants.Mutant, library: Library, found: Sequence[Marked], root: Path
) -> mutation.Fault:
    """Return a fault with the testcases that judge what it breaks."""
    claims = [library.claims[claim] for claim in mutant.breaks if claim in library.claims]
    measures = {judged.measure for claim in claims for judged in claim.judged}
    near = dict.fromkeys(each.name(root) for each in found if each.measure in measures)
    return mutation.Fault(mutant.name, mutant.breaks, frozenset(mutant.touches), tuple(near))
