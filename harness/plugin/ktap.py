"""KTAP: the results of a run, left in a file for test systems of the Linux kernel."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.judgement.verdict import Judgement
from harness.plugin.collector import PROPERTY
from harness.reporting import ktap


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare where KTAP goes."""
    parser.getgroup("tcpspec").addoption("--ktap", metavar="FILE", help="write results as KTAP")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to listen, in the controlling process."""
    if config.option.ktap and not hasattr(config, "workerinput"):
        path = Path(config.invocation_params.dir, config.option.ktap)
        config.pluginmanager.register(Writer(path), "tcpspec-ktap")


@dataclass(slots=True, eq=False)
class Writer:
    """Takes all reports, and writes the file at the end; a second attempt replaces the first."""

    path: Path
    tests: dict[str, ktap.Came] = field(default_factory=dict)
    judgements: dict[str, list[Judgement]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of what a testcase comes to."""
        if report.when == "teardown" and not report.failed:
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                payload, _ = json.loads(str(value))
                self.judgements[report.nodeid] = [Judgement.from_json(one) for one in payload]
        if report.when == "call" or not report.passed:
            self.tests[report.nodeid] = _test(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the file; HarnessError if the disk refuses."""
        text = "".join(f"{line}\n" for line in ktap.lines(self.tests, self.judgements))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise HarnessError(f"{self.path}: {error.strerror}") from None


def _test(report: pytest.TestReport) -> ktap.Came:
    said = report.longrepr
    if isinstance(said, tuple):
        why = str(said[2]).removeprefix("Skipped: ")
    else:
        crash = getattr(said, "reprcrash", None)
        why = str(getattr(crash, "message", said or ""))
    outcome = str(report.outcome)
    # What is to be made again is not over yet; if it never is, nothing was found out.
    if outcome not in ("passed", "failed"):
        outcome = "skipped"
    broken = outcome == "failed" and not why.startswith("harness.Deviation")
    return ktap.Came("error" if broken else outcome, why.partition("\n")[0])
