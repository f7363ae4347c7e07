"""Firewall: iptables rules of a run, in the calling thread's network namespace."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError, UsageError
from harness.targets.channel import answered
from harness.targets.driver import Channel
from harness.wire.clock import Clock

_PROGRAMS = {"ipv4": "iptables", "ipv6": "ip6tables"}

# An ordinary user's PATH need not hold what root's does.
_PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Command:
    """One rule for one family, as words."""

    words: tuple[str, ...]

    def run(self) -> str | None:
        """Set the rule; return what iptables says if it refuses."""
        done = subprocess.run(
            self.words,
            capture_output=True,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=10,
        )
        lines = done.stderr.strip().splitlines()
        return (
            (lines[0] if lines else f"exit status {done.returncode}") if done.returncode else None
        )


def program(family: str) -> str | None:
    """Return the path of iptables for a family, or None if it is not installed."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_PLACES))
    return shutil.which(_PROGRAMS[family], path=path)


def words(rule: str) -> list[str]:
    """Split a rule as a shell would; UsageError if it cannot be read."""
    try:
        return shlex.split(rule)
    except ValueError as error:
        raise UsageError(f"the firewall rule {rule!r} cannot be read: {error}") from error


def accepted(rules: Sequence[str]) -> list[Command]:
    """Set each rule for IPv4 and for IPv6 and return the commands that were taken.

    A rule that names an address or a message of one family is refused by the other, which is no
    error. UsageError for a rule that neither takes.
    """
    found: list[Command] = []
    for rule in rules:
        complaints = []
        for family, name in _PROGRAMS.items():
            command = Command((program(family) or name, "-w", *words(rule)))
            complaint = command.run()
            if complaint is None:
                found.append(command)
            else:
                complaints.append(complaint)
        if len(complaints) == len(_PROGRAMS):
            raise UsageError(f"the firewall rule {rule!r} is refused: {complaints[0]}")
    return found


def apply(commands: Iterable[Command]) -> None:
    """Set rules that were once accepted; HarnessError if they are refused now."""
    for command in commands:
        if (complaint := command.run()) is not None:
            raise HarnessError(f"{shlex.join(command.words)}: {complaint}")


def accepted_inside(
    channel: Channel, clock: Clock, rules: Sequence[str], *, name: str
) -> list[tuple[str, list[str]]]:
    """Have an agent set each rule for IPv4 and IPv6; return those that were taken, as words.

    UsageError for a rule that neither takes.
    """
    found: list[tuple[str, list[str]]] = []
    for rule in rules:
        complaints = []
        for family in _PROGRAMS:
            reply = channel.request("iptables", family=family, arguments=words(rule))
            answered(reply, clock, name=name)
            if reply.error is None:
                found.append((family, words(rule)))
            else:
                complaints.append(str(reply.value or reply.error))
        if len(complaints) == len(_PROGRAMS):
            raise UsageError(f"the firewall rule {rule!r} is refused: {complaints[0]}")
    return found
