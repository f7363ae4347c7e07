"""Cells: a session that runs testcases on request, at settings that change from one to the next.

A sweep runs one testcase at many settings. So that none of them pays for a start of pytest, a
session collects once and then reads requests from a pipe, a line of JSON each, and answers them on
another: `sysctls`, `testcase` (a node id) make an `outcome`, its `reason`, and `judgements`.
"""

import argparse
import dataclasses
import itertools
import json
import os
import queue
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from harness.errors import UsageError
from harness.plugin.collection import knobs_of, measures_of, nominal_of
from harness.plugin.collector import PROPERTY
from harness.plugin.fixtures import ATTEMPT, TRIAL
from harness.plugin.options import RUN, run_of
from harness.plugin.outcome import AGAIN, OURS
from harness.run import Run

CELLS = "cells"

FOLDER = "tcpspec-hand-"
"""How the folder of a session's reports begins, if it was made for the session alone."""

_LEFT_OUT = frozenset({"testcase", "target", "family", "pcap"})
"""What the cell itself says of each of its judgements; captures are not kept."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the pipes: descriptors for requests and for answers. No user gives them."""
    parser.getgroup("tcpspec").addoption("--cells", metavar="IN,OUT", help=argparse.SUPPRESS)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Answer requests until there are no more, instead of running what was collected."""
    if not session.config.getoption(CELLS):
        return None
    if session.testsfailed:
        return None  # pytest says which file it could not collect
    requests, answers = map(int, session.config.getoption(CELLS).split(","))
    reports = run_of(session.config).reports
    with os.fdopen(answers, "w", encoding="ascii") as out:
        service = _Service(session)
        asked = map(service.answer, _lines(requests, reports))
        for told in itertools.chain([service.ready()], asked):
            out.write(json.dumps(told) + "\n")
            out.flush()
    return True


def _lines(descriptor: int, reports: Path) -> Iterator[Mapping[str, Any]]:
    """Yield requests; the process ends at once when whoever asks has gone, busy or not."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with os.fdopen(descriptor, encoding="ascii") as requests:
            for line in requests:
                waiting.put(line)
        # Whoever made the folder may have been killed.
        if reports.name.startswith(FOLDER):
            shutil.rmtree(reports, ignore_errors=True)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


class _Service:
    """What was collected, and the run at the settings of the last request."""

    def __init__(self, session: pytest.Session) -> None:
        self._config = session.config
        self._items = {
            item.nodeid: item
            for item in session.items
            if isinstance(item, pytest.Function) and _parameters(item) is not None
        }
        # What the target refused to be set to: it would refuse it for the next testcase, too.
        self._refusal = ""

    def ready(self) -> dict[str, Any]:
        """Say what there is: every testcase, and what is known of the targets."""
        run = run_of(self._config)
        return {
            "targets": {
                name: {
                    "stack": facts.stack,
                    "version": facts.version,
                    "virtual": facts.virtual,
                    "sysctls": dict(facts.sysctls),
                }
                for name, facts in run.facts.items()
            },
            "testcases": [self._described(run, item) for item in self._items.values()],
        }

    def _described(self, run: Run, item: pytest.Function) -> dict[str, Any]:
        target, family = _parameters(item) or ("", "")
        return {
            "testcase": item.nodeid,
            "function": f"{item.nodeid.partition('::')[0]}::{item.originalname}",
            "file": str(item.path),
            "target": target,
            "family": family,
            "measures": measures_of(item),
            "tuned": knobs_of(item),
            "nominal": nominal_of(run, item),
        }

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one testcase at the settings of a request; `wall_s` is all that it took."""
        began = time.perf_counter()
        item = self._items.get(request["testcase"])
        if item is None:
            return _nothing("error", "there is no such testcase here")
        try:
            self._settle(request["sysctls"], _parameters(item) or ("", ""))
        except UsageError as error:
            return _nothing("unsupported", str(error))
        told = self._run(item)
        return told | {"wall_s": round(time.perf_counter() - began, 6)}

    def _settle(self, sysctls: Mapping[str, str], parameters: tuple[str, str]) -> None:
        """Have the target at the settings of a request; UsageError if it cannot be."""
        run = run_of(self._config)
        if run.settings.sysctls != sysctls:
            run.stop()
            settings = dataclasses.replace(run.settings, sysctls=dict(sysctls))
            run = run.at(settings)
            self._config.stash[RUN] = run
            self._config.add_cleanup(run.stop)
            self._refusal = ""
        if self._refusal:
            raise UsageError(self._refusal)
        try:
            run.start(parameters[0])
        except UsageError as error:
            self._refusal = str(error)
            raise

    def _run(self, item: pytest.Function) -> dict[str, Any]:
        """Run a testcase; what is inconclusive is tried once more."""
        told = _nothing("error", "it was never run")
        for attempt in (1, 2):
            item.stash[ATTEMPT] = attempt
            item.user_properties.clear()
            self._config.stash[AGAIN].clear()
            reports = runtestprotocol(item, log=False, nextitem=None)
            told = _told(item, reports)
            trial = item.stash.get(TRIAL, None)
            if trial is not None:
                trial.capture.unlink(missing_ok=True)
            if told["outcome"] != "inconclusive":
                break
        del item.stash[ATTEMPT]
        self._config.stash[AGAIN].clear()
        return told


def _parameters(item: pytest.Function) -> tuple[str, str] | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("trial") if callspec else None


def _told(item: pytest.Function, reports: list[pytest.TestReport]) -> dict[str, Any]:
    """Return outcome, reason and judgements as the reports have them."""
    outcome, reason = "passed", ""
    for report in reports:
        if report.failed:
            outcome = "error" if getattr(report, OURS, True) else "failed"
            crash = getattr(report.longrepr, "reprcrash", None)
            reason = getattr(crash, "message", None) or str(report.longrepr)
            break
        if report.outcome != "passed":
            # As told to whoever reads a skip: the word, a colon, the reason.
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            outcome, _, reason = text.removeprefix("Skipped: ").partition(": ")
    judgements: list[dict[str, Any]] = []
    for name, value in item.user_properties:
        if name == PROPERTY:
            judgements, _ = json.loads(str(value))
    kept = [{k: v for k, v in one.items() if k not in _LEFT_OUT} for one in judgements]
    return {"outcome": outcome, "reason": reason.partition("\n")[0], "judgements": kept}


def _nothing(outcome: str, reason: str) -> dict[str, Any]:
    return {"outcome": outcome, "reason": reason, "judgements": [], "wall_s": 0.0}


def serving(config: pytest.Config) -> bool:
    """Tell whether this session answers requests."""
    return bool(config.getoption(CELLS, None))
