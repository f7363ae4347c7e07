"""Campaign: a sweep from its spec to its results: planned, run where there is none yet, stored."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.errors import UsageError
from harness.sweep import work
from harness.sweep.cell import Cell, Result, Stack, Testcase, batches, fingerprint, plan
from harness.sweep.hand import Job
from harness.sweep.spec import Spec
from harness.sweep.store import Store


class Workers(Protocol):
    """Those who do the work, wherever they are."""

    def prepare(self, targets: Sequence[str]) -> dict[str, dict[str, str | None]]:
        """Have all workers say what they can run; return that, by worker and target."""

    def call(self, function: Callable[..., Any], *arguments: Any, target: str) -> Any:
        """Have one worker that can run a target do something now."""

    def map(
        self,
        function: Callable[..., Any],
        tasks: Mapping[str, tuple[str, bool, tuple[Any, ...]]],
    ) -> Iterator[tuple[str, Any]]:
        """Yield what a function makes of tasks, as it comes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Campaign:
    """A sweep that is planned: its cells, and what its targets are."""

    spec: Spec
    folder: Path
    cells: tuple[Cell, ...]
    stacks: Mapping[str, Stack]
    tuned: Mapping[str, tuple[str, ...]]

    def job(self, target: str) -> Job:
        """Return what a session for a target is for."""
        return _job(self.spec, self.folder, target)

    def open(self, store: Store) -> list[Cell]:
        """Return the cells that have no result yet."""
        known = store.known(cell.key for cell in self.cells)
        return [cell for cell in self.cells if cell.key not in known]


def prepare(spec: Spec, folder: Path, workers: Workers) -> Campaign:
    """Plan a sweep; UsageError for what no worker can run, and for workers of another harness."""
    able = workers.prepare(spec.targets)
    for target in spec.targets:
        reasons = [found[target] for found in able.values()]
        if all(reason is not None for reason in reasons):
            said = next((reason for reason in reasons if reason), "there is no worker")
            raise UsageError(f"{spec.path}: no worker can run {target}: {said}")
    testcases: list[Testcase] = []
    stacks: dict[str, Stack] = {}
    for target in spec.targets:
        found = workers.call(work.collect, _job(spec, folder, target), target=target)
        if "refused" in found:
            raise UsageError(f"{spec.path}: {target}: {found['refused']}")
        if found["harness"] != fingerprint():
            raise UsageError(
                f"worker {found['worker']} has another version of tcpspec, or other documents"
            )
        stacks[target] = Stack(name=target, **found["targets"][target])
        testcases += [_testcase(one, found["sources"]) for one in found["testcases"]]
    cells = plan(spec, testcases, stacks, fingerprint())
    return Campaign(spec, folder, tuple(cells), stacks, {one.name: one.tuned for one in testcases})


def run(
    campaign: Campaign, store: Store, workers: Workers, told: Callable[[Sequence[Cell]], None]
) -> dict[str, Result]:
    """Run what has no result yet and store it; return what failed by our fault, by cell.

    Such results are not stored: the next run tries these cells again. `told` is called with the
    cells of each batch that is done.
    """
    virtual = [name for name, stack in campaign.stacks.items() if stack.virtual]
    named: dict[str, list[Cell]] = {}
    tasks: dict[str, tuple[str, bool, tuple[Any, ...]]] = {}
    for batch in batches(campaign.open(store), virtual):
        name, target = batch[0].key, batch[0].testcase.target
        named[name] = batch
        requests = [(one.key, one.testcase.name, dict(one.point)) for one in batch]
        tasks[name] = (target, target in virtual, (campaign.job(target), requests))
    broken: dict[str, Result] = {}
    for name, results in workers.map(work.run, tasks):
        by_key = {cell.key: cell for cell in named[name]}
        fine = [one for one in results if one.outcome != "error"]
        broken |= {one.key: one for one in results if one.outcome == "error"}
        store.add((by_key[one.key], one) for one in fine)
        told(named[name])
    return broken


def _job(spec: Spec, folder: Path, target: str) -> Job:
    return Job(str(folder), spec.testcases, target, spec.tuned, spec.patience)


def _testcase(found: Mapping[str, Any], sources: Mapping[str, str]) -> Testcase:
    return Testcase(
        name=found["testcase"],
        function=found["function"],
        target=found["target"],
        family=found["family"],
        measures=tuple(found["measures"]),
        tuned=tuple(found["tuned"]),
        nominal=found["nominal"],
        source=sources[found["function"].partition("::")[0]],
    )
