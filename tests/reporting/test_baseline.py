"""Baselines: observations kept in a file, compared, and what explains what moved."""

from dataclasses import replace

import pytest

from harness.documents.library import Library
from harness.errors import UsageError
from harness.judgement.verdict import Verdict
from harness.reporting import attribution, baseline
from harness.reporting.changes import Changes, story, summary
from harness.reporting.run import Run, RunTarget
from tests.reporting.examples import judgement

WHEEL = baseline.Stack("netns", "linux", "6.18", 0.004, wheel=True)
LIBRARY = Library.load()


def timed(observed, **rest):
    """A judgement of the orphan's FIN-WAIT-2 by the kernel's own text."""
    knobs = {"orphan_fin_wait_2_timeout": rest.pop("at", 3.0)}
    values = {
        "claim": "linux:tcp_fin_timeout",
        "document": "linux",
        "measure": "orphan_fin_wait_2_duration",
        "knobs": knobs,
    }
    return judgement(**values | {"observed": observed} | rest)


def saved(tmp_path, *judgements, sysctls=None):
    target = RunTarget("netns", "linux", "6.18", sysctls or {}, tick=0.004, wheel=True)
    run = Run(tmp_path, "", 1.0, (target,), judgements)
    path = tmp_path / "b.txt"
    baseline.save(run, path, lambda measure: measure == "port")
    return baseline.read(path)


def changes(known, *judgements):
    found = baseline.changes(known, baseline.lines_of(judgements))
    return [attribution.explain(one, LIBRARY, WHEEL) for one in found]


def test_a_baseline_is_read_as_it_was_written(tmp_path):
    """A line a measure, with targets and sysctls."""
    judgements = [
        timed("3.02 s"),
        timed("3.02 s", claim="B", verdict=Verdict.DEVIATES),
        timed("ack 1 | 2", measure="late_fin_after_fin_wait_2", family="ipv6"),
        judgement(measure="port", observed="41823"),
        judgement(measure="silent", observed="", verdict="inconclusive", reason="noise"),
    ]
    known = saved(tmp_path, *judgements, sysctls={"net.ipv4.tcp_rmem": "1\t2  3"})
    assert known.name == "b"
    assert known.stacks["netns"].sysctls == {"net.ipv4.tcp_rmem": "1 2 3"}
    assert known.stacks["netns"].wheel
    lines = {line.measure: line for line in known.lines.values()}
    assert set(lines) == {"orphan_fin_wait_2_duration", "late_fin_after_fin_wait_2", "port"}
    timed_line = lines["orphan_fin_wait_2_duration"]
    assert timed_line.verdicts == {"linux:tcp_fin_timeout": "conforms", "B": "deviates"}
    assert timed_line.knobs == {"orphan_fin_wait_2_timeout": 3.0}
    assert lines["port"].observed == baseline.ANY
    assert list(baseline.changes(known, baseline.lines_of(judgements))) == []


@pytest.mark.parametrize("row", ["x", "a | b | c", "t | ipv4 | t | m | 3 s | maybe A | -", "= x"])
def test_a_line_that_is_none_is_named(tmp_path, row):
    """By file and number."""
    path = tmp_path / "b.txt"
    path.write_text(baseline.HEAD + row + "\n")
    with pytest.raises(UsageError, match=r"b\.txt:4: "):
        baseline.read(path)


def test_a_baseline_that_is_not_there_is_a_mistake(tmp_path):
    """The user is told how to make one; a name is looked for in its folder, a path as it is."""
    with pytest.raises(UsageError, match="baseline save mine"):
        baseline.read(baseline.place_of("mine", tmp_path))
    assert baseline.place_of("mine", tmp_path) == tmp_path / "baselines" / "mine.txt"
    assert baseline.place_of("a/mine.txt", tmp_path) == tmp_path / "a" / "mine.txt"


def test_several_attempts_make_a_spread(tmp_path):
    """Of numbers where the words are the same, of words where they are not."""
    known = saved(tmp_path, timed("7.2 s"), timed("7.01 s"), timed("none"))
    (line,) = known.lines.values()
    assert line.observed == "7.01..7.2 s || none"


@pytest.mark.parametrize(
    ("observed", "inside"),
    [
        ("3.02 s", True),
        ("3.3 s", True),  # a granule at 250 Hz is a quarter of a second here
        ("3.7 s", False),
        ("2.5 s", False),
        ("none", False),
        ("3.02, 3.02 s", False),
    ],
)
def test_a_time_may_be_off_by_a_granule_of_the_timers(observed, inside):
    """And by noise, but by no more."""
    assert baseline.within(observed, "3.02..3.1 s", WHEEL) is inside
    assert baseline.within("3.7 s", "3.02..3.1 s", WHEEL, noise=0.5)


def test_whole_numbers_must_be_in_the_spread():
    """A count has no noise."""
    assert baseline.within("4 segments", "3..5 segments", WHEEL)
    assert not baseline.within("6 segments", "3..5 segments", WHEEL)
    assert baseline.within("nothing", baseline.ANY, WHEEL)


def test_a_change_names_the_knob_that_explains_it_and_the_document(tmp_path):
    """The observation is as the document computes it from the new value."""
    known = saved(tmp_path, timed("3.02 s"))
    (one,) = changes(known, timed("90.4 s", at=90.0))
    (cause,) = one.causes
    assert (cause.sysctl, cause.before, cause.now) == ("net.ipv4.tcp_fin_timeout", 3.0, 90.0)
    assert "linux:tcp_fin_timeout" in cause.claims
    told = "\n".join(story([one]))
    assert "3.02 s in the baseline, 90.4 s now" in told
    assert "net.ipv4.tcp_fin_timeout 3 > 90 (linux:tcp_fin_timeout" in told


def test_a_change_that_no_changed_knob_explains_is_unexplained(tmp_path):
    """No knob changed at all; or the one that did has nothing to do with it."""
    known = saved(
        tmp_path,
        timed("3.02 s"),
        judgement(measure="late_fin_after_fin_wait_2", observed="R 1:1(0)"),
    )
    (one,) = changes(known, timed("9.9 s"))
    assert one.causes == ()
    (one,) = changes(known, judgement(measure="late_fin_after_fin_wait_2", observed="nothing"))
    assert one.causes == ()
    assert "unexplained" in one.text


def test_a_knob_does_not_explain_what_its_own_document_contradicts(tmp_path):
    """The knob changed, but what was observed is not what follows from it."""
    known = saved(tmp_path, timed("3.02 s"))
    (one,) = changes(known, timed("20 s", at=90.0, verdict="deviates"))
    assert one.causes == ()
    assert one.contradicted == ("linux:tcp_fin_timeout",)


def test_what_was_only_watched_is_explained_by_the_knob_that_makes_it_long(tmp_path):
    """It lasts longer than anybody looked."""
    known = saved(tmp_path, timed("3.02 s"))
    reason = "still in FIN-WAIT-2 after 12 s of patience"
    (one,) = changes(known, timed("", at=90.0, verdict="inconclusive", reason=reason))
    assert [cause.knob for cause in one.causes] == ["orphan_fin_wait_2_timeout"]
    assert reason in story([one])[0]


def test_a_changed_verdict_is_a_change_though_the_observation_is_not(tmp_path):
    """Unless noise spoilt it, or a default is no longer in force."""
    known = saved(tmp_path, timed("3.02 s"))
    assert len(changes(known, timed("3.02 s", verdict="deviates"))) == 1
    assert changes(known, timed("3.02 s", verdict="inconclusive", reason="noise")) == []
    assert changes(known, timed("3.02 s", verdict="unsupported", reason="tuned: x")) == []
    assert changes(known, timed("3.02 s", claim="new")) == []


def test_what_the_target_no_longer_has_is_a_change(tmp_path):
    """Its reason stands for the observation."""
    known = saved(tmp_path, timed("3.02 s"))
    (one,) = changes(known, timed("", verdict="unsupported", reason="netns has no knob"))
    assert not one.causes
    assert "netns has no knob" in story([one])[0]


def test_what_a_testcase_did_not_get_as_far_as_has_not_moved(tmp_path):
    """Its premise takes longer than anybody watched."""
    late = "late_fin_after_fin_wait_2"
    known = saved(tmp_path, timed("3.02 s"), timed("R 2:2(0)", measure=late, knobs={}))
    found = changes(
        known,
        timed("more than 12 s", at=90.0, verdict="inconclusive"),
        timed(". 2:2(0) ack 2", measure=late, knobs={}),
    )
    measured, lost = attribution.reached(found)
    assert [one.change.now.measure for one in measured] == ["orphan_fin_wait_2_duration"]
    assert [one.change.now.measure for one in lost] == [late]
    whole = changes(known, timed("90 s", at=90.0), timed("nothing", measure=late, knobs={}))
    assert attribution.reached(whole) == (whole, [])


def test_what_a_document_leaves_open_may_come_out_either_way(tmp_path):
    """An orphan's end is the one time-out or the next, by how late they are."""
    rest = {
        "claim": "linux:tcp_orphan_retries",
        "measure": "last_ack_lifetime",
        "knobs": {"orphan_retries": 3.0, "rto_min": 0.2, "rto_max": 120.0},
    }
    known = saved(tmp_path, judgement(observed="6.4 s", **rest))
    wrong = rest | {"verdict": "deviates"}
    for now, open_ in ((rest, True), (wrong, False), (rest | {"claim": "other"}, False)):
        (change,) = baseline.changes(known, baseline.lines_of([judgement(observed="3 s", **now)]))
        assert attribution.either(change, LIBRARY, WHEEL) is open_


def test_what_several_claims_say_of_one_observation_has_no_order(tmp_path):
    """Each claim tells in its own words, with its own numbers, and none of them may be new."""
    told = ("2 of 3 cells by A", "3 of 9 cells by A", "1 of 3 cells by A, 2 otherwise: RST")
    claims = [
        judgement(claim=f"A:{number}", measure="matrix_close_wait", observed=text)
        for number, text in enumerate(told)
    ]
    known = saved(tmp_path, *claims)
    assert changes(known, *claims[::-1]) == []
    other = judgement(claim="A:2", measure="matrix_close_wait", observed=f"{told[2]}, SYN")
    assert len(changes(known, *claims[:2], other)) == 1


def test_what_lies_between_two_numbers_is_compared_by_both(tmp_path):
    """A row that was gone at the second look ended between them."""
    known = saved(tmp_path, timed("3.09 s"))
    assert changes(known, timed("3.12 to 3.2 s")) == []
    assert len(changes(known, timed("3.12 to 4.2 s"))) == 1
    assert changes(saved(tmp_path, timed("3.02 to 3.09 s")), timed("3.05 s")) == []


def test_timestamps_are_other_numbers_each_time(tmp_path):
    """That they are there is what counts."""
    text = "S 0:0(0) win 64240 <mss 1460,TS val {} ecr 0>"
    known = saved(tmp_path, judgement(observed=text.format(77), measure="syn_segment"))
    now = judgement(observed=text.format(123), measure="syn_segment")
    assert changes(known, now) == []
    assert len(changes(known, judgement(observed="S 0:0(0)", measure="syn_segment"))) == 1


def test_a_changed_setting_that_moved_nothing_is_said(tmp_path):
    """With whether a document relates it to what was measured."""
    known = saved(tmp_path, timed("3.02 s"))
    found = changes(known, timed("90 s", at=90.0))
    names = [
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_syn_retries",
        "net.ipv4.tcp_limit_output_bytes",
    ]
    still = attribution.still(names, found, ["syn_retry_ladder"], LIBRARY)
    assert list(still) == sorted(names[1:])
    assert "none of 1" in still["net.ipv4.tcp_syn_retries"]
    assert "no document" in still["net.ipv4.tcp_limit_output_bytes"]


def test_a_knob_at_the_baselines_tuned_value_has_still_moved_from_the_default():
    """A baseline may have it tuned to the very value that a user chose."""
    (line,) = baseline.lines_of([timed("3.02 s")]).values()
    (one,) = attribution.beside_defaults(
        [line], LIBRARY, WHEEL, {"orphan_fin_wait_2_timeout": 60.0}
    )
    assert one.change.before.observed == "60 s (documented)"
    assert [cause.knob for cause in one.causes] == ["orphan_fin_wait_2_timeout"]
    assert not attribution.beside_defaults(
        [replace(line, verdicts={})], LIBRARY, WHEEL, {"orphan_fin_wait_2_timeout": 60.0}
    )


def test_the_summary_has_what_is_unexplained_first(tmp_path):
    """Then what moved by each knob, then what changed to no effect."""
    known = saved(
        tmp_path,
        timed("3.02 s"),
        judgement(measure="late_fin_after_fin_wait_2", observed="R 1:1(0)"),
    )
    now = [
        timed("90 s", at=90.0),
        judgement(measure="late_fin_after_fin_wait_2", observed="nothing"),
    ]
    found = Changes(
        "b",
        tuple(changes(known, *now)),
        {"net.ipv4.a": ("1", "2")},
        {"net.ipv4.a": "moved nothing"},
        2,
        0,
    )
    text = "\n".join(summary(found))
    order = [
        "UNEXPLAINED (1)",
        "late_fin_after_fin_wait_2 on netns",
        "moved by net.ipv4.tcp_fin_timeout, 3 > 90",
    ]
    order += ["orphan_fin_wait_2_duration on netns (ipv4): 3.02 s > 90 s", "net.ipv4.a 1 > 2"]
    assert [text.index(one) for one in order] == sorted(text.index(one) for one in order)
    whole = found.as_json()
    assert [one["explained"] for one in whole["changes"]].count(False) == 1
