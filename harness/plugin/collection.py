"""Collection: each testcase once per target and address family, the longest first."""

from collections.abc import Sequence

import pytest

from harness.plugin.options import run_of, usage
from harness.run import Run
from harness.targets.driver import Facts


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each testcase once per target and address family."""
    if "trial" not in metafunc.fixturenames:
        return
    with usage():
        run = run_of(metafunc.config)
        wanted = metafunc.definition.get_closest_marker("families")
        most = 1 if metafunc.config.getoption("short") else None
        cases = [
            (name, family)
            for name in run.targets
            for family in _families(run.start(name), wanted.args if wanted else ())[:most]
        ]
    metafunc.parametrize("trial", cases, indirect=True, ids=[f"{n}-{f}" for n, f in cases])


def _families(facts: Facts, wanted: Sequence[str]) -> Sequence[str]:
    """Return the families to run on; one that the target lacks, if it lacks all that are wanted."""
    return [one for one in facts.families if not wanted or one in wanted] or wanted[:1]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest testcases first, by what the documents say of their measures."""
    if not any("trial" in getattr(item, "fixturenames", ()) for item in items):
        return
    with usage():
        run = run_of(config)
        lengths = {item: nominal_of(run, item) or 0.0 for item in items}
    items.sort(key=lambda item: -lengths[item])


def measures_of(item: pytest.Item) -> tuple[str, ...]:
    """Return the names of the measures that a testcase says it observes."""
    return tuple(name for mark in item.iter_markers("measures") for name in mark.args)


def knobs_of(item: pytest.Item) -> dict[str, float]:
    """Return the values of knobs that a testcase asks for."""
    return {key: value for mark in item.iter_markers("tuned") for key, value in mark.kwargs.items()}


def nominal_of(run: Run, item: pytest.Item) -> float | None:
    """Return how long a testcase takes by the documents, seconds; None if they do not say."""
    callspec = getattr(item, "callspec", None)
    if callspec is None or "trial" not in callspec.params:
        return None
    of_measures = run.nominal(callspec.params["trial"][0], measures_of(item), knobs_of(item))
    return max((time for time in (of_measures, lasts(item)) if time is not None), default=None)


def lasts(item: pytest.Item) -> float | None:
    """Return how long a testcase says that it waits, whatever the knobs are, seconds; or None."""
    mark = item.get_closest_marker("lasts")
    return None if mark is None else float(mark.args[0])
