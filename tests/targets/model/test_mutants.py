"""Mutants: each is one fault that applies, against claims that there are."""

import pytest

from harness import State
from harness.documents.library import Library
from harness.errors import HarnessError, UsageError
from harness.targets.driver import Settings
from harness.targets.model.mutants import HERE, Mutant, load
from harness.targets.registry import driver
from tests.targets.model.hosts import bed


def test_every_fault_finds_its_text_once():
    """A change of the model cannot make a mutant harmless without being noticed."""
    for mutant in load().values():
        for path in HERE.glob("*.py"):
            compile(mutant.applied(path.stem, path.read_text("utf-8")), str(path), "exec")


def test_every_fault_is_against_claims_that_there_are():
    """A mutant says which claims should notice it."""
    claims = Library.load().claims
    assert {c for m in load().values() for c in m.breaks} <= set(claims)
    assert len(load()) >= 60


def test_a_fault_that_finds_no_text_is_our_error():
    """It would be the model unharmed, and look like a survivor."""
    with pytest.raises(HarnessError, match="0 times"):
        Mutant("idle", (), file="calls", old="no such text").applied("calls", "some text")


def test_a_mutant_has_its_fault_and_the_model_has_not():
    """Both can run in one process."""
    with bed("model-rfc9293+closed-port-silent") as one:
        one.reach(State.CLOSED).send("S 0:0(0)")
        one.peer.expect_silence()
    with bed("model-rfc9293") as one:
        one.reach(State.CLOSED).send("S 0:0(0)")
        one.peer.expect("R. 0:0(0) ack 1")


def test_a_mutant_of_numbers_has_its_numbers():
    """TIME-WAIT of a minute is too short."""
    with bed("model-rfc9293+time-wait-too-short") as one:
        low, _ = one.reach(State.TIME_WAIT).target_leaves(State.TIME_WAIT)
        assert low < 61


def test_a_mutant_says_that_it_is_one():
    """Its results cannot be taken for the model's."""
    facts = driver("model-rfc9293+no-backoff")().start(Settings())
    assert facts.name == "model-rfc9293+no-backoff"
    assert "with the fault no-backoff" in facts.version


def test_an_unknown_mutant_is_answered_with_a_close_one():
    """The user learns what to write instead."""
    with pytest.raises(UsageError, match="did you mean no-backoff"):
        driver("model-rfc9293+no-backof")
