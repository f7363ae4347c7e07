"""Sample: a few testcases of every file, for runs that are made many times over.

From each file of testcases those are taken that last longest by the documents, of what lasts no
longer than a minute's half: they wait for timers and are the first to suffer when a machine is
busy. So a sample touches every family of behaviours and is over soon, and it needs no marker.
"""

from collections.abc import Sequence
from typing import Any

import pytest

from harness.plugin.collection import nominal_of
from harness.plugin.options import run_of, usage

LONGEST = 30.0
"""Seconds that a testcase of a sample lasts by the documents, at most."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the option."""
    parser.getgroup("tcpspec").addoption(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="only the N longest testcases of every file, of those that last 30 s at most",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the sample."""
    number: int = config.option.sample
    if number < 1:
        return
    with usage():
        run = run_of(config)
        testcases = [
            (str(item.path), getattr(item, "originalname", item.name), nominal_of(run, item) or 0.0)
            for item in items
        ]
    chosen = sample(testcases, number)
    kept = [item for item, one in zip(items, testcases, strict=True) if one[:2] in chosen]
    left_out = [item for item, one in zip(items, testcases, strict=True) if one[:2] not in chosen]
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


def sample(testcases: Sequence[tuple[str, str, float]], number: int) -> set[tuple[Any, ...]]:
    """Choose testcases, given by file, name and seconds: so many of every file.

    Where all of a file last too long, the shortest stand for it.
    """
    files: dict[str, dict[str, float]] = {}
    for file, name, seconds in testcases:
        names = files.setdefault(file, {})
        names[name] = max(seconds, names.get(name, 0.0))
    chosen: set[tuple[Any, ...]] = set()
    for file, names in files.items():
        short = [name for name, seconds in names.items() if seconds <= LONGEST]
        fitting = sorted(short, key=lambda name: -names[name]) or sorted(names, key=names.get)  # type: ignore[arg-type]
        chosen |= {(file, name) for name in fitting[:number]}
    return chosen
