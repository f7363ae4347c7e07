"""Doctor: what this machine lacks."""

import argparse
from typing import Any

from harness.commands.common import DIFFERS, command, show
from harness.reporting import doctor


def add(commands: Any) -> None:
    """Declare the command."""
    command(commands, "doctor", _doctor, "say what this machine lacks, and how to install it")


def _doctor(_options: argparse.Namespace) -> int:
    targets = doctor.targets()
    ready = any(one.well and one.name == doctor.DEFAULT_TARGET for one in targets)
    show([*doctor.lines("this machine", doctor.machine()), ""])
    show([*doctor.lines("targets", targets), ""])
    show([f"`pytest testcases` {'can' if ready else 'cannot'} run"])
    return 0 if ready else DIFFERS
