"""The segment as a value: what is read from it."""

import pytest

from harness.segment.notation import parse_segment
from harness.segment.segment import (
    EndOfList,
    MaximumSegmentSize,
    NoOperation,
    RawOption,
    Sack,
    SackPermitted,
    Segment,
    Timestamps,
    UnknownOption,
    WindowScale,
)

ALL = (
    MaximumSegmentSize(1460),
    SackPermitted(),
    Timestamps(1, 0),
    NoOperation(),
    WindowScale(7),
    Sack(((1, 2),)),
    UnknownOption(254, b"x"),
    RawOption(b"\xff"),
    EndOfList(),
)


def test_options_are_named_in_their_order():
    """The names are those of the notation; padding may be left out."""
    segment = Segment(options=ALL)
    assert segment.option_names() == "mss,sackOK,TS,nop,wscale,sack,kind-254,raw,eol"
    assert segment.option_names(padding=False) == "mss,sackOK,TS,wscale,sack,kind-254,raw"
    assert Segment().option_names() == ""


def test_the_first_mss_counts():
    """A second one is not looked at; without any there is none."""
    assert Segment(options=(NoOperation(), MaximumSegmentSize(5), MaximumSegmentSize(6))).mss == 5
    assert Segment().mss is None


@pytest.mark.parametrize(
    ("text", "length"),
    [("S 0:0(0)", 1), ("F 1:1(0)", 1), ("SF 0:5(5)", 7), ("none 1:1(0)", 0), ("R 1:4(3)", 3)],
)  # fmt: skip
def test_syn_and_fin_occupy_sequence_space(text, length):
    """SEG.LEN counts them (RFC 9293 section 3.4)."""
    segment = parse_segment(text)
    assert segment.length == length
    assert (segment.syn, segment.fin, segment.rst) == ("S" in text, "F" in text, "R" in text)
