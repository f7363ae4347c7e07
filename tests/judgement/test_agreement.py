"""Agreement: whether one observation can be all that several claims expect."""

import pytest

from harness.documents.expectation import AnyOf, Duration, Intervals
from harness.documents.measure import Kind
from harness.documents.parsing import expectation
from harness.errors import HarnessError
from harness.judgement.agreement import agree

AGREE = [
    ("duration", [60, {"at_least": 60}, {"between": [60, 240]}]),
    ("duration", [{"at_most": 0.5}, {"at_least": 0.5}]),
    ("ladder", [[1, 2, 4], {"ratio": 2}, {"count": 3}, {"first": 1}]),
    ("ladder", [[1, 1, 2, 4], {"ratio": 2, "from": 2}]),
    ("ladder", [[1, 2, 3], {"ratio": 2, "up_to": 3}]),
    ("ladder", [{"constant": 75}, {"count": 8}, {"first": {"at_least": 70}}]),
    ("ladder", [{"ratio": 2}, {"count": {"at_least": 1}}]),
    ("ladder", [{"ratio": 2, "from": 3}, {"ratio": 3, "up_to": 4}]),
    ("ladder", [[], {"count": 0}]),
    ("count", [3, {"at_least": 1}, {"not": 2}, [1, 3]]),
    ("count", [{"not": 0}, {"at_most": 2}, {"not": 1}]),
    ("outcome", [["ECONNREFUSED", "ETIMEDOUT"], {"outcome": "ETIMEDOUT", "after": 60}]),
    ("states", ["ESTABLISHED", {"any": [["ESTABLISHED"], ["CLOSED"]]}]),
    ("states", [["SYN-SENT", "ESTABLISHED"], {"includes": ["SYN-SENT"]}]),
    ("fact", [True, True]),
    ("word", [{"includes": ["mss"]}, {"excludes": ["TS"]}, "mss,sackOK"]),
    ("word", [{"includes": ["mss"]}, {"includes": ["TS"]}]),
    ("segment", ["R. 0:0(0) ack 1", "R.", ["S.", "R. 0:0(0)"]]),
    ("segment", ["P. 1:2(1)", ". 1:2(1)"]),
    ("segment", ["nothing", ["R", "nothing"]]),
    ("segment", ["S <mss 1460,...>", "S <mss *,sackOK>"]),
    ("cells", [{"steps": ["SYN"]}, {"steps": ["SYN"], "by": "RFC 5961"}]),
]

DISAGREE = [
    ("duration", [60, 61]),
    ("duration", [{"at_most": 0.5}, {"at_least": 1}]),
    ("ladder", [[1, 2, 4], [1, 2]]),
    ("ladder", [[1, 2, 4], [1, 2, 5]]),
    ("ladder", [[1, 1, 2, 4], {"ratio": 2}]),
    ("ladder", [[1, 2, 4], {"count": 2}]),
    ("ladder", [[1, 2, 4], {"first": 2}]),
    ("ladder", [{"constant": 75}, {"ratio": 2}]),
    ("ladder", [{"constant": 75}, {"first": 3}]),
    ("ladder", [{"ratio": 2}, {"ratio": 3}]),
    ("ladder", [{"count": 3}, {"count": {"at_least": 4}}]),
    ("count", [3, {"at_most": 2}]),
    ("count", [{"between": [1, 2]}, {"not": 1}, {"not": 2}]),
    ("outcome", ["ECONNREFUSED", "ETIMEDOUT"]),
    ("outcome", [{"outcome": "ETIMEDOUT", "after": 60}, {"outcome": "ETIMEDOUT", "after": 70}]),
    ("states", ["ESTABLISHED", "CLOSED"]),
    ("states", [["SYN-SENT", "ESTABLISHED"], {"excludes": ["SYN-SENT"]}]),
    ("fact", [True, False]),
    ("word", ["mss", {"includes": ["TS"]}]),
    ("word", [{"includes": ["TS"]}, {"excludes": ["TS"]}]),
    ("segment", ["R", "nothing"]),
    ("segment", ["R", "R."]),
    ("segment", ["S. ack 1", "S. ack 2"]),
    ("segment", ['P. 1:2(1) ack 1 "a"', 'P. 1:2(1) ack 1 "b"']),
    ("segment", ["S <mss 1460,...>", "S <mss 536,...>"]),
    ("segment", ["S <mss 1460>", "S <mss 1460,sackOK>"]),
    ("segment", ["S <mss 1460>", "S <sackOK,...>"]),
]


def read(kind, tables):
    return [expectation(Kind(kind), table) for table in tables]


@pytest.mark.parametrize(("kind", "tables"), AGREE)
def test_what_one_observation_fits_agrees(kind, tables):
    """Claims that one observation can fit agree, in whatever order they are."""
    assert agree(read(kind, tables))
    assert agree(read(kind, reversed(tables)))


@pytest.mark.parametrize(("kind", "tables"), DISAGREE)
def test_what_no_observation_fits_disagrees(kind, tables):
    """Claims that nothing can fit together disagree, in whatever order they are."""
    assert not agree(read(kind, tables))
    assert not agree(read(kind, reversed(tables)))


@pytest.mark.parametrize(("kind", "tables"), [*AGREE, *DISAGREE])
def test_each_claim_agrees_with_itself(kind, tables):
    """Nothing that can be written contradicts itself."""
    for one in read(kind, tables):
        assert agree([one])
        assert agree([one, one])


def test_alternatives_agree_where_one_of_them_does():
    """Of what may be any of several things, one that fits is enough."""
    either = AnyOf((Duration(1.0, 1.0), Duration(2.0, 2.0)))
    assert agree([either, Duration(2.0, None)])
    assert not agree([either, Duration(3.0, None)])


def test_a_measured_time_may_be_stretched():
    """A ladder that follows from a measured round trip agrees with all it may be."""
    stretched = Intervals((0.2, 0.4), stretch=1.1)
    assert agree([stretched, Intervals((0.21, 0.43))])
    assert not agree([stretched, Intervals((0.21, 0.45))])


def test_two_texts_that_rule_one_step_disagree():
    """Two claims want two ways for the same segments."""
    one, other = read("cells", [{"steps": ["SYN"], "by": by} for by in ("RFC 5961", "RFC 793")])
    assert not agree([one, other])


def test_what_is_not_computed_is_not_compared():
    """Before the knobs are known there is nothing to compare."""
    with pytest.raises(HarnessError):
        agree([expectation(Kind("ladder"), {"computed": "linux_syn_ladder"})])


def test_nothing_agrees_with_nothing():
    """A measure of which nobody says anything is no contradiction."""
    assert agree([])
