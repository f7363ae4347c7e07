"""Repeat: each testcase several times, to find those that do not always say the same.

Each repetition is an attempt of its own, in a world of its own, and is not tried once more. What
changed its verdict is told with both timelines, and fails the run: a verdict that depends on luck
is none.
"""

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from harness.plugin.collector import PROPERTY
from harness.plugin.fixtures import ATTEMPT, TRIAL
from harness.plugin.outcome import AGAIN

FLAKE = "tcpspec_flake"
"""The user property under which a change of verdict travels on a testcase's reports."""

Verdicts = Mapping[str, str]
"""Verdicts by claim and measure, as words."""

_FIRST: pytest.StashKey[tuple[Verdicts, str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    parser.getgroup("tcpspec").addoption(
        "--repeat",
        type=_count,
        default=1,
        metavar="N",
        help="run each testcase so often, and tell which change their verdicts (1)",
    )


def _count(text: str) -> int:
    """Read a number of repetitions; ValueError, which is the user's, for none."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Listen for changes of verdicts, where the user is told of them."""
    if session.config.option.repeat > 1 and not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Flakes(), "tcpspec-flakes")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a testcase as often as the user asks."""
    times: int = item.config.option.repeat
    if times == 1 or "trial" not in getattr(item, "fixturenames", ()):
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for number in range(1, times + 1):
        item.stash[ATTEMPT] = number
        item.user_properties.clear()
        # With itself as the next one its fixtures would stay.
        runtestprotocol(item, nextitem=nextitem if number == times else None)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # A repetition that is inconclusive is itself what was asked for.
    again = item.config.stash[AGAIN]
    again[:] = [one for one in again if one is not item]
    return True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Compare a repetition with the first, as soon as it is over."""
    try:
        return (yield)
    finally:
        if item.config.option.repeat > 1 and TRIAL in item.stash:
            _compare(item)


def _compare(item: pytest.Item) -> None:
    found, story = _verdicts(item), item.stash[TRIAL].story()
    if item.stash[ATTEMPT] == 1 or _FIRST not in item.stash:
        item.stash[_FIRST] = (found, story)
        return
    first, told = item.stash[_FIRST]
    if found != first:
        change = {
            "attempt": item.stash[ATTEMPT],
            "before": dict(first),
            "after": dict(found),
            "stories": [told, story],
        }
        item.user_properties.append((FLAKE, json.dumps(change)))


def _verdicts(item: pytest.Item) -> Verdicts:
    for name, value in item.user_properties:
        if name == PROPERTY:
            judgements, _ = json.loads(str(value))
            return {f"{one['claim']} {one['measure']}": one["verdict"] for one in judgements}
    return {}


@dataclass(slots=True, eq=False)
class Flakes:
    """What changed its verdict; tells the user at the end of the run."""

    changes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a change that arrives with a report."""
        for name, value in report.user_properties if report.when == "call" else ():
            if name == FLAKE:
                self.changes.setdefault(report.nodeid, []).append(json.loads(str(value)))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Let the run fail."""
        if self.changes and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what changed, and show the first attempt and the first that differs."""
        times = terminalreporter.config.option.repeat
        terminalreporter.section("flakes")
        if not self.changes:
            terminalreporter.write_line(f"no testcase changed a verdict in {times} repetitions")
        for testcase, changes in self.changes.items():
            for line in told(testcase, changes, times):
                terminalreporter.write_line(line)


def told(testcase: str, changes: list[dict[str, Any]], times: int) -> list[str]:
    """Say what changed in a testcase, with the timelines of the first change."""
    first = changes[0]
    before, after = first["before"], first["after"]
    lines = [f"{testcase}: {len(changes)} of {times} repetitions differ from the first"]
    lines += [
        f"  {name}: {before.get(name, 'not judged')}, then {after.get(name, 'not judged')}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    for attempt, story in zip((1, first["attempt"]), first["stories"], strict=True):
        lines += ["", f"  repetition {attempt}"]
        lines += [f"    {line}" for line in story.splitlines()]
    return [*lines, ""]
