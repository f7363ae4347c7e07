"""Again: the order of a parallel run, and further attempts after all others."""

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
from harness.plugin.outcome import AFTERWARDS, AGAIN, ATTEMPTS

ROUND = pytest.StashKey[Turns | None]()

LONG = 30.0
"""Seconds from which on a testcase does little but wait."""


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Make second attempts after all others, one a processor, and third ones quite alone."""
    path = getattr(session.config, "workerinput", {}).get(TURNS)
    turns = Turns(Path(path)) if path else None
    session.config.stash[ROUND] = turns
    with turns.together() if turns else contextlib.nullcontext():
        result = yield
    for attempt in range(2, ATTEMPTS + 1):
        again: list[pytest.Item] = session.config.stash[AGAIN]
        items = again[:]
        again.clear()
        for item in items:
            with _turn(turns, attempt):
                _try_again(session, item, attempt)
    return result


def _turn(turns: Turns | None, attempt: int) -> contextlib.AbstractContextManager[None]:
    if turns is None:
        return contextlib.nullcontext()
    return turns.again() if attempt < ATTEMPTS else turns.alone()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let further attempts go on while a testcase mostly waits."""
    turns = item.config.stash.get(ROUND, None)
    if turns is None or (nominal_of(run_of(item.config), item) or 0.0) < LONG:
        return (yield)
    with turns.apart():
        return (yield)


def _try_again(session: pytest.Session, item: pytest.Item, attempt: int) -> None:
    item.stash[ATTEMPT] = attempt
    item.stash[AFTERWARDS] = True
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
