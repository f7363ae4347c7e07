"""Columns: the targets of some runs, side by side, and what each was before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.judgement.verdict import Judgement
from harness.reporting.compare import side_name
from harness.reporting.findings import grouped
from harness.reporting.run import Run, RunTarget
from harness.reporting.text import distinct


@dataclass(frozen=True, slots=True)
class Column:
    """One target of one run. `older` says that a later run has the target too."""

    name: str
    run: Run
    target: RunTarget
    judgements: tuple[Judgement, ...]
    older: bool = False

    @property
    def folder(self) -> Path:
        """Where the run's captures and timelines are named from."""
        return self.run.path.parent


def of_runs(runs: Sequence[Run]) -> list[Column]:
    """Return a column for each target of each run, the latest of each name first.

    UsageError where nothing was judged, or a run is given twice.
    """
    if len({run.path.resolve() for run in runs}) < len(runs):
        raise UsageError("the same run is named twice")
    if not any(run.verdicts for run in runs):
        names = ", ".join(str(run.path) for run in runs)
        raise UsageError(f"{names}: nothing was judged, so there is nothing to report")
    latest: list[Column] = []
    older: list[Column] = []
    # Among runs that do not say when they started the one named last is the latest.
    order = sorted(range(len(runs)), key=lambda place: (runs[place].started, place), reverse=True)
    for run in (runs[place] for place in order):
        judged = grouped(run.verdicts, lambda one: one.target)
        for target in _targets(run, judged):
            known = any(one.name == target.name for one in latest)
            column = Column(
                target.name, run, target, tuple(judged.get(target.name, ())), older=known
            )
            (older if known else latest).append(column)
    place = {name: n for n, name in enumerate(distinct(_names(runs)))}
    latest.sort(key=lambda one: place[one.name])
    return latest + older


def of_sides(sides: Sequence[tuple[str, Run, str | None]]) -> list[Column]:
    """Return a column for each side of a comparison: its word, run and target, None for all."""
    found = []
    for word, run, wanted in sides:
        judged = grouped(run.verdicts, lambda one: one.target)
        targets = [one for one in _targets(run, judged) if wanted in (None, one.name)]
        for target in targets:
            name = side_name(word, target.name if wanted or len(targets) > 1 else None)
            found.append(Column(name, run, target, tuple(judged.get(target.name, ()))))
    return found


def _names(runs: Iterable[Run]) -> list[str]:
    return [name for run in runs for name in _of(run)]


def _of(run: Run) -> list[str]:
    judged = (one.target for one in run.verdicts)
    return distinct([*(target.name for target in run.targets), *judged])


def _targets(run: Run, judged: Iterable[str]) -> list[RunTarget]:
    """Return a run's targets, and those that it judges without a word about them."""
    told = {target.name: target for target in run.targets}
    unknown = (RunTarget(name, "unknown", "", {}) for name in judged if name not in told)
    return [*told.values(), *unknown]
