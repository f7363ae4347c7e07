import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.segment.notation import (
    filler,
    parse_flags,
    parse_pattern,
    parse_segment,
    write,
)
from harness.segment.segment import (
    EndOfList,
    Flags,
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
from tests.segment.strategies import any_option, segments

EVERY_OPTION = (
    EndOfList(),
    NoOperation(),
    MaximumSegmentSize(1460),
    WindowScale(7),
    SackPermitted(),
    Sack(((1, 5), (0xFFFF_FFFE, 12))),
    Timestamps(100, 0xFFFF_FFFF),
    UnknownOption(34, b"\xca\xfe"),
    UnknownOption(254, b""),
    RawOption(b"\x02\x03"),
    RawOption(b""),
    Sack(()),
)


def round_trip(segment):
    assert parse_segment(write(segment)) == segment


@pytest.mark.parametrize(
    "text",
    [
        "S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>",
        "F. 1:1(0) ack 2 win 65535",
        'P. 1:6(5) ack 1 win 512 "hello"',
        "none 1:1(0) win 65535",
        "R -1:0(1) win 0",
        "S. -1:-1(0) ack -3 win 1 urg 5 reserved 7 checksum 0x00ff offset 3 <sack 1:5 -9:-2,eol>",
        r'FP. 1:5(4) ack 1 win 65535 "\"\\<\xff"',
        "SEWe 0:0(0) win 65535 <kind-34 0xcafe,kind-253,raw 0x0203>",
    ],
)
def test_canonical_text_is_written_as_it_was_read(text):
    """What the writer would print reads back and prints the same."""
    assert write(parse_segment(text)) == text


def test_every_flag_combination_survives_the_round_trip():
    """All 512 combinations of control bits are written apart and read back."""
    texts = set()
    for bits in range(512):
        segment = Segment(flags=Flags(bits), ack=bits)
        round_trip(segment)
        texts.add(write(segment).split()[0])
    assert len(texts) == 512


@pytest.mark.parametrize("bits", range(512))
def test_flags_are_read_in_any_order(bits):
    """Letters may come in any order; they are written in tcpdump's."""
    letters = write(Segment(flags=Flags(bits))).split()[0]
    assert parse_flags(letters if letters == "none" else letters[::-1]) == Flags(bits)
    assert letters == "none" or re.fullmatch(r"F?S?R?P?\.?U?E?W?e?", letters)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_option_in_every_order_survives_the_round_trip(count):
    """Each ordered choice of options reads back as it was."""
    for options in itertools.permutations(EVERY_OPTION, count):
        round_trip(Segment(options=options))
    round_trip(Segment(options=EVERY_OPTION))


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 1460, 65535])
@pytest.mark.parametrize(
    "first", [0, 1, 2**31 - 1, 2**31, 2**32 - 2**20 - 1, 2**32 - 2**20, 2**32 - 3, 2**32 - 1]
)
def test_numbers_around_the_wrap_survive_the_round_trip(first, length):
    """first:last(length) holds modulo 2^32 wherever the segment begins."""
    round_trip(Segment(seq=first, payload=filler(length)))
    round_trip(Segment(seq=first, ack=first, flags=Flags.ACK, options=(Sack(((first, 0),)),)))


@pytest.mark.parametrize("octet", range(256))
def test_every_octet_survives_in_a_payload(octet):
    """A payload that is not the filler is written out, whatever octets it has."""
    for payload in (bytes([octet]), bytes([octet]) * 2, b'a"\\' + bytes([octet]) + b"0"):
        round_trip(Segment(payload=payload))
        assert '"' in write(Segment(payload=payload)) or payload == filler(len(payload))


@given(segments())
def test_any_segment_survives_the_round_trip(segment):
    """write() says all that distinguishes a segment, its ports aside."""
    round_trip(segment)


@given(segments(data_offset=st.none()))
def test_what_is_written_is_a_pattern_that_fits_the_segment(segment):
    """The text of a segment, read as a pattern, fits that segment."""
    assert parse_pattern(write(segment)).mismatches(segment) == ()


@given(any_option)
def test_what_is_written_is_one_line(option):
    """No option puts a line break into the notation."""
    assert write(Segment(options=(option,))).isprintable()


def test_the_filler_stands_for_a_payload_that_is_not_written():
    """`(n)` without a payload means n octets of the filler."""
    assert parse_segment("P. 1:20(19) ack 1").payload == filler(19)
    assert len(filler(19)) == 19
    assert '"' not in write(Segment(payload=filler(19)))


def test_brief_leaves_out_window_and_payload():
    """A timeline shows neither the window nor the octets of the payload."""
    segment = parse_segment('P. 1:6(5) ack 1 win 7 <nop> "hello"')
    assert write(segment, brief=True) == "P. 1:6(5) ack 1 <nop>"


def test_parts_may_stand_in_any_order_and_spacing():
    """Only flags and numbers have their place; white space does not matter."""
    assert parse_segment(' .P  1:3(2)  "ab" < nop , mss 0x10 >win 9 ack 2 ') == Segment(
        seq=1,
        ack=2,
        flags=Flags.PSH | Flags.ACK,
        window=9,
        options=(NoOperation(), MaximumSegmentSize(16)),
        payload=b"ab",
    )


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        ("", "at its end", "flags"),
        ("X 0:0(0)", "'X 0:0(0)' (character 1)", "flags"),
        ("SS. 0:0(0)", "at its end", "ack N"),
        ("R.", "at its end", "first:last(length)"),
        ("S 0:1(0)", "'0:1(0)' (character 3)", "0:0(0)"),
        ("S 0:0", "at its end", "(length)"),
        ("S 0:0(0", "at its end", "')'"),
        ("S 0:65536(65536)", "65536) (character 11)", "length of at most 65535"),
        ("S 0:0(0) win", "at its end", "win, a number"),
        ("S 0:0(0) win 65536", "'65536' (character 14)", "at most 65535"),
        ("S 0:0(0) win -1", "'-1' (character 14)", "win, a number"),
        ("S 0:0(0) win *", "'*' (character 14)", "win, a number"),
        ("S 0:0(0) win 1 win 2", "'win 2' (character 16)", "win only once"),
        ("S 0:0(0) ack 4294967296", "'4294967296' (character 14)", "at most 4294967295"),
        ("S 0:0(0) ack -2147483649", "(character 14)", "at most 4294967295"),
        ("S 0:0(0) win " + "9" * 5000, "(character 14)", "win, a number"),
        ("S 0:0(0) <mss>", "'>' (character 14)", "mss, a number"),
        ("S 0:0(0) <mss 1", "at its end", "',' or '>'"),
        ("S 0:0(0) <nop,>", "'>' (character 15)", "mss, wscale"),
        ("S 0:0(0) <nop,...>", "'...>' (character 15)", "mss, wscale"),
        ("S 0:0(0) <nop> <nop>", "'<nop>' (character 16)", "ack, win"),
        ("S 0:0(0) <kind-34 0xcaf>", "(character 19)", "octets as 0xNN"),
        ("S 0:0(0) <sack 1:>", "'>' (character 18)", "edge, a number"),
        ("S 0:0(0) <TS 1 2>", "'1 2>' (character 14)", "val N ecr N"),
        ('. 1:6(5) ack 1 "hell"', "(character 16)", "5 octets, not 4"),
        ('. 1:6(5) ack 1 "hello', "(character 16)", "payload"),
        ('. 1:2(1) ack 1 "é"', "(character 16)", r"\xNN"),
        ("S 0:0(0) what", "'what' (character 10)", "ack, win"),
        ("S 0:0(0)\n\nwhat", "'what' (character 11)", "ack, win"),
    ],
)
def test_text_that_does_not_parse_says_what_and_where_in_one_line(text, place, expected):
    """The error shows the text, the place and what was expected, in one line."""
    with pytest.raises(UsageError) as raised:
        parse_segment(text)
    message = str(raised.value)
    assert message.startswith(f"segment {text!r}: ")
    assert expected in message
    assert place.removeprefix("65536) ") in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["S.x", "none.", "S .", "", "any"])
def test_flags_alone_are_nothing_but_flags(text):
    """parse_flags takes letters of control bits only."""
    with pytest.raises(UsageError):
        parse_flags(text)


@pytest.mark.parametrize(
    ("number", "written"),
    [(2**32 - 1, "-1"), (2**32 - 2**20, "-1048576"), (2**32 - 2**20 - 1, "4293918719"), (0, "0")],
)
def test_numbers_just_below_the_start_are_written_negative(number, written):
    """A number within 2^20 below the initial sequence number is negative, others are not."""
    assert write(Segment(seq=number, ack=number)) == (
        f"none {written}:{written}(0)" + (f" ack {written}" if number else "") + " win 65535"
    )
