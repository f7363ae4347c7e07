"""Sabotage: a search for what turns testcases red, and how it is told."""

import json
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Verdict
from harness.peer.timeline import ASIDE, FROM, TOWARDS
from harness.reporting import sabotage, timelines
from harness.reporting.mutation import Ruling
from harness.reporting.sabotage import Found, Search, lines, mutants_of, read, read_list
from harness.reporting.timelines import Happened, Story

CONFORMS, DEVIATES = Ruling(Verdict.CONFORMS), Ruling(Verdict.DEVIATES)
ONE, TWO, THREE = "a.py::test_one", "a.py::test_two", "b.py::test_three"
DROP, RULE = "--sabotage drop any", "--firewall -A INPUT -j DROP"
MEASURES = {ONE: ["answer"], TWO: ["truth"], THREE: ["silence"]}


def key(testcase):
    """Return the key of a ruling."""
    return (testcase, "STD:1", "answer", "ipv4")


@pytest.fixture
def runs(monkeypatch):
    """Return the runs that a search makes: what is done to which testcase.

    The second resists every sabotage, the third everything.
    """
    made = []

    def rulings(_folder, testcases, words, **_):
        harm = dict.fromkeys(testcases, "")
        if "--sabotage-from" in words:
            harm = tomllib.loads(Path(words[-1]).read_text())["sabotage"]
        elif words[-1].startswith("--firewall"):
            harm = dict.fromkeys(testcases, words[-1])
        made.append(harm)
        red = {ONE} if "--sabotage-from" in words else {TWO} if harm[testcases[0]] else set()
        return {key(one): DEVIATES if one in red else CONFORMS for one in testcases}

    monkeypatch.setattr(sabotage, "rulings", rulings)
    return made


def search(tmp_path, **more):
    """Return a search of two means on three testcases."""
    kept = tmp_path / "kept.json"
    return Search("model", (ONE, TWO, THREE), tmp_path, kept, means=(DROP, RULE), **more)


def test_means_are_tried_on_what_is_not_yet_red(runs, tmp_path):
    """One that was found is enough."""
    found = search(tmp_path).run(lambda _: None)
    assert found.by == {ONE: DROP, TWO: RULE}
    assert runs == [
        {ONE: "", TWO: "", THREE: ""},
        {ONE: "drop any", TWO: "drop any", THREE: "drop any"},
        {ONE: "drop any"},
        {TWO: "--firewall=-A INPUT -j DROP", THREE: "--firewall=-A INPUT -j DROP"},
        {TWO: "--firewall=-A INPUT -j DROP"},
    ]


def test_what_is_red_only_once_does_not_count(monkeypatch, runs, tmp_path):
    """It may have been noise."""
    steady, seen = sabotage.rulings, []

    def rulings(folder, testcases, words, **more):
        after = steady(folder, testcases, words, **more)
        seen.append("--once" in words)
        return dict.fromkeys(after, CONFORMS) if sum(seen) == 2 else after

    monkeypatch.setattr(sabotage, "rulings", rulings)
    found = search(tmp_path).run(lambda _: None)
    assert found.by == {TWO: RULE}
    assert found.tries[ONE] == [DROP, RULE]
    assert runs[2] == {ONE: "drop any"}


def test_the_last_segments_are_spoiled_first(runs, tmp_path):
    """Each testcase has sabotage of its own, all of it in one run."""
    kept = {"by": {}, "tries": {}, "before": [[*key(ONE), *CONFORMS], [*key(TWO), *CONFORMS]]}
    kept["lengths"] = {ONE: [4, 3], TWO: [11, 0], THREE: [0, 2]}
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    search(tmp_path).run(lambda _: None)
    assert runs[0] == {ONE: "drop inbound 4th any", TWO: "drop inbound 11th any"}
    assert runs[1:3] == [{ONE: "drop inbound 4th any"}, {TWO: "alter inbound 11th any flags=R."}]


def test_what_an_earlier_list_says_comes_before_all_else(runs, tmp_path):
    """A list is made again by trying what it says."""
    path = tmp_path / "list.toml"
    path.write_text(f'[sabotage]\n"{ONE}" = "drop R"\n[firewall]\n"{TWO}" = "-j DROP"\n[none]\n')
    first = read_list(path)
    assert first == {ONE: "--sabotage drop R", TWO: "--firewall -j DROP"}
    search(tmp_path, first=first).run(lambda _: None)
    assert runs[1] == {ONE: "drop R", THREE: "drop any"}
    assert runs[3:5] == [{TWO: "--firewall=-j DROP"}, {TWO: "--firewall=-j DROP"}]


def test_a_list_of_anything_else_is_refused(tmp_path):
    """It is named."""
    path = tmp_path / "list.toml"
    for text in ("[sabotage", "sabotage = 3"):
        path.write_text(text)
        with pytest.raises(UsageError, match="is no list of what turns testcases red"):
            read_list(path)


def test_segments_are_counted_without_harm(monkeypatch, tmp_path):
    """Those of either side, and nothing else that happened."""
    events = (
        Happened(0.0, ASIDE, "listen(8)"),
        Happened(0.1, TOWARDS, "S 0:0(0)", 0),
        Happened(0.2, FROM, "S. 0:0(0) ack 1", 0),
        Happened(0.3, TOWARDS, ". 1:1(0) ack 1", 0),
        Happened(0.4, TOWARDS, "echo request"),
    )
    timelines.write(tmp_path, "pcap/one.pcap", Story(ONE, "", pair=False, events=events))
    verdict = SimpleNamespace(testcase=f"{ONE}[model-ipv4]", pcap="pcap/one.pcap")
    monkeypatch.setattr(sabotage, "read_run", lambda _: SimpleNamespace(verdicts=[verdict]))

    def rulings(_folder, testcases, _words, look=None, **_):
        if look is not None:
            look(tmp_path)
        return {key(one): CONFORMS for one in testcases}

    monkeypatch.setattr(sabotage, "rulings", rulings)
    found = search(tmp_path).run(lambda _: None)
    assert found.lengths == {ONE: (2, 1), TWO: (0, 0), THREE: (0, 0)}


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
    """What is left over has its reason; the list can be read again."""
    found = search(tmp_path).run(lambda _: None)
    text = "\n".join(lines(found, list(MEASURES), MEASURES, {}))
    assert tomllib.loads(text) == {
        "sabotage": {ONE: "drop any"},
        "firewall": {TWO: "-A INPUT -j DROP"},
        "sysctl": {},
        "none": {THREE: "no means of the list reaches what it observes: silence"},
    }
    assert "# 2 of 3 testcases can be turned red" in text
    (tmp_path / "list.toml").write_text(text)
    assert read_list(tmp_path / "list.toml") == {ONE: DROP, TWO: RULE}


def test_reasons_tell_what_cannot_be_spoiled():
    """Nothing that conforms, nothing that was found, or no verdict at all."""
    found = Found(before={key(ONE): Ruling(Verdict.UNSUPPORTED), key(TWO): CONFORMS})
    text = "\n".join(lines(found, list(MEASURES), MEASURES, {}))
    assert "nothing conforms that could be spoiled (unsupported): answer" in text
    assert "no means of the list reaches what it observes: truth" in text
    assert "it does not run on this target" in text


@pytest.mark.parametrize(
    ("before", "now", "red"),
    [
        (CONFORMS, DEVIATES, True),
        (CONFORMS, Ruling(Verdict.DEVIATES, binding=False), False),
        (CONFORMS, Ruling(Verdict.PERMITTED, binding=False), True),
        (CONFORMS, Ruling(Verdict.INCONCLUSIVE), False),
        (CONFORMS, CONFORMS, False),
        (DEVIATES, DEVIATES, False),
        (None, DEVIATES, False),
    ],
)
def test_red_is_what_conformed_before(before, now, red):
    """It deviates and binds, or advice is not followed any more; noise is neither."""
    found = Found(before={} if before is None else {key(ONE): before})
    assert found.turned(key(ONE), now) is red


def test_mutants_are_named_of_what_no_means_reaches():
    """They are what else shows that a testcase can fail; three say enough."""
    kept = {
        "model-rfc9293": {key(ONE): CONFORMS, key(TWO): DEVIATES},
        **{f"fault-{number}": {key(ONE): DEVIATES, key(TWO): DEVIATES} for number in range(4)},
        "harmless": {key(ONE): CONFORMS},
    }
    mutants = mutants_of(kept)
    assert mutants == {ONE: [f"fault-{number}" for number in range(4)]}
    found = Found(before={key(ONE): CONFORMS})
    text = "\n".join(lines(found, list(MEASURES), MEASURES, mutants))
    assert "answer (red on the model with fault-0, fault-1, fault-2)" in text


def test_a_target_that_cannot_be_tried_is_our_error(monkeypatch, tmp_path):
    """Its reason is told."""
    monkeypatch.setattr(sabotage, "rulings", lambda *_, **__: "no such target")
    with pytest.raises(HarnessError, match="no such target"):
        search(tmp_path).run(lambda _: None)


def test_a_file_that_keeps_something_else_is_refused(tmp_path):
    """It is named."""
    (tmp_path / "kept.json").write_text(json.dumps({"by": 3}))
    with pytest.raises(UsageError, match="keeps no search"):
        read(tmp_path / "kept.json")
