"""The timeline: what happened, in order, with times from the first."""

from harness.peer.timeline import FROM, TOWARDS, Timeline
from harness.segment.notation import parse_segment


def filled():
    made = Timeline()
    made.segment(10.0, TOWARDS, parse_segment("S 0:0(0)"))
    made.segment(10.25, FROM, parse_segment("S. 0:0(0) ack 1"))
    made.note(10.125, "accept()")
    return made


def test_nothing_happened():
    """An empty timeline says so."""
    assert Timeline().lines() == ["nothing happened"]


def test_events_are_told_by_time():
    """A note that was taken late stands where it belongs; times count from the first event."""
    assert filled().lines() == [
        "    +0.000 < S 0:0(0)",
        "    +0.125   accept()",
        "    +0.250 > S. 0:0(0) ack 1",
    ]
    assert [event.segment is None for event in filled()] == [False, True, False]


def test_only_the_last_events_are_told():
    """What is left out is counted, and times still count from the first of all."""
    assert filled().lines(2) == [
        "… 1 earlier events",
        "    +0.125   accept()",
        "    +0.250 > S. 0:0(0) ack 1",
    ]
    assert filled().lines(3) == filled().lines()
