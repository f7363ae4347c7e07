"""Elapsed: how much virtual time the stacks of a run went through, and the wall time for that."""

import time
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest

from harness.plugin.fixtures import TRIAL

PASSED = "tcpspec_passed"
"""The user property that holds the seconds of virtual time that a testcase went through."""

LONG = 3600.0
"""Seconds beyond which a testcase is one of those that would not be waited for by anybody."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the virtual time of a testcase on its report."""
    report = yield
    if call.when == "call" and TRIAL in item.stash:
        passed = item.stash[TRIAL].passed
        if passed is not None:
            report.user_properties.append((PASSED, f"{passed:.6f}"))
    return report


@dataclass(slots=True, eq=False)
class Elapsed:
    """The controlling process's sum, and what it tells at the end."""

    began: float = field(default_factory=time.monotonic)
    passed: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a report says."""
        for name, value in report.user_properties if report.when == "call" else ():
            if name == PASSED:
                self.passed[report.nodeid] = float(str(value))
                self.wall[report.nodeid] = report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell the times and their ratio, if any time was virtual."""
        if not self.passed:
            return
        whole = time.monotonic() - self.began
        terminalreporter.write_line(told("virtual time", sum(self.passed.values()), whole))
        short = [name for name, passed in self.passed.items() if passed <= LONG]
        if 0 < len(short) < len(self.passed):
            # What the long ones took is shared out among the workers that ran side by side.
            share = sum(self.wall[name] for name in short) / sum(self.wall.values())
            passed = sum(self.passed[name] for name in short)
            terminalreporter.write_line(
                told(f"  without those over {LONG:g} s", passed, whole * share)
            )


def told(what: str, passed: float, wall: float) -> str:
    """Say how fast time passed."""
    return f"{what}: {passed:.0f} s in {wall:.1f} s of wall time, {passed / wall:.0f} to 1"


def pytest_configure(config: pytest.Config) -> None:
    """Sum up in the controlling process only."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Elapsed(), "tcpspec-elapsed")
