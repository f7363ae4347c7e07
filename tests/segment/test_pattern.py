import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.segment.notation import parse_pattern, parse_segment, write
from harness.segment.pattern import Mismatch
from tests.segment.strategies import segments

SYN_ACK = "S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,TS val 7 ecr 9,nop,wscale 7>"


def mismatches(pattern, segment, **books):
    return parse_pattern(pattern).mismatches(parse_segment(segment), **books)


@pytest.mark.parametrize(
    ("pattern", "segment"),
    [
        ("S.", SYN_ACK),
        (SYN_ACK, SYN_ACK),
        ("S. 0:0(0) ack 1", SYN_ACK),
        ("S. ack * win *", SYN_ACK),
        ("S. <mss *,sackOK,TS val * ecr *,nop,wscale *>", SYN_ACK),
        ("S. <mss 1460,sackOK,TS val 7 ecr *,nop,wscale 7>", SYN_ACK),
        ("S. <...>", SYN_ACK),
        ("S. <wscale *,mss 1460,...>", SYN_ACK),
        ("S. <nop,...>", SYN_ACK),
        (". <>", ". 1:1(0) ack 1"),
        (". <...>", ". 1:1(0) ack 1"),
        (". <sack *>", ". 1:1(0) ack 1 <sack 1:5>"),
        (". <kind-34 *>", ". 1:1(0) ack 1 <kind-34 0xcafe>"),
        (". <kind-* *>", ". 1:1(0) ack 1 <kind-34 0xcafe>"),
        (". <mss *,mss 1,...>", ". 1:1(0) ack 1 <mss 1,mss 2>"),
        (". 1:6(5) ack 1", "P. 1:6(5) ack 1"),
        ("P. 1:6(5) ack 1", "P. 1:6(5) ack 1"),
        (". 1:*(*)", 'P. 1:4(3) ack 1 "abc"'),
        (". *:*(3)", 'P. 1:4(3) ack 1 "abc"'),
        ('. 1:4(3) "abc"', 'P. 1:4(3) ack 1 "abc"'),
        ('. "abc"', 'P. 1:4(3) ack 1 "abc"'),
        ("R -1:-1(0)", "R 4294967295:4294967295(0)"),
        ("R checksum 0x7", "R 1:1(0) checksum 7"),
        ("R", "R 1:1(0) checksum 7 reserved 3 urg 5"),
        ("none", "P 1:1(0)"),
        ("S 0:0(0)", "SEW 0:0(0)"),
        ("S 0:0(0)", "SEWe 0:0(0)"),
        ("S 0:0(0) ecn none", "S 0:0(0)"),
        ("S ecn none <mss *>", "S 0:0(0) <mss 5>"),
        ("SEW", "SEW 0:0(0)"),
    ],
)
def test_a_pattern_fits_what_it_leaves_open(pattern, segment):
    """What a pattern does not say is not checked."""
    assert mismatches(pattern, segment) == ()
    assert parse_pattern(pattern).distance(parse_segment(segment)) == 0


@pytest.mark.parametrize(
    ("pattern", "segment", "expected"),
    [
        ("R.", SYN_ACK, Mismatch("flags", "R.", "S.")),
        ("P.", ". 1:1(0) ack 1", Mismatch("flags", "P.", ".")),
        (".", ".E 1:1(0) ack 1", Mismatch("flags", ".", ".E")),
        ("S ecn none", "SEW 0:0(0)", Mismatch("flags", "S", "SEW")),
        ("SEW", "S 0:0(0)", Mismatch("flags", "SEW", "S")),
        ("SEW", "SEWe 0:0(0)", Mismatch("flags", "SEW", "SEWe")),
        ("S.", "S.E 0:0(0) ack 1", Mismatch("flags", "S.", "S.E")),
        ("SF", "SFE 0:0(0)", Mismatch("flags", "FS", "FSE")),
        ("none", ".P 1:1(0) ack 1", Mismatch("flags", "none", ".")),
        (". 2:2(0)", ". 1:1(0) ack 1", Mismatch("seq", "2", "1")),
        (". -1:-1(0)", ". 1:1(0) ack 1", Mismatch("seq", "-1", "1")),
        (". 1:1(0)", ". 1:6(5) ack 1", Mismatch("length", "0", "5")),
        (". *:*(4)", ". 1:6(5) ack 1", Mismatch("length", "4", "5")),
        (". ack 2", ". 1:1(0) ack 1", Mismatch("ack", "2", "1")),
        (". win 0", ". 1:1(0) ack 1 win 9", Mismatch("win", "0", "9")),
        (". urg 1", ". 1:1(0) ack 1", Mismatch("urg", "1", "0")),
        (". reserved 0", ". 1:1(0) ack 1 reserved 4", Mismatch("reserved", "0", "4")),
        ("R checksum 7", "R 1:1(0)", Mismatch("checksum", "0x0007", "right")),
        ("R checksum 7", "R 1:1(0) checksum 8", Mismatch("checksum", "0x0007", "0x0008")),
        (". <>", ". 1:1(0) ack 1 <nop>", Mismatch("options", "<>", "<nop>")),
        (". <mss *>", ". 1:1(0) ack 1", Mismatch("options", "<mss *>", "<>")),
        (". <mss 1>", ". 1:1(0) ack 1 <mss 2>", Mismatch("options", "<mss 1>", "<mss 2>")),
        (
            ". <nop,mss *>",
            ". 1:1(0) ack 1 <mss 2,nop>",
            Mismatch("options", "<nop,mss *>", "<mss 2,nop>"),
        ),
        (
            ". <mss *,mss *,...>",
            ". 1:1(0) ack 1 <mss 2,nop>",
            Mismatch("options", "<mss *,mss *,...>", "<mss 2,nop>"),
        ),
        (". <kind-35 *>", ". 1:1(0) ack 1 <kind-34>", None),
        ('. 1:3(2) "ab"', '. 1:3(2) ack 1 "ac"', Mismatch("payload", '"ab"', '"ac"')),
    ],
)
def test_what_differs_is_told_field_by_field(pattern, segment, expected):
    """One field that differs is one mismatch, both sides in the notation."""
    found = mismatches(pattern, segment)
    assert len(found) == 1
    assert expected is None or found == (expected,)
    assert parse_pattern(pattern).distance(parse_segment(segment)) > 0


def test_what_is_left_out_is_checked_against_the_books():
    """seq and ack of the books count where the pattern has none, and only there."""
    assert mismatches(".", ". 1:1(0) ack 1", seq=1, ack=1) == ()
    assert mismatches(".", ". 1:1(0) ack 1", seq=2, ack=3) == (
        Mismatch("seq", "2", "1"),
        Mismatch("ack", "3", "1"),
    )
    assert mismatches(". 1:1(0) ack 1", ". 1:1(0) ack 1", seq=2, ack=3) == ()
    assert mismatches(". *:*(0) ack *", ". 1:1(0) ack 1", seq=2, ack=3) == ()


def test_the_books_say_nothing_of_an_acknowledgment_without_its_flag():
    """A RST without ACK has no acknowledgment to check."""
    assert mismatches("R", "R 1:1(0)", seq=1, ack=3) == ()


@given(segments(), segments(), st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_a_pattern_fits_exactly_when_nothing_differs(wanted, seen, seq, ack):
    """fits, mismatches and distance agree for every pattern and segment."""
    text = write(dataclasses.replace(wanted, data_offset=None))
    for pattern in (parse_pattern(text), parse_pattern(text.split()[0])):
        for segment in (wanted, seen):
            found = pattern.mismatches(segment, seq=seq, ack=ack)
            assert pattern.fits(segment, seq=seq, ack=ack) == (not found)
            assert (pattern.distance(segment, seq=seq, ack=ack) == 0) == (not found)
            assert all(mismatch.expected != mismatch.observed for mismatch in found)


def test_wrong_flags_are_farther_than_all_wrong_numbers():
    """A stray RST is never nearer than an ACK whose every number is wrong."""
    pattern = parse_pattern('. 1:3(2) ack 2 win 1 urg 1 reserved 1 checksum 1 <> "ab"')
    near = parse_segment(". 7:8(1) ack 9 win 9 urg 9 reserved 7 checksum 9 <nop>")
    stray = parse_segment('R 1:3(2) ack 2 win 1 urg 1 reserved 1 checksum 1 "ab"')
    assert pattern.distance(near) < pattern.distance(stray)


def test_a_pattern_knows_its_text():
    """A failure shows the pattern as it was written."""
    assert str(parse_pattern(" F.   1:1(0)  ack 2 ")) == "F. 1:1(0) ack 2"
    assert str(parse_pattern(' . "a  b" ')) == '. "a  b"'


@pytest.mark.parametrize(
    "text",
    ["", "X", "S.S 1", ". <...,nop>", ". <nop ...>", ". offset 3", ". 1:2(*", ". 1:2(0)", ". <"],
)
def test_a_pattern_that_does_not_parse_is_a_usage_error(text):
    """The error calls the text a pattern and is one line."""
    with pytest.raises(UsageError, match=r"^pattern .* expected [^\n]*$"):
        parse_pattern(text)
