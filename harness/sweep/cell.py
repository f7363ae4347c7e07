"""Cell: one testcase, on one target, at some settings; and what came of it."""

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.sweep.spec import Point, Spec

HARNESS = Path(__file__).parents[1]

# How results are shown, and how cells get to workers, has no part in what comes of them.
_ASIDE = ("reporting", "commands", "sweep", "cli.py")

_SHORT, _BATCH = 1.0, 16
"""Seconds that a batch should take by the documents, and cells that it should have, at most."""


@dataclass(frozen=True, slots=True)
class Testcase:
    """A testcase on one target and family, as a worker that has the target collected it.

    `source` is the hash of its file; `nominal` the seconds that documents give it, None if none.
    """

    name: str
    function: str
    target: str
    family: str
    measures: tuple[str, ...]
    tuned: tuple[str, ...]
    nominal: float | None
    source: str

    __test__ = False  # the word is ours, too


@dataclass(frozen=True, slots=True)
class Stack:
    """What a target is, on whatever worker."""

    name: str
    stack: str
    version: str
    virtual: bool
    sysctls: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """What is tried; `key` names all of its inputs by their content."""

    key: str
    testcase: Testcase
    point: Point

    @property
    def seconds(self) -> float:
        """How long it takes by the documents, where time is real."""
        return self.testcase.nominal or 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a cell. `outcome` is passed, failed, unsupported, inconclusive or error."""

    key: str
    outcome: str
    reason: str
    judgements: tuple[Mapping[str, Any], ...]
    wall_s: float
    worker: str


@functools.cache
def fingerprint(folder: Path = HARNESS) -> str:
    """Return a hash of what of the harness has a part in results: its code and the documents."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix in (".py", ".toml") and inside.parts[0] not in _ASIDE and path.is_file():
            found.update(f"{inside.as_posix()}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def key(testcase: Testcase, point: Point, stack: Stack, spec: Spec, harness: str) -> str:
    """Return the name of a cell: a hash of all that its result depends on."""
    inputs = {
        "harness": harness,
        "testcase": testcase.name,
        "source": testcase.source,
        "target": [stack.name, stack.stack, stack.version],
        "sysctls": point,
        "tuned": spec.tuned,
        "patience": spec.patience,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def plan(
    spec: Spec, testcases: Sequence[Testcase], stacks: Mapping[str, Stack], harness: str
) -> list[Cell]:
    """Return all cells of a spec, each once; UsageError for a testcase that there is not."""
    cells: dict[str, Cell] = {}
    for number, grid in enumerate(spec.grids, start=1):
        points = list(grid.points())
        for wanted in grid.testcases:
            fitting = [
                one
                for one in testcases
                if _named(one, wanted)
                and one.target in grid.targets
                and one.family in spec.families
            ]
            if not fitting:
                raise UsageError(
                    f"{spec.path}: grid {number}: {wanted} has no testcase on "
                    f"{', '.join(grid.targets)} with {' or '.join(spec.families)}"
                )
            for testcase in fitting:
                for point in points:
                    name = key(testcase, point, stacks[testcase.target], spec, harness)
                    cells.setdefault(name, Cell(name, testcase, point))
    return list(cells.values())


def _named(testcase: Testcase, wanted: str) -> bool:
    """Tell whether a testcase is meant, from the folder of testcases: its file, or its function."""
    path, _, _ = testcase.function.partition("::")
    return testcase.function.endswith(f"/{wanted}") or f"/{path}".endswith(f"/{wanted}")


def batches(cells: Iterable[Cell], virtual: Iterable[str]) -> Iterator[list[Cell]]:
    """Put cells together that one worker runs one after the other, the longest first.

    A batch has one target; its cells are sorted so that settings seldom change.
    """
    nobody_waits = set(virtual)

    def seconds(cell: Cell) -> float:
        return 0.0 if cell.testcase.target in nobody_waits else cell.seconds

    def order(cell: Cell) -> tuple[Any, ...]:
        long = seconds(cell) if seconds(cell) > _SHORT else 0.0
        return -long, cell.testcase.target, cell.point, cell.testcase.name

    batch: list[Cell] = []
    for cell in sorted(cells, key=order):
        whole = sum(map(seconds, batch)) + seconds(cell) > _SHORT or len(batch) >= _BATCH
        if batch and (whole or batch[0].testcase.target != cell.testcase.target):
            yield batch
            batch = []
        batch.append(cell)
    if batch:
        yield batch
