"""Sabotage: a search for what turns testcases red, and how it is told."""

import json

import pytest

from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Verdict
from harness.reporting import sabotage
from harness.reporting.mutation import Ruling
from harness.reporting.sabotage import Found, Search, lines, read

CONFORMS, DEVIATES = Ruling(Verdict.CONFORMS), Ruling(Verdict.DEVIATES)
ONE, TWO, THREE = "a.py::test_one", "a.py::test_two", "b.py::test_three"
DROP, DELAY = ("--sabotage", "drop any"), ("--sabotage", "delay any 5")
MEASURES = {ONE: ["answer"], TWO: ["truth"], THREE: ["silence"]}


def key(testcase):
    """Return the key of a ruling."""
    return (testcase, "STD:1", "answer", "ipv4")


@pytest.fixture
def runs(monkeypatch):
    """Return the runs that a search makes; the second testcase resists the first means."""
    made = []

    def rulings(_folder, testcases, words):
        made.append((tuple(testcases), words[-1]))
        spoilt = {DROP[1]: {ONE}, DELAY[1]: {TWO}}
        red = next((of for means, of in spoilt.items() if words[-1].endswith(means)), set())
        return {key(one): DEVIATES if one in red else CONFORMS for one in testcases}

    monkeypatch.setattr(sabotage, "rulings", rulings)
    return made


def search(tmp_path, **more):
    """Return a search of two means on three testcases."""
    kept = tmp_path / "kept.json"
    return Search("model", (ONE, TWO, THREE), tmp_path, kept, means=(DROP, DELAY), **more)


def test_means_are_tried_on_what_is_not_yet_red(runs, tmp_path):
    """One that was found is enough."""
    found = search(tmp_path).run(lambda _: None)
    assert found.by == {ONE: "--sabotage drop any", TWO: "--sabotage delay any 5"}
    assert [testcases for testcases, _ in runs] == [
        (ONE, TWO, THREE),
        (ONE, TWO, THREE),
        (TWO, THREE),
    ]


def test_a_search_goes_on_where_it_was_left(runs, tmp_path):
    """Nothing is tried twice."""
    search(tmp_path, piece=2).run(lambda _: None)
    before = len(runs)
    found = search(tmp_path).run(lambda _: None)
    assert len(runs) == before
    assert set(found.by) == {ONE, TWO}
    assert found.before[key(ONE)] == CONFORMS


@pytest.mark.usefixtures("runs")
def test_the_list_names_what_turned_each_red_and_what_nothing_does(tmp_path):
    """What is left over has its reason."""
    found = search(tmp_path).run(lambda _: None)
    text = "\n".join(lines(found, list(MEASURES), MEASURES))
    assert f'"{ONE}" = "--sabotage drop any"' in text
    assert f'"{THREE}" = "no means of the list reaches what it observes: silence"' in text
    assert "# 2 of 3 testcases can be turned red" in text


def test_reasons_tell_what_cannot_be_spoiled():
    """Nothing that conforms, nothing that binds, or no verdict at all."""
    found = Found(
        before={
            key(ONE): Ruling(Verdict.UNSUPPORTED),
            key(TWO): Ruling(Verdict.CONFORMS, binding=False),
        }
    )
    text = "\n".join(lines(found, list(MEASURES), MEASURES))
    assert "nothing conforms that could be spoiled (unsupported): answer" in text
    assert "no claim about it binds on this target: truth" in text
    assert "it does not run on this target" in text


def test_a_target_that_cannot_be_tried_is_our_error(monkeypatch, tmp_path):
    """Its reason is told."""
    monkeypatch.setattr(sabotage, "rulings", lambda *_: "no such target")
    with pytest.raises(HarnessError, match="no such target"):
        search(tmp_path).run(lambda _: None)


def test_a_file_that_keeps_something_else_is_refused(tmp_path):
    """It is named."""
    (tmp_path / "kept.json").write_text(json.dumps({"by": 3}))
    with pytest.raises(UsageError, match="keeps no search"):
        read(tmp_path / "kept.json")
