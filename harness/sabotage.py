"""Sabotage: what is done to a stack's output, to see that a testcase can fail on it."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.targets.driver import Host
from harness.targets.liar import Liar, Lie, is_lie, parse_lie
from harness.wire.clock import Clock
from harness.wire.link import Link
from harness.wire.saboteur import EXAMPLES, Saboteur, parse_sabotage
from harness.wire.saboteur import Sabotage as Spoiling


@dataclass(frozen=True, slots=True)
class Deafness:
    """The stack stays at its defaults where a testcase asks for other knobs."""


Sabotage = Spoiling | Lie | Deafness
"""Of what passes the link, of what the stack tells its applications, or of what it is told."""

_DEAF = "ignore knobs"


def parse(text: str) -> Sabotage:
    """Read a sabotage; UsageError when it is none."""
    if " ".join(text.split()) == _DEAF:
        return Deafness()
    return parse_lie(text) if is_lie(text) else parse_sabotage(text)


def read(path: Path) -> dict[str, Sabotage]:
    """Read a TOML file of testcases, each with its own sabotage; UsageError for anything else.

    It has one table, `[sabotage]`: the name of a testcase, without target and family, and what is
    done to it.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))["sabotage"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path}: it has no table [sabotage] of testcases: {error}") from None
    if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
        raise UsageError(f"{path}: write what is done to a testcase as text, like {EXAMPLES}")
    return {testcase: parse(text) for testcase, text in table.items()}


def spoiled_link(link: Link, sabotages: Sequence[Sabotage], *, watched: bool = False) -> Link:
    """Return a link on which all that is done that concerns segments."""
    for one in sabotages:
        if isinstance(one, Spoiling):
            link = Saboteur(link, one, watched=watched)
    return link


def spoiled_host(host: Host, sabotages: Sequence[Sabotage], clock: Clock) -> Host:
    """Return a host that lies to its applications as it is said."""
    for one in sabotages:
        if isinstance(one, Lie):
            host = dataclasses.replace(host, channel=Liar(host.channel, one, clock.now))
    return host


def heard(
    knobs: Mapping[str, float], defaults: Mapping[str, float], sabotages: Sequence[Sabotage]
) -> Mapping[str, float]:
    """Return the knobs that a stack sets when it is asked for some: its defaults, if it is deaf."""
    if not any(isinstance(one, Deafness) for one in sabotages):
        return knobs
    return {name: defaults[name] for name in knobs if name in defaults}
