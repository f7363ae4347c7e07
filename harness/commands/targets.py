"""Targets: the stacks that can be tested."""

import argparse
from collections.abc import Iterator
from typing import Any

from harness.commands.common import DIFFERS, command, show
from harness.errors import HarnessError
from harness.reporting import doctor
from harness.reporting.text import printable
from harness.targets.driver import Capability, Facts, Settings
from harness.targets.privilege import ensure_privileges
from harness.targets.registry import driver


def add(commands: Any) -> None:
    """Declare the command."""
    words = "list the stacks that can be tested, and can run here"
    parser = command(commands, "targets", _targets, words)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="start these, and tell what they are and can do"
    )


def _targets(options: argparse.Namespace) -> int:
    if not options.names:
        show(doctor.lines("targets, for pytest testcases --target NAME", doctor.targets()))
        return 0
    if any(driver(name).privileged for name in options.names):
        ensure_privileges()
    runnable = [_describe(name) for name in options.names]
    return 0 if all(runnable) else DIFFERS


def _describe(name: str) -> bool:
    """Show what a target is and can do, or why it cannot run here; tell whether it can."""
    kind = driver(name)
    why = kind.missing()
    if why is None:
        started = kind()
        try:
            show(_lines(started.start(Settings())))
        except HarnessError as error:
            why = str(error)
        finally:
            started.stop()
    if why is not None:
        show([f"{name} cannot run here: {printable(why)}"])
    return why is None


def _lines(facts: Facts) -> Iterator[str]:
    lacking = sorted(frozenset(Capability) - facts.capabilities)
    yield f"{facts.name}: {facts.stack} {facts.version}"
    yield f"  families  {', '.join(facts.families)}"
    yield f"  time      {'virtual' if facts.virtual else 'real'}"
    yield f"  can       {', '.join(sorted(facts.capabilities)) or 'nothing'}"
    yield f"  lacks     {', '.join(lacking) or 'nothing'}"
    yield f"  knobs     {', '.join(sorted(facts.effective)) or 'none'}"
