"""Timelines: what happened in each testcase, kept beside its capture for whoever draws it."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.peer.timeline import ASIDE, FROM, TOWARDS, Timeline

FOLDER = "timelines"
"""The folder of the reports that timelines lie in, as captures lie in theirs."""

_SCHEMA = 1
_DIRECTIONS = (TOWARDS, FROM, ASIDE)


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened; `at` is seconds from the first, `direction` seen from the target.

    `connection` numbers the connections that segments belong to, from 0 on; None for all else.
    """

    at: float
    direction: str
    text: str
    connection: int | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A testcase's timeline. `behaviour` is its docstring, `pair` says that two stacks met.

    The time between stamps is in seconds; events are in their order.
    """

    testcase: str
    behaviour: str
    pair: bool
    events: tuple[Happened, ...]


def story(timeline: Timeline, *, testcase: str, behaviour: str, pair: bool) -> Story:
    """Return what a testcase's timeline says."""
    ordered = list(timeline)
    origin = ordered[0].at if ordered else 0.0
    numbers: dict[tuple[int, int], int] = {}
    events = []
    for one in ordered:
        connection = None
        if one.segment is not None:
            ports = one.segment.source_port, one.segment.destination_port
            ends = ports if one.direction == TOWARDS else ports[::-1]
            connection = numbers.setdefault(ends, len(numbers))
        at = round(one.at - origin, 6)
        events.append(Happened(at, one.direction, one.text, connection))
    return Story(testcase, behaviour, pair, tuple(events))


def place(pcap: str) -> Path:
    """Return where the timeline of a capture lies; both are relative to the reports."""
    return Path(FOLDER, Path(pcap).name).with_suffix(".json")


def write(reports: Path, pcap: str, one: Story) -> Path:
    """Write a timeline beside its capture; HarnessError if the disk refuses."""
    path = reports / place(pcap)
    table = {
        "schema": _SCHEMA,
        "testcase": one.testcase,
        "behaviour": one.behaviour,
        "pair": one.pair,
        "events": [
            [event.at, event.direction, event.text, event.connection] for event in one.events
        ],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(table), encoding="ascii")
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}") from None
    return path


def read(reports: Path, pcap: str) -> Story | None:
    """Read the timeline of a capture, None if there is none; UsageError for one that is damaged.

    Only the name of the capture counts, so that nothing outside of the reports is ever read.
    """
    path = reports / place(pcap)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from None
    try:
        return _story(json.loads(data))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UsageError(f"{path}: damaged, or not a timeline of this version") from None


def _story(table: dict[str, Any]) -> Story:
    if table["schema"] != _SCHEMA:
        raise ValueError("another schema")
    found = Story(str(table["testcase"]), str(table["behaviour"]), bool(table["pair"]), ())
    return replace(found, events=tuple(_happened(table["events"])))


def _happened(rows: Iterable[Any]) -> Iterable[Happened]:
    for at, direction, text, connection in rows:
        if direction not in _DIRECTIONS or not isinstance(text, str):
            raise ValueError("no event")
        if not math.isfinite(at):
            raise ValueError("no time")
        number = None if connection is None else int(connection)
        yield Happened(float(at), direction, text, number)
