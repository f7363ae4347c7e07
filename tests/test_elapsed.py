"""Elapsed: how fast the time of a run passed."""

from types import SimpleNamespace

import pytest

from harness.plugin.elapsed import PASSED, Elapsed, told


class Lines(list):
    """Takes what a terminal reporter would write."""

    write_line = list.append


def report(name, passed, took, when="call"):
    properties = [] if passed is None else [(PASSED, str(passed))]
    return SimpleNamespace(nodeid=name, when=when, user_properties=properties, duration=took)


def test_the_times_and_their_ratio_are_told():
    """Two hours in four seconds."""
    assert told("virtual time", 7200.0, 4.0) == (
        "virtual time: 7200 s in 4.0 s of wall time, 1800 to 1"
    )


def test_long_ones_are_left_out_of_the_second_line():
    """What one testcase of two hours makes of the ratio says little of the others."""
    elapsed = Elapsed()
    elapsed.began -= 10.0
    for one in (report("a", 7300.0, 6.0), report("b", 100.0, 2.0), report("c", 300.0, 2.0)):
        elapsed.pytest_runtest_logreport(one)
    lines = Lines()
    elapsed.pytest_terminal_summary(lines)
    assert lines[0].startswith("virtual time: 7700 s in 10.0 s")
    assert lines[1] == "  without those over 3600 s: 400 s in 4.0 s of wall time, 100 to 1"


def test_where_all_are_long_there_is_no_second_line():
    """There is nothing left whose ratio could be told."""
    elapsed = Elapsed()
    elapsed.began -= 10.0
    elapsed.pytest_runtest_logreport(report("a", 7300.0, 6.0))
    lines = Lines()
    elapsed.pytest_terminal_summary(lines)
    assert len(lines) == 1


@pytest.mark.parametrize("one", [report("a", None, 1.0), report("a", 5.0, 1.0, when="teardown")])
def test_real_time_is_not_told(one):
    """It passes by itself."""
    elapsed = Elapsed()
    elapsed.pytest_runtest_logreport(one)
    lines = Lines()
    elapsed.pytest_terminal_summary(lines)
    assert lines == []
