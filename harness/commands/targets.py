"""Targets: the stacks that can be tested."""

import argparse
from typing import Any

from harness.commands.common import command, show
from harness.reporting import doctor


def add(commands: Any) -> None:
    """Declare the command."""
    command(commands, "targets", _targets, "list the stacks that can be tested, and can run here")


def _targets(_options: argparse.Namespace) -> int:
    show(doctor.lines("targets, for pytest testcases --target NAME", doctor.targets()))
    return 0
