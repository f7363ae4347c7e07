"""Mutation: what counts as noticed, and how it is told."""

import pytest

from harness.errors import HarnessError
from harness.judgement.verdict import Verdict
from harness.reporting.mutation import Outcome, Trials, headline, judged, lines

CONFORMS, DEVIATES, PERMITTED = Verdict.CONFORMS, Verdict.DEVIATES, Verdict.PERMITTED
KEY = ("a.py::test_one", "RFC9293:U-1", "closed_port_syn", "ipv4")
OTHER = ("a.py::test_two", "RFC5961:4.2", "established_syn", "ipv4")


def test_a_binding_deviation_that_was_none_is_a_catch():
    """The testcase and the claim are named."""
    outcome = judged("silent", ("RFC9293:U-1",), {KEY: (CONFORMS, True)}, {KEY: (DEVIATES, True)})
    assert outcome.caught == ("a.py::test_one",)
    assert outcome.claims == ("RFC9293:U-1",)
    assert outcome.killed


def test_what_does_not_bind_is_noticed_only():
    """A run would still pass."""
    outcome = judged("deaf", (), {OTHER: (CONFORMS, False)}, {OTHER: (PERMITTED, False)})
    assert outcome.noticed == ("a.py::test_two",)
    assert not outcome.killed


def test_what_deviates_without_the_fault_too_catches_nothing():
    """The catalogue's own quarrel with the model is no merit."""
    outcome = judged("same", (), {KEY: (DEVIATES, True)}, {KEY: (DEVIATES, True)})
    assert not outcome.caught
    assert "SURVIVES" in headline(outcome)


def test_what_becomes_better_catches_nothing():
    """A fault may make an inconclusive testcase conclusive."""
    outcome = judged("odd", (), {KEY: (Verdict.INCONCLUSIVE, True)}, {KEY: (CONFORMS, True)})
    assert not outcome.caught
    assert not outcome.noticed


def test_the_end_of_the_report_is_the_score():
    """Survivors are named, and so are those that only change what does not bind."""
    outcomes = [
        Outcome("one", ("X",), caught=("a::b",), claims=("Y",)),
        Outcome("two", ("X",), noticed=("a::c",)),
        Outcome("three", ("X",)),
        Outcome("four", ("X",), broken="it hung"),
    ]
    text = "\n".join(lines(outcomes))
    assert "but not by X" in text
    assert "3 of 4 mutants are seen: 75 %" in text
    assert "2 fail a run" in text
    assert "1 survive: three" in text


def test_testcases_that_cannot_run_are_our_error(tmp_path):
    """Nothing can be said of mutants where the model itself cannot be tried."""
    with pytest.raises(HarnessError, match="cannot run on model-rfc9293"):
        Trials("model-rfc9293", ["no/such/place"], tmp_path).run([], lambda _: None)
