"""Baselines, profiles and the short catalogue: runs of pytest within pytest, on a toy."""

import json

import pytest

from harness.commands.baseline import bounded
from harness.documents.library import Library
from harness.judgement.verdict import Verdict
from harness.plugin.short import choose, tokens
from harness.reporting import baseline
from harness.reporting.run import read_run
from tests.test_plugin import has, small

__all__ = ["small"]  # the fixture

pytest_plugins = ["pytester"]

CATALOGUE = """
import pytest

OBSERVED = {observed}


@pytest.mark.measures("truth")
def test_told(documented):
    documented("truth").judge(OBSERVED)


@pytest.mark.measures("short")
def test_timed(documented):
    documented("short").judge({seconds})
"""


def catalogue(*, observed=True, seconds=2.0):
    return CATALOGUE.format(observed=observed, seconds=seconds)


@pytest.fixture
def kept(small, pytester):
    """Return a runner on a toy of which there is a baseline."""
    small(catalogue=catalogue()).assert_outcomes(passed=2)
    run = read_run(pytester.path / "reports")
    path = baseline.place_of("toy", pytester.path)
    assert baseline.save(run, path, lambda _: False) == 2
    return small


def changes(pytester):
    return json.loads((pytester.path / "reports" / "changes.json").read_text())


def test_what_is_as_in_the_baseline_passes(kept, pytester):
    """And it is said how much was compared."""
    result = kept("--baseline", "toy", catalogue=catalogue())
    result.assert_outcomes(passed=2)
    has(result, "2 measures compared with the baseline toy", "nothing moved")
    assert changes(pytester)["changes"] == []


def test_an_observation_outside_the_spread_fails_with_both_side_by_side(kept, pytester):
    """Also where it conforms to every document; nothing explains it here."""
    result = kept("--baseline", "toy", catalogue=catalogue(seconds=9.0))
    has(result, "baseline  2 s", "now       9 s", "because   unexplained", "UNEXPLAINED (1)")
    (one,) = changes(pytester)["changes"]
    assert (one["before"], one["now"], one["explained"]) == ("2 s", "9 s", False)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_changed_verdict_fails(kept, pytester):
    """It names the claim, and what its verdict was."""
    result = kept("--baseline", "toy", catalogue=catalogue(observed=False))
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    has(result, "verdict   STD:truth: conforms in the baseline, deviates now")
    (one,) = changes(pytester)["changes"]
    assert one["verdicts"]["STD:truth"] == ["conforms", str(Verdict.DEVIATES)]


def test_a_baseline_that_is_not_there_stops_the_run_before_it_starts(small):
    """It is the user's mistake, in one line."""
    result = small("--baseline", "missing", catalogue=catalogue())
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*there is no baseline *missing.txt*"])


def test_a_profile_file_that_is_not_there_stops_the_run(small):
    """So does one that is no text."""
    result = small("--sysctl-from", "missing.conf", catalogue=catalogue())
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--sysctl-from *missing.conf: No such file*"])


def test_a_target_that_takes_no_profiles_says_so(small, pytester):
    """In the summary and in verdicts.json."""
    (pytester.path / "my.conf").write_text("net.toy = 3\n")
    result = small("--sysctl-from", "my.conf", catalogue=catalogue())
    result.assert_outcomes(passed=2)
    has(result, "takes its settings by --sysctl only")
    found = json.loads((pytester.path / "reports" / "verdicts.json").read_text())
    (target,) = found["targets"]
    assert target["profile"] == {}
    assert target["left_out"][0]["reason"].endswith("by --sysctl only")


ITEMS = [
    ("slow", "a.py", ["ladder"], "t"),
    ("quick", "a.py", ["ladder"], "t"),
    ("option", "a.py", ["option"], "t"),
    ("other", "a.py", ["other"], "t"),
    ("plain", "b.py", ["unrelated"], "t"),
    ("plainer", "b.py", ["unrelated"], "t"),
]
LENGTHS = {"slow": 9.0, "quick": 3.0, "option": 0.0, "other": 1.0, "plain": 2.0, "plainer": 0.5}
WANTED = {
    "ladder": frozenset({"ladder", "retries"}),
    "option": frozenset({"sack"}),
    "other": frozenset({"sack"}),
}


def test_the_short_catalogue_has_every_computed_measure_and_every_setting_once():
    """The shortest each, and one testcase of every file that has none of these."""
    assert choose(ITEMS, LENGTHS.__getitem__, WANTED) == ["option", "quick", "plainer"]


def test_a_matrix_is_not_in_the_short_catalogue():
    """It takes too long, even where its file has nothing else."""
    matrix = ("matrix", "m.py", ("cells",), "")
    lengths = {**LENGTHS, "matrix": 0.0}.__getitem__
    assert "matrix" in choose([*ITEMS, matrix], lengths, WANTED)
    chosen = choose([*ITEMS, matrix], lengths, WANTED, {"cells"})
    assert chosen == choose(ITEMS, lengths, WANTED)


def test_measures_that_documents_relate_to_settings_are_known():
    """What is computed speaks for itself."""
    found = tokens(Library.load())
    assert {"syn_retry_ladder", "syn_retries"} <= found["syn_retry_ladder"]
    assert "orphan_fin_wait_2_timeout" in found["orphan_fin_wait_2_duration"]
    assert "syn_sent_rst_wrong_ack" not in found


def test_counts_between_bounds_may_be_any():
    """A port is another each time; a documented number is not."""
    tells = bounded(Library.load())
    assert tells("syn_source_port")
    assert not tells("orphan_fin_wait_2_duration")
    assert not tells("no_such_measure")
