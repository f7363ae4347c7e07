"""Tcpspec: the command for what is not a test run."""

import argparse
import os
import sys
from collections.abc import Sequence

from harness.commands import (
    baseline,
    compare,
    contradictions,
    coverage,
    doctor,
    explain,
    kernels,
    mutants,
    report,
    sabotage,
    sweep,
    targets,
    tune,
)
from harness.errors import HarnessError, UsageError
from harness.reporting.text import printable

COMMANDS = (
    targets,
    kernels,
    doctor,
    report,
    compare,
    coverage,
    explain,
    contradictions,
    mutants,
    sabotage,
    sweep,
    baseline,
    tune,
)
"""The commands, in the order in which they are listed."""

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
    for one in COMMANDS:
        one.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
