"""Sweep: testcases at many settings of many targets."""

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.commands.baseline import bounded
from harness.commands.common import CHECKOUT, DIFFERS, command, show
from harness.documents.library import Library
from harness.errors import HarnessError, UsageError
from harness.reporting import baseline, effects, heatmap, sweep
from harness.reporting.picture import drawing
from harness.sweep import campaign as campaigns
from harness.sweep.cell import Cell, Result
from harness.sweep.estimate import Estimate
from harness.sweep.spec import Spec, only, read
from harness.sweep.store import Store
from harness.targets import knobs

EXTRA = "pip install 'tcpspec[sweep]'"

_TERMINAL, _ELSEWHERE = 1.0, 15.0
"""Seconds between two signs of life."""

_TOLD = 5


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "sweep", _sweep, "try many settings of many targets")
    parser.add_argument("spec", type=Path, metavar="SPEC.toml", help="what is to be tried")
    add = parser.add_argument
    add("--target", action="append", metavar="NAME", help="of the spec's targets only these")
    add("--again", action="store_true", help="run again what is inconclusive: it was too noisy")
    add("--scheduler", metavar="ADDRESS", help="a Dask scheduler with workers (a cluster of ours)")
    add("--workers", type=_count, metavar="N", help="processes of our own cluster")
    add("--threads", type=_count, metavar="N", help="cells at a time that a worker waits for (4)")
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--reports", type=Path, metavar="DIR", help="where results go (reports/sweeps/SPEC)")
    add("--store", type=Path, metavar="FILE", help="where cells are stored (in the reports)")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give a number above 0")
    return number


def _sweep(options: argparse.Namespace) -> int:
    spec = only(read(options.spec), options.target or ())
    folder = _folder(options.testcases)
    reports = options.reports or Path("reports", "sweeps", options.spec.stem)
    with Store(options.store or reports / "cells.sqlite") as store:
        campaign, broken = _made(spec, folder, store, options)
        return _report(campaign, store, broken, reports)


def _folder(named: Path | None) -> Path:
    here = Path("testcases")
    folder = named or (here if here.is_dir() else CHECKOUT / "testcases")
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of testcases; name it by --testcases")
    return folder.resolve()


def _made(
    spec: Spec, folder: Path, store: Store, options: argparse.Namespace
) -> tuple[campaigns.Campaign, dict[str, Result]]:
    """Plan the sweep and run what has no result yet."""
    try:
        from harness.sweep.cluster import Cluster  # noqa: PLC0415 - an extra, not always there
    except ImportError as error:
        raise UsageError(f"a sweep needs Dask ({error.name} is missing): {EXTRA}") from None
    with Cluster(
        scheduler=options.scheduler,
        workers=options.workers or os.cpu_count() or 1,
        threads=options.threads or 4,
    ) as cluster:
        campaign = campaigns.prepare(spec, folder, cluster)
        if options.again:
            store.forget(cell.key for cell in campaign.cells)
        left = campaign.open(store)
        _say(
            f"{len(campaign.cells)} cells, {len(campaign.cells) - len(left)} of them stored "
            f"already; {cluster.workers} workers"
        )
        if not left:
            return campaign, {}
        with _Telling(campaign, left) as telling:
            return campaign, campaigns.run(campaign, store, cluster, telling.done)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class _Telling:
    """Shows how far a sweep is: a line that is rewritten on a terminal, lines elsewhere."""

    def __init__(self, campaign: campaigns.Campaign, left: Sequence[Cell]) -> None:
        self._virtual = {name for name, stack in campaign.stacks.items() if stack.virtual}
        self._estimate = Estimate(time.monotonic())
        self._estimate.expect(map(self._seconds, left))
        self._over = threading.Event()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        threading.Thread(target=self._tick, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._show()
        if self._terminal:
            _say("")

    def done(self, cells: Sequence[Cell]) -> None:
        """Count cells as done."""
        self._estimate.finish(map(self._seconds, cells))

    def _seconds(self, cell: Cell) -> float:
        return 0.0 if cell.testcase.target in self._virtual else cell.seconds

    def _tick(self) -> None:
        while not self._over.wait(_TERMINAL if self._terminal else _ELSEWHERE):
            self._show()

    def _show(self) -> None:
        text = self._estimate.text(time.monotonic())
        if self._terminal:
            sys.stderr.write(f"\r{text:<79}")
            sys.stderr.flush()
        else:
            _say(text)


def _report(
    campaign: campaigns.Campaign, store: Store, broken: Mapping[str, Result], reports: Path
) -> int:
    results = {one.key: one for one in store.results(cell.key for cell in campaign.cells)}
    told = [_told(cell, results[cell.key]) for cell in campaign.cells if cell.key in results]
    library = Library.load()
    loose = bounded(library)
    seen = [one for cell in told for one in _seen(cell, loose)]
    moved, together = effects.effects(seen), effects.interactions(seen)
    show(sweep.lines(told, moved, together, _documented(library)))
    path = reports / "sweep.json"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(sweep.as_json(told, moved, together), indent=1) + "\n", "utf-8")
    except OSError as error:
        raise HarnessError(f"{path}: {error.strerror}; the results are in {store.path}") from None
    _draw(campaign.spec.title, moved, reports)
    show(["", f"{len(told)} of {len(campaign.cells)} cells are in {store.path}, told in {path}"])
    if broken:
        reasons = list(dict.fromkeys(one.reason for one in broken.values()))
        show(f"  {reason}" for reason in reasons[:_TOLD])
        raise HarnessError(
            f"{len(broken)} cells could not be run; the same command tries them again"
        )
    return DIFFERS if any(True for cell in told for _ in cell.deviations()) else 0


def _draw(title: str, moved: Sequence[effects.Effect], reports: Path) -> None:
    """Draw the heat map, where there is what draws it and anything to draw."""
    scene = heatmap.heatmap(title, moved, _documented(Library.load()))
    if scene is None:
        return
    if not drawing.available():
        show(["", f"no heat map is drawn: drawsvg is missing: {EXTRA}"])
        return
    path = reports / "heatmap.svg"
    path.write_text(drawing.svg(scene), "utf-8")
    show(["", f"the heat map is {path}"])


def _told(cell: Cell, result: Result) -> sweep.Told:
    testcase = cell.testcase
    point = dict(cell.point)
    return sweep.Told(
        testcase.target,
        testcase.function,
        testcase.family,
        point,
        result.outcome,
        result.reason,
        result.judgements,
    )


def _seen(cell: sweep.Told, loose: Callable[[str], bool]) -> list[effects.Seen]:
    """Return what a cell observed, each measure once; what was not observed says nothing.

    Nor do counts that may be another each time: `loose` tells them.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for one in cell.judgements:
        if one["observed"] and not loose(one["measure"]):
            found.setdefault(one["measure"], one)
    return [
        effects.Seen(
            cell.target,
            cell.testcase,
            cell.family,
            measure,
            cell.point,
            baseline.steady(one["observed"]),
            one["values"],
        )
        for measure, one in found.items()
    ]


def _documented(library: Library) -> Callable[[str, str], bool]:
    """Return what tells whether a document relates a measure to a sysctl."""
    table = knobs.load().by_name

    def documented(measure: str, sysctl: str) -> bool:
        if measure not in library.measures:
            return False
        names = library.knobs_about(measure)
        return any(table[name].sysctl == sysctl for name in names if name in table)

    return documented
