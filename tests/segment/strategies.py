"""Strategies: segments and datagrams for hypothesis."""

from hypothesis import strategies as st

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

octet = st.integers(0, 0xFF)
word = st.integers(0, 0xFFFF)
# Most failures stand around the wrap-around, so it is drawn as often as all the rest.
number = st.one_of(
    st.integers(0, 0xFFFF_FFFF),
    st.integers(-(1 << 21), 1 << 21).map(lambda offset: offset % (1 << 32)),
)
KNOWN_KINDS = {0, 1, 2, 3, 4, 5, 8}

proper_option = st.one_of(
    st.just(NoOperation()),
    st.just(SackPermitted()),
    st.builds(MaximumSegmentSize, word),
    st.builds(WindowScale, octet),
    st.builds(Timestamps, number, number),
    st.builds(Sack, st.lists(st.tuples(number, number), min_size=1, max_size=4).map(tuple)),
    st.builds(UnknownOption, octet.filter(lambda kind: kind not in KNOWN_KINDS), st.binary()),
)
any_option = st.one_of(
    proper_option,
    st.just(EndOfList()),
    st.builds(Sack, st.lists(st.tuples(number, number), max_size=4).map(tuple)),
    st.builds(UnknownOption, octet, st.binary(max_size=40)),
    st.builds(RawOption, st.binary(max_size=40)),
)


def segments(options=any_option, **fields):
    """Segments of every shape; `fields` replace strategies."""
    strategies = {
        "seq": number,
        "ack": number,
        "flags": st.integers(0, 0x1FF).map(Flags),
        "window": word,
        "options": st.lists(options, max_size=6).map(tuple),
        "payload": st.binary(max_size=40),
        "urgent": word,
        "checksum": st.none() | word,
        "reserved": st.integers(0, 7),
        "data_offset": st.none() | st.integers(0, 15),
    }
    return st.builds(Segment, **(strategies | fields))
