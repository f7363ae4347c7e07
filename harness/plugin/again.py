"""Again: the order of a parallel run, and second attempts after all others."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from harness.order import LongestFirst, Turns
from harness.plugin.collection import nominal_of
from harness.plugin.collector import TURNS
from harness.plugin.fixtures import ATTEMPT
from harness.plugin.options import run_of
from harness.plugin.outcome import AGAIN

ROUND = pytest.StashKey[Turns | None]()

LONG = 5.0
"""Seconds from which on a testcase does little but wait."""


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Make second attempts after all others, as many at a time as there are processors."""
    path = getattr(session.config, "workerinput", {}).get(TURNS)
    turns = Turns(Path(path)) if path else None
    session.config.stash[ROUND] = turns
    with turns.together() if turns else contextlib.nullcontext():
        result = yield
    again: list[pytest.Item] = session.config.stash[AGAIN]
    for item in tuple(again):
        with turns.again() if turns else contextlib.nullcontext():
            _try_again(session, item)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let second attempts go on while a testcase mostly waits."""
    turns = item.config.stash.get(ROUND, None)
    if turns is None or (nominal_of(run_of(item.config), item) or 0.0) < LONG:
        return (yield)
    with turns.apart():
        return (yield)


def _try_again(session: pytest.Session, item: pytest.Item) -> None:
    item.stash[ATTEMPT] = 2
    item.user_properties.clear()
    for worker in session.config.pluginmanager.get_plugins():
        # A worker of xdist names the testcase of a report by this.
        if hasattr(worker, "run_one_test"):
            worker.item_index = session.items.index(item)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out the longest testcase that is left first."""
    return LongestFirst(config, log)
