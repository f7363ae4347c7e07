"""Mutation: what counts as caught, what is astray, and how it is told."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Verdict
from harness.reporting.journal import JOURNAL_NAME
from harness.reporting.mutation import (
    Fault,
    Outcome,
    Red,
    Ruling,
    Trials,
    headline,
    judged,
    kept_in,
    lines,
    rulings,
)

CONFORMS, DEVIATES = Ruling(Verdict.CONFORMS), Ruling(Verdict.DEVIATES)
INCONCLUSIVE = Ruling(Verdict.INCONCLUSIVE)
ONE, TWO = "a.py::test_one", "a.py::test_two"
KEY = (ONE, "RFC9293:U-1", "closed_port_syn", "ipv4")
OTHER = (TWO, "RFC5961:4.2", "established_syn", "ipv4")
TOPICS = {"RFC9293:U-1": "reset", "RFC5961:4.2": "challenge"}
FAULT = Fault("silent", ("RFC9293:U-1",))


def test_a_binding_deviation_of_what_is_broken_is_a_catch():
    """The testcase is named."""
    outcome = judged(FAULT, {KEY: CONFORMS}, {KEY: DEVIATES}, TOPICS)
    assert outcome.caught == (ONE,)
    assert outcome.spared == ()
    assert outcome.well
    assert headline(outcome) == "silent: caught by 1 testcase"


def test_a_deviation_of_another_topic_is_astray_and_no_catch():
    """The fault should not be seen where it has nothing to do."""
    outcome = judged(FAULT, {OTHER: CONFORMS}, {OTHER: DEVIATES}, TOPICS)
    assert outcome.caught == ()
    assert outcome.astray == (Red(TWO, "RFC5961:4.2"),)
    assert "SURVIVES" in headline(outcome)
    text = "\n".join(lines([outcome], TOPICS))
    assert "ASTRAY RFC5961:4.2 (challenge) a.py::test_two" in text
    assert "1 turn red what they do not concern: silent" in text


def test_a_topic_that_the_fault_touches_is_not_astray():
    """The list of mutants says what else a fault concerns."""
    fault = Fault("silent", ("RFC9293:U-1",), frozenset({"challenge"}))
    both = {KEY: CONFORMS, OTHER: CONFORMS}
    outcome = judged(fault, both, {KEY: DEVIATES, OTHER: DEVIATES}, TOPICS)
    assert outcome.well


def test_what_another_claim_says_and_does_not_bind_is_noticed_only():
    """A run would still pass."""
    after = {OTHER: Ruling(Verdict.PERMITTED, binding=False)}
    outcome = judged(FAULT, {OTHER: CONFORMS}, after, TOPICS)
    assert outcome.noticed == (TWO,)
    assert not outcome.caught
    assert "noticed by 1 testcase" in headline(outcome)


def test_a_recommendation_that_is_not_followed_any_more_is_a_catch():
    """A fault may be against what only recommends; the score tells so."""
    after = {KEY: Ruling(Verdict.PERMITTED, binding=False)}
    outcome = judged(FAULT, {KEY: CONFORMS}, after, TOPICS)
    assert outcome.caught == (ONE,)
    assert "1 of them break only what does not bind: silent" in "\n".join(lines([outcome], TOPICS))


def test_what_deviates_without_the_fault_too_catches_nothing():
    """The catalogue's own quarrel with the model is no merit."""
    outcome = judged(FAULT, {KEY: DEVIATES}, {KEY: DEVIATES}, TOPICS)
    assert not outcome.red
    assert headline(outcome) == "silent: SURVIVES (breaks RFC9293:U-1)"


def test_what_becomes_better_catches_nothing():
    """A fault may make an inconclusive testcase conclusive."""
    outcome = judged(FAULT, {KEY: INCONCLUSIVE}, {KEY: CONFORMS}, TOPICS)
    assert not outcome.red
    assert not outcome.noticed


def test_a_failure_of_the_harness_is_told_and_spoils_the_catch():
    """No target may make the harness fail."""
    after = {KEY: DEVIATES, OTHER: Ruling(Verdict.INCONCLUSIVE, ours=True)}
    outcome = judged(FAULT, {KEY: CONFORMS, OTHER: CONFORMS}, after, TOPICS)
    assert outcome.crashed == (TWO,)
    assert not outcome.well
    assert "FAILED a.py::test_two" in "\n".join(lines([outcome], TOPICS))


def test_a_mutant_that_cannot_run_is_no_catch():
    """It says nothing of the catalogue."""
    outcome = Outcome(FAULT, broken="it hung")
    assert not outcome.caught
    assert headline(outcome) == "silent: NO RUN, it hung"


def test_the_end_of_the_report_is_the_score():
    """Survivors are named."""
    outcomes = [
        Outcome(Fault("one", ("X", "Y")), red=(Red("a::b", "Y"),)),
        Outcome(Fault("two", ("X",)), noticed=("a::c",)),
        Outcome(Fault("three", ("X",))),
        Outcome(Fault("four", ("X",)), broken="it hung"),
    ]
    text = "\n".join(lines(outcomes, {}))
    assert "but not by X" in text
    assert "1 of 4 mutants are caught: 25 %" in text
    assert "3 survive: two, three, four" in text
    assert "1 make the harness fail: four" in text


def test_a_mutant_is_tried_with_what_is_near_and_a_tenth_of_the_rest(tmp_path):
    """The same tenth each time, so that a result can be had again."""
    every = [f"t::{number}" for number in range(41)]
    fault = Fault("silent", ("X",), near=("t::7",))
    chosen = Trials("model-rfc9293", every, tmp_path).chosen(fault)
    assert chosen[0] == "t::7"
    assert len(set(chosen)) == 5
    assert chosen == Trials("model-rfc9293", every, tmp_path).chosen(fault)
    assert len(Trials("model-rfc9293", every, tmp_path, whole=True).chosen(fault)) == 41


def test_what_is_kept_is_not_run_again(tmp_path):
    """A run in pieces comes to what one in one piece does."""
    kept = tmp_path / "kept.json"
    rows = {"model": [[*KEY, *CONFORMS]], "silent": [[*KEY, *DEVIATES]]}
    kept.write_text(json.dumps(rows))
    trials = Trials("model", ["no/such/place"], tmp_path, TOPICS, kept=kept)
    (outcome,) = trials.run([FAULT], lambda _: None)
    assert outcome.caught == (ONE,)


def test_a_file_that_keeps_something_else_is_refused(tmp_path):
    """It is named."""
    (tmp_path / "kept.json").write_text('{"model": 3}')
    with pytest.raises(UsageError, match="keeps no rulings"):
        kept_in(tmp_path / "kept.json")


def test_testcases_that_cannot_run_are_our_error(tmp_path):
    """Nothing can be said of mutants where the model itself cannot be tried."""
    with pytest.raises(HarnessError, match="cannot run on model-rfc9293"):
        Trials("model-rfc9293", ["no/such/place"], tmp_path).run([], lambda _: None)


@pytest.mark.parametrize("partial", [False, True])
def test_a_run_that_hangs_counts_for_what_it_found(monkeypatch, tmp_path, partial):
    """Its journal is read, if that is wanted."""

    def hangs(command, **_):
        reports = Path(command[command.index("--reports") + 1])
        journal_lines(reports)
        raise subprocess.TimeoutExpired(command, 1.0)

    monkeypatch.setattr(subprocess, "run", hangs)
    found = rulings(tmp_path, ("a.py::test_one",), (), partial=partial)
    key = ("a.py::test_one", "STD:1", "answer", "ipv4")
    assert found == ({key: Ruling(Verdict.DEVIATES)} if partial else "it hung")


def journal_lines(reports):
    """Write the journal of a run that was killed in mid-line."""
    verdict = dict.fromkeys(("document", "target", "documented", "observed"), "x")
    verdict |= {"testcase": "a.py::test_one[x-ipv4]", "claim": "STD:1", "measure": "answer"}
    verdict |= {"verdict": "deviates", "reason": "", "binding": True, "known": False}
    verdict |= {"values": None, "family": "ipv4", "attempt": 1, "noise_s": None, "pcap": None}
    text = json.dumps(verdict)
    (reports / JOURNAL_NAME).write_text(f"{text}\n{text[:40]}", "utf-8")
