"""Collector: the verdicts of all workers, as they arrive, and what the user is told of them."""

import datetime as dt
import functools
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.judgement.verdict import Judgement
from harness.order import YIELDS, yields
from harness.plugin import baseline
from harness.plugin.options import HANDED_ON
from harness.reporting import allure, contradictions, profile
from harness.reporting.changes import Changes, summary
from harness.reporting.journal import Journal
from harness.reporting.marked import Marked
from harness.reporting.progress import Progress
from harness.reporting.run import RunTarget
from harness.reporting.summary import Results, summarize
from harness.run import Run

PROPERTY = "tcpspec"
"""The user property under which a testcase's verdicts travel on its reports."""

TURNS = "tcpspec_turns"
"""The input of a worker that says where second attempts take turns."""


@dataclass(slots=True, eq=False)
class Collector:
    """The controlling process's plugin: verdicts arrive here, and the user is told of them."""

    run: Run
    journal: Journal
    marked: Sequence[Marked]
    config: pytest.Config
    began: float = field(default_factory=time.monotonic)
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    judgements: dict[str, list[Judgement]] = field(default_factory=dict)
    stale: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: dict[str, float] = field(default_factory=dict)
    workers: list[float] = field(default_factory=list)
    _progress: Progress | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _turns: Any = None
    _made: int = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin to show what is being waited for."""
        self.show(len(session.items) or None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin to show what is being waited for, in a parallel run."""
        self.show(len(ids))

    def show(self, total: int | None) -> None:
        """Show progress until the end, in a thread: no hook is called while all are waiting."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if self._progress is not None or reporter is None or total is None:
            return
        width = shutil.get_terminal_size().columns
        write = functools.partial(reporter.write, flush=True)
        self._progress = Progress(write, width, reporter.isatty, total=total)

        def tick() -> None:
            while not self._over.wait(1.0):
                if self._progress is not None:
                    self._progress.tick(time.monotonic())

        threading.Thread(target=tick, daemon=True).start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where second attempts take turns."""
        if self._turns is None:
            self._turns = tempfile.NamedTemporaryFile(prefix="tcpspec-turns-")  # noqa: SIM115 - held until the end
        node.workerinput[TURNS] = self._turns.name
        node.workerinput[HANDED_ON] = self.run.handed_on()
        node.workerinput[YIELDS] = yields(self._made, len(node.config.option.tx))
        self._made += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self) -> None:
        """Note how long starting a worker took."""
        self.workers.append(time.monotonic() - self.began)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show that a testcase began."""
        if self._progress is None:
            return
        path, _, rest = nodeid.partition("::")
        function = rest.partition("[")[0]
        measures = [
            one.measure
            for one in self.marked
            if one.function == function and str(one.path).endswith(path)
        ]
        nominal = self.run.nominal(self.run.targets[0], measures, {}) if measures else None
        self._progress.started(nodeid, measures, nominal, time.monotonic())

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Show that a testcase ended."""
        if self._progress is not None:
            self._progress.finished(nodeid, time.monotonic())

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Let the progress line stand for the letters of what passed, on a terminal."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        quiet = reporter is not None and reporter.isatty and self.config.option.verbose <= 0
        if quiet and report.when == "call" and report.outcome in ("passed", "skipped"):
            return report.outcome, "", ""
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdicts that arrive with a report, before anything else happens."""
        if self._progress is not None:
            self._progress.clear()
        self.lengths[report.nodeid] = self.lengths.get(report.nodeid, 0.0) + report.duration
        for name, value in report.user_properties:
            if name != PROPERTY or report.when == "teardown":
                continue
            payload, stale = json.loads(str(value))
            for judgement in payload:
                self.journal.append(judgement)
            self.judgements[report.nodeid] = [Judgement.from_json(one) for one in payload]
            self.stale[report.nodeid] = tuple(stale)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write `verdicts.json`, and what describes the run to Allure."""
        self._over.set()
        if self._progress is not None:
            self._progress.end()
        targets = [
            RunTarget(
                facts.name,
                facts.stack,
                facts.version,
                dict(facts.sysctls),
                dict(facts.profile),
                None if given is None else [one.as_json() for one in given],
                facts.tick,
                facts.wheel,
            )
            for facts in self.run.facts.values()
            for given in (facts.left_out if self.run.settings.profile else None,)
        ]
        wall = time.monotonic() - self.began
        repeated = self.config.option.repeat > 1
        self.journal.finish(targets, self.started, wall, all_attempts=repeated)
        if (found := self._changes()) is not None:
            baseline.write(self.run.reports, found)
        folder = getattr(self.config.option, "allure_report_dir", None)
        if folder:
            allure.finish(Path(folder), targets, {"timers": self.config.option.timers})
        if self._turns is not None:
            self._turns.close()

    def _changes(self) -> Changes | None:
        judged = [one for found in self.judgements.values() for one in found]
        return baseline.changes(self.config, self.run, judged)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell the user what was judged, deviations first, and how long things took."""
        if self.run.settings.profile:
            terminalreporter.section("profile")
            for line in profile.lines(self.run.facts.values()):
                terminalreporter.write_line(line)
        if (found := self._changes()) is not None:
            terminalreporter.section("baseline")
            for line in summary(found):
                terminalreporter.write_line(line)
        terminalreporter.section("documents and deviations")
        if self.journal.interrupted is not None:
            terminalreporter.write_line(
                f"an earlier run was killed; what it knew is in {self.journal.interrupted}"
            )
        judged = [one for found in self.judgements.values() for one in found]
        summarize(
            functools.partial(terminalreporter.write_line),
            Results(
                judged,
                {name: document.title for name, document in self.run.library.documents.items()},
                [line for found in self.stale.values() for line in found],
                self.run.reports,
                [one.measure.name for one in contradictions.find(self.run.library, judged)],
            ),
        )
        if self.lengths:
            longest = max(self.lengths, key=self.lengths.__getitem__)
            took = f"longest testcase {self.lengths[longest]:.1f} s ({longest.rpartition('::')[2]})"
            if self.workers:
                ready = f"{len(self.workers)} workers ready after {max(self.workers):.1f} s"
                took = f"{ready}, {took}"
            whole = time.monotonic() - self.began
            terminalreporter.write_line(f"{took}, whole run {whole:.1f} s")
