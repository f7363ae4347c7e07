"""Pictures: diagrams say what happened, to scale; behaviours stand on one axis."""

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from harness.documents.expectation import AnyOf, Count, Duration, Intervals, Outcome, Shape
from harness.judgement.precision import Precision
from harness.reporting.picture import behaviour, drawing, sequence
from harness.reporting.picture.axis import Axis
from harness.reporting.picture.behaviour import Row
from harness.reporting.picture.drops import change
from harness.reporting.picture.ends import End, Numbers
from harness.reporting.picture.scene import Box, Dot, Line, Outline, Scene, Text
from harness.reporting.timelines import Happened, Story
from harness.states import State

SYN, SYN_ACK, ACK = "S 0:0(0) <mss 1460>", "S. 0:0(0) ack 1 <mss 1460>", ". 1:1(0) ack 1"


def happened(at: float, text: str) -> Happened:
    """`> S 0:0(0)` is a segment from the target; what has no mark is a call."""
    if text[:2] in ("< ", "> "):
        return Happened(at, text[0], text[2:], 0)
    return Happened(at, " ", text)


def drawn(*events: tuple[float, str], pair: bool = False) -> Scene:
    told = Story("a::b", "It does.", pair, tuple(happened(*event) for event in events))
    return sequence.scene(told, left="peer", right="netns")


def texts(scene: Scene, kind: str = "") -> list[str]:
    found = [one for one in scene.marks if isinstance(one, Text)]
    return [one.text for one in found if kind in one.kind.split() or not kind]


def heights(scene: Scene) -> list[float]:
    return [one.y1 for one in scene.marks if isinstance(one, Line) and "arrow" in one.kind]


def strips(scene: Scene, x: float) -> list[str]:
    boxes = (one for one in scene.marks if isinstance(one, Box) and "strip" in one.kind)
    return [one.says for one in boxes if one.x == x - 4]


def test_distances_are_to_scale_and_long_silences_are_broken():
    """Twice the silence is twice the distance; what would be much longer says how long it is."""
    found = drawn(*((at, f"> {SYN}") for at in (0, 1, 2, 4, 8, 40)))
    y = heights(found)
    steps = [later - one for one, later in itertools.pairwise(y)]
    assert steps[0] == steps[1] == steps[2] / 2 == steps[3] / 4
    assert steps[4] == sequence.BREAK
    assert texts(found, "silence") == ["32 s of silence"]
    assert sum(isinstance(one, Outline) for one in found.marks) == 4


def test_events_at_one_time_have_a_row_each_and_one_time():
    """Labels never cover each other."""
    found = drawn((0, f"< {SYN}"), (0, f"> {SYN_ACK}"), (0.00001, f"< {ACK}"))
    y = heights(found)
    assert y[1] - y[0] == y[2] - y[1] == sequence.ROW
    assert texts(found, "time") == ["0.000"]


def test_both_ends_have_their_states():
    """They follow from what passes, and from what the state table showed."""
    close = ("> F. 1:1(0) ack 1", "< . 1:1(0) ack 2", "< F. 1:1(0) ack 2", "> . 2:2(0) ack 2")
    opened = [(0, "listen(8)"), (0, f"< {SYN}"), (0, f"> {SYN_ACK}"), (0, f"< {ACK}")]
    found = drawn(*opened, (0.1, "close()"), *((0.2, text) for text in close))
    assert strips(found, sequence.RIGHT) == [
        "LISTEN", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT",
    ]  # fmt: skip
    assert strips(found, sequence.LEFT) == [
        "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED",
    ]  # fmt: skip


def test_what_was_seen_counts_more_than_what_follows():
    """A state table that says otherwise is right."""
    found = drawn(
        (0, f"> {SYN}"), (0, f"< {SYN_ACK}"), (0, f"> {ACK}"), (1, "the target is in CLOSED")
    )
    assert strips(found, sequence.RIGHT) == ["SYN-SENT", "ESTABLISHED", "CLOSED"]
    assert texts(found, "seen") == ["is in CLOSED"]


def test_what_a_rule_drops_ends_at_it():
    """The segment has a cross, and the state does not change by it."""
    rule = "iptables -I INPUT -p tcp --sport 2017 -j DROP"
    found = drawn(
        (0, f"client: {rule}"), (0, "server: listen(8)"), (0, f"< {SYN}"), (0, f"> {SYN_ACK}"),
        (1, f"client: {rule.replace('-I', '-D')}"), (1.1, f"> {SYN_ACK}"), pair=True,
    )  # fmt: skip
    assert strips(found, sequence.LEFT) == ["SYN-SENT", "ESTABLISHED"]
    assert sum(isinstance(one, Line) and one.kind == "cross" for one in found.marks) == 2
    (barrier,) = (one for one in found.marks if isinstance(one, Box) and one.kind == "barrier")
    assert barrier.says == "dropped: -p tcp --sport 2017 -j DROP"


def test_several_connections_are_numbered_and_have_no_states():
    """Relative numbers of two connections do not follow from each other."""
    events = (Happened(0, ">", SYN, 0), Happened(0, ">", SYN, 1))
    found = sequence.scene(Story("a", "b", False, events), left="peer", right="netns")
    assert [text[:2] for text in texts(found, "segment")] == ["#1", "#2"]
    assert strips(found, sequence.RIGHT) == []


def test_a_long_timeline_is_cut_and_says_so():
    """The capture has the rest."""
    found = drawn(*((at, f"> {ACK}") for at in range(sequence.SHOWN + 7)))
    assert texts(found, "note") == ["7 more events: the capture has them"]


def test_nothing_happened_is_a_picture_too():
    """A story without events has two ends."""
    assert texts(drawn(), "end-name") == ["peer", "netns"]


@pytest.mark.parametrize(
    ("text", "flags", "drops"),
    [
        ("iptables -I INPUT -p tcp -j DROP", "S", True),
        ("iptables -A INPUT -p tcp --tcp-flags SYN,ACK ACK -j DROP", ".", True),
        ("iptables -A INPUT -p tcp --tcp-flags SYN,ACK ACK -j DROP", "S.", False),
        ("iptables -A INPUT -p tcp -m statistic --mode nth -j DROP", "S", False),
        ("iptables -A OUTPUT -p tcp -j DROP", "S", None),
        ("iptables -A INPUT -p tcp -j ACCEPT", "S", None),
        ("close()", "S", None),
        ("iptables 'unbalanced", "S", None),
    ],
)
def test_only_what_a_rule_surely_drops_is_dropped(text, flags, drops):
    """A rule with conditions that nobody here knows drops nothing in a picture."""
    found = change(text)
    if drops is None:
        assert found is None
    else:
        assert found is not None
        assert found.rule.drops(Numbers(flags, 0, 0, None)) is drops


def test_segments_outside_the_order_change_no_state():
    """A RST or FIN beyond what is expected is left aside."""
    end = End(State.ESTABLISHED, sent_to=1, expects=1)
    for text in ("R 9:9(0)", "F. 9:9(0) ack 1", "garbage"):
        numbers = Numbers.of(text)
        if numbers:
            end.receives(numbers)
    assert end.state is State.ESTABLISHED
    end.receives(Numbers("R", 1, 0, None))
    assert end.state is State.CLOSED


def test_an_axis_is_compressed_only_where_it_must_be():
    """Equal times are equally far, unless the longest would hide the shortest."""
    plain = Axis.over([1, 2, 4], left=0, right=100)
    assert not plain.compressed
    assert plain.x(2) - plain.x(0) == pytest.approx(2 * (plain.x(1) - plain.x(0)))
    long = Axis.over([1, 131], left=0, right=600)
    assert long.compressed
    assert long.x(2) - long.x(1) >= 20
    for axis in (plain, long, Axis.over([], left=0, right=10), Axis.over([1e-6], left=0, right=9)):
        places = [x for x, _ in axis.ticks()]
        assert places == sorted(set(places))


def test_expectations_become_times():
    """Instants, ranges, alternatives, and shapes that only an observation gives numbers."""
    exact = Precision()
    (ladder,) = behaviour.expected(Intervals((1, 2, 4)), exact, [])
    assert ladder.instants == (0, 1, 3, 7)
    assert ladder.bands[1][0] < 3 < ladder.bands[1][1]
    (length,) = behaviour.expected(Duration(60, 60), exact, [])
    assert length.instants == (60,)
    (least,) = behaviour.expected(Outcome(("ETIMEDOUT",), Duration(180, None)), exact, [])
    assert least.ranges == ((180, math.inf),)
    assert len(behaviour.expected(AnyOf((Duration(1, 1), Duration(2, 2))), exact, [])) == 2
    (shape,) = behaviour.expected(Shape(ratio=2, up_to=4), exact, [1, 1, 1, 1])
    assert shape.instants == (0, 1, 3, 7, 11)
    assert shape.ideal
    assert behaviour.expected(Shape(count=Count(values=(3,))), exact, []) == []


@pytest.mark.parametrize("values", [None, "soon", [1, "x"], [math.nan], [-1], True, {}, [[1]]])
def test_observations_that_are_none_have_no_times(values):
    """A hostile run draws nothing."""
    assert behaviour.observed_ladder(values) == []
    assert behaviour.observed_range(values) == []


def test_a_drawing_is_well_formed_whatever_is_said():
    """Text is escaped; control characters are shown."""
    hostile = "</text><script>alert(1)</script>\x00\x1b"
    row = Row(hostile, hostile, behaviour.observed(3.0))
    found = behaviour.scene(hostile, [row], [row])
    text = drawing.svg(found)
    tree = ET.fromstring(text)  # noqa: S314 - it was made two lines above
    assert not list(tree.iter("{http://www.w3.org/2000/svg}script"))
    assert "<script" not in text
    assert not re.search(r"https?://(?!www\.w3\.org)", text)


def test_nobody_who_speaks_of_time_has_no_picture():
    """There is no axis without a time."""
    assert behaviour.scene("x", [], [Row("netns", "nothing", [])]) is None


def test_marks_are_short_in_a_page():
    """A page's data has a list for each mark."""
    marks = [Line(1, 2, 3, 4.55, "a"), Dot(1, 2, "b", "c"), Outline(((1, 2), (3, 4)), "d")]
    assert Scene(1, 2, "t", "s", marks).as_json()["marks"] == [
        ["l", "a", 1, 2, 3, 4.5],
        ["d", "b", 1, 2, "c"],
        ["p", "d", [1, 2, 3, 4]],
    ]
