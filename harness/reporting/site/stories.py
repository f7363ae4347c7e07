"""Stories: the sequence diagrams of testcases, and the captures that lie beside them."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.judgement.verdict import Judgement
from harness.reporting import timelines
from harness.reporting.findings import behaviour, grouped
from harness.reporting.picture import sequence
from harness.reporting.site.columns import Column
from harness.reporting.text import printable

CAPTURES = "pcap"


@dataclass(slots=True)
class Shelf:
    """The stories by the file of their testcase, and how many captures were put on the shelf."""

    folder: Path
    by_file: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    captures: int = 0

    def take(self, place: int, column: Column) -> None:
        """Take the stories of a column, whose number is `place`."""
        for judgements in grouped(column.judgements, lambda one: one.testcase).values():
            first = judgements[0]
            pcap = next((one.pcap for one in judgements if one.pcap), None)
            if pcap is None:
                continue
            told = _told(column, pcap, first)
            capture = self._capture(place, column.folder, pcap)
            if capture:
                told["pcap"] = capture
            name = printable(behaviour(first))
            of_file = self.by_file.setdefault(name.partition("::")[0], {})
            of_file.setdefault(name, {})[f"{place} {first.family or ''}".strip()] = told

    def _capture(self, place: int, folder: Path, pcap: str) -> str | None:
        """Put a capture on the shelf; return its address, None if it is not in the run's folder."""
        source = inside(folder, pcap)
        if source is None or source.suffix != ".pcap":
            return None
        name = re.sub(r"[^\w.-]+", "_", source.name)
        target = self.folder / CAPTURES / str(place) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
        self.captures += 1
        return f"{CAPTURES}/{place}/{name}"


def inside(folder: Path, name: str) -> Path | None:
    """Return a file of a folder; None for one that does not exist, or lies outside of it."""
    try:
        root = folder.resolve()
        path = (root / name).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None
    except (OSError, ValueError):
        return None


def _told(column: Column, pcap: str, first: Judgement) -> dict[str, Any]:
    try:
        story = timelines.read(column.folder, pcap)
    except UsageError as error:
        return {"testcase": printable(first.testcase), "trouble": printable(str(error))}
    if story is None:
        return {"testcase": printable(first.testcase)}
    left, right = ("client", "server") if story.pair else ("peer", column.name)
    drawn = sequence.scene(story, left=left, right=right).as_json()
    return {
        "testcase": printable(first.testcase),
        "behaviour": printable(" ".join(story.behaviour.split())),
        "scene": drawn,
        "events": [
            [round(one.at, 4), one.direction, printable(one.text)]
            for one in story.events[: sequence.SHOWN]
        ],
    }


def chunks(shelf: Shelf) -> Sequence[tuple[str, Any]]:
    """Return the stories by a short name for each file of testcases."""
    return [
        (f"stories-{number}", of_file)
        for number, of_file in enumerate(shelf.by_file[file] for file in sorted(shelf.by_file))
    ]
