"""Tcpspec: the command for what is not a test run."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.documents.library import Library
from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Judgement
from harness.reporting import (
    compare,
    comparison,
    coverage,
    doctor,
    explain,
    mutation,
    snapshot,
)
from harness.reporting.marked import Marked, scan
from harness.reporting.run import FILE_NAME, read_run
from harness.reporting.text import printable
from harness.targets.model import mutants

CHECKOUT = Path(__file__).parents[1]
"""Where testcases lie when the harness is used from its source."""

DIFFERS = 1
USAGE = 2
FAILED = 3
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 for a finding, 2 for a user's mistake, 3 for ours."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
    except HarnessError as error:
        return _complain(str(error), USAGE if isinstance(error, UsageError) else FAILED)
    except BrokenPipeError:
        _forget_output()
        return 0
    except OSError as error:
        _forget_output()
        return _complain(f"{error.strerror}", FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"tcpspec: {printable(text)}\n")
    return status


def _forget_output() -> None:
    """Give the interpreter a place that it can flush to when the reader has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tcpspec", description="Look at targets, documents and runs; pytest makes the runs."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _command(commands, "targets", _targets, "list the stacks that can be tested, and can run here")
    _command(commands, "doctor", _doctor, "say what this machine lacks, and how to install it")
    _add_compare(_command(commands, "compare", _compare, "compare runs, or targets of a run"))
    _add_coverage(_command(commands, "coverage", _coverage, "list the claims and what judges them"))
    one = _command(commands, "explain", _explain, "tell all about one claim")
    one.add_argument("claim", metavar="CLAIM", help="the id of a claim, such as RFC9293:MUST-13")
    _add_sources(one)
    _add_mutants(
        _command(commands, "mutants", _mutants, "see whether the catalogue notices faults")
    )
    return parser


def _command(
    commands: Any, name: str, command: Callable[[argparse.Namespace], int], words: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=words, description=words.capitalize() + "."
    )
    parser.set_defaults(command=command)
    return parser


def _add_compare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="reports folder or file, or RUN:TARGET")
    add("--targets", default="", metavar="A,B", help="compare these targets of each run")
    add("--observations", action="store_true", help="what was observed must be alike too")
    add("--format", choices=("text", "json", "markdown"), default="text")


def _add_sources(parser: argparse.ArgumentParser) -> None:
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


def _add_coverage(parser: argparse.ArgumentParser) -> None:
    _add_sources(parser)
    add = parser.add_argument
    add("--format", choices=("text", "json"), default="text")
    add("--document", metavar="ID", help="only the claims of this document")
    add("--snapshot", type=Path, metavar="FILE", help="write coverage as a text to keep")
    add("--check", type=Path, metavar="FILE", help="fail if coverage is less than a snapshot's")


def _add_mutants(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("names", nargs="*", metavar="MUTANT", help="these only (all)")
    add("--list", action="store_true", help="list the mutants and the claims that they break")
    add("--model", default="model-rfc9293", metavar="NAME", help="what has the faults")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--whole", action="store_true", help="always run all testcases, to list all that notice")
    add("--family", choices=("ipv4", "ipv6"), help="in one address family only (both)")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="mutants at a time")


def _show(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


def _targets(_options: argparse.Namespace) -> int:
    _show(doctor.lines("targets, for pytest testcases --target NAME", doctor.targets()))
    return 0


def _doctor(_options: argparse.Namespace) -> int:
    targets = doctor.targets()
    ready = any(one.well and one.name == doctor.DEFAULT_TARGET for one in targets)
    _show([*doctor.lines("this machine", doctor.machine()), ""])
    _show([*doctor.lines("targets", targets), ""])
    _show([f"`pytest testcases` {'can' if ready else 'cannot'} run"])
    return 0 if ready else DIFFERS


def _compare(options: argparse.Namespace) -> int:
    targets = [name for name in options.targets.split(",") if name]
    sides = compare.sides_of(options.runs, targets)
    found = compare.compare(sides, observations=options.observations)
    if options.format == "json":
        _show([json.dumps(compare.as_json(found), indent=1)])
    elif options.format == "markdown":
        _show(comparison.as_markdown(found))
    else:
        _show(comparison.as_text(found))
    return 0 if found.equal else DIFFERS


def _coverage(options: argparse.Namespace) -> int:
    library = Library.load(*options.documents)
    marked, root = _marked(options)
    for one in marked:
        if one.measure not in library.measures:
            raise UsageError(f"{one.path}:{one.line}: no measure is called '{one.measure}'")
    covered = coverage.cover(library, marked, root, _last_run(options))
    if options.check:
        return _check(options.check, covered)
    if options.snapshot:
        snapshot.write(options.snapshot, covered)
        return 0
    if options.document:
        document = library.document(options.document)
        covered = [one for one in covered if one.claim.document is document]
    if options.format == "json":
        _show([json.dumps(coverage.as_json(covered), indent=1)])
    else:
        _show([*coverage.table(covered), *coverage.listing(covered)])
    return 0


def _check(path: Path, covered: Sequence[coverage.Covered]) -> int:
    before, now = snapshot.read(path), snapshot.rows(covered)
    lost = snapshot.lost(before, now)
    if lost:
        _show(["coverage has shrunk:", *(f"  {printable(line)}" for line in lost)])
        _show([f"if that is meant: tcpspec coverage --snapshot {path}"])
        return DIFFERS
    gained = snapshot.gained(before, now)
    more = f"; {gained} lines are new: tcpspec coverage --snapshot {path}" if gained else ""
    _show([f"coverage has not shrunk{more}"])
    return 0


def _explain(options: argparse.Namespace) -> int:
    library = Library.load(*options.documents)
    claim = library.claim(options.claim)
    marked, root = _marked(options)
    _show(explain.explain(claim, library, marked, root, _last_run(options)))
    return 0


def _mutants(options: argparse.Namespace) -> int:
    known = mutants.load()
    if unknown := [name for name in options.names if name not in known]:
        raise UsageError(f"no mutant is called {unknown[0]}: `tcpspec mutants --list` lists them")
    chosen = [known[name] for name in options.names or known]
    if options.list:
        _show(f"{one.name}: {', '.join(one.breaks)}" for one in chosen)
        return 0
    marked, root = _marked(options)
    library = Library.load()
    near: dict[str, list[str]] = {}
    for one in () if options.whole else chosen:
        claims = [library.claims[claim] for claim in one.breaks if claim in library.claims]
        measures = {judged.measure for claim in claims for judged in claim.judged}
        fitting = [each.name(root) for each in marked if each.measure in measures]
        near[one.name] = sorted(set(fitting))
    trials = mutation.Trials(
        options.model,
        sorted({str(each.path) for each in marked}),
        root,
        options.family or "",
        max(1, options.jobs),
        near,
    )

    def told(outcome: mutation.Outcome) -> None:
        sys.stderr.write(f"{mutation.headline(outcome)}\n")

    outcomes = trials.run([(one.name, one.breaks) for one in chosen], told)
    _show(mutation.lines(outcomes))
    return 0 if all(one.killed for one in outcomes) else DIFFERS


def _marked(options: argparse.Namespace) -> tuple[list[Marked], Path]:
    """Return the testcases' markers and the folder that their node ids are relative to."""
    folder: Path | None = options.testcases
    if folder is None:
        here = Path("testcases")
        folder = here if here.is_dir() else CHECKOUT / "testcases"
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of testcases; name it by --testcases")
    folder = folder.absolute()
    return scan(folder), folder.parent


def _last_run(options: argparse.Namespace) -> tuple[Judgement, ...]:
    """Return the last run's verdicts; nothing was judged if there is none in the usual place."""
    if options.reports is None and not Path("reports", FILE_NAME).exists():
        return ()
    return read_run(options.reports or Path("reports")).verdicts


if __name__ == "__main__":
    sys.exit(main())
