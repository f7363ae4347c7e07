"""Run: targets are started when they are needed, once."""

from pathlib import Path

import pytest

from harness.run import Run
from harness.targets import registry
from harness.targets.driver import Settings
from tests import small


class Counted(small.Toy):
    """A toy that counts how often it was started."""

    starts = 0

    def start(self, settings):
        Counted.starts += 1
        return super().start(settings)


@pytest.fixture
def run(monkeypatch):
    """Return a run on the toy, in which nothing is started yet."""
    monkeypatch.setattr(registry, "DRIVERS", {"model-toy": f"{__name__}:Counted"})
    monkeypatch.setattr(Counted, "starts", 0)
    return Run.prepare(
        targets=["model-toy"],
        settings=Settings(),
        documents=[],
        bind=[],
        patience=300.0,
        reports=Path("reports"),
        sabotage=[],
    )


def test_a_target_is_started_once_to_tell_its_facts_and_to_make_worlds(run):
    """Whoever asks first pays for it."""
    assert run.start("model-toy") == run.start("model-toy") == small.FACTS
    assert run.driver("model-toy") is run.driver("model-toy")
    assert Counted.starts == 1


def test_a_run_is_handed_on_with_all_that_it_knows_and_nothing_started(run):
    """What the controller found out no worker asks for; only a world needs the driver there."""
    run.start("model-toy")
    taken = Run.take_over(run.handed_on())
    assert taken.start("model-toy") == small.FACTS
    assert taken.library.claims.keys() == run.library.claims.keys()
    assert Counted.starts == 1
    taken.driver("model-toy")
    assert Counted.starts == 2
