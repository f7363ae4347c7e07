"""Options: the octets of an option list, for every list that a header can hold.

What is read is written back as the same octets, however malformed the list is.
"""

import struct

from harness.errors import UsageError
from harness.segment.segment import (
    EndOfList,
    MaximumSegmentSize,
    NoOperation,
    Option,
    RawOption,
    Sack,
    SackPermitted,
    Timestamps,
    UnknownOption,
    WindowScale,
)
from harness.segment.spelling import write_option

_WORD = 4
_ROOM = 40


def encode_options(options: tuple[Option, ...]) -> bytes:
    """Return the octets, padded with zeros to a word; UsageError when a header has no room."""
    octets = b"".join(map(_encode_option, options))
    octets += bytes(-len(octets) % _WORD)
    if len(octets) > _ROOM:
        raise UsageError(f"options of {len(octets)} octets: a TCP header has room for {_ROOM}")
    return octets


def decode_options(octets: bytes) -> tuple[Option, ...]:
    """Read a list of options; what cannot be one is a RawOption up to the end of the header.

    Zeros after the end of the list that only fill its last word are padding, and not returned.
    """
    options: list[Option] = []
    place = 0
    while place < len(octets):
        kind = octets[place]
        if kind == 0:
            options.append(EndOfList())
            rest = octets[place + 1 :]
            if any(rest) or len(rest) >= _WORD:
                options.append(RawOption(rest))
            break
        if kind == 1:
            options.append(NoOperation())
            place += 1
            continue
        length = octets[place + 1] if place + 1 < len(octets) else 0
        if length < 2 or place + length > len(octets):
            options.append(RawOption(octets[place:]))
            break
        options.append(_decode_option(kind, octets[place + 2 : place + length]))
        place += length
    return tuple(options)


def _encode_option(option: Option) -> bytes:
    match option:
        case EndOfList():
            return b"\0"
        case NoOperation():
            return b"\1"
        case RawOption(octets):
            return octets
    kind, data = _kind_and_data(option)
    if len(data) > _ROOM - 2:
        raise UsageError(f"option {write_option(option)[:20]!r}…: a TCP header has no room for it")
    return bytes((kind, len(data) + 2)) + data


def _kind_and_data(
    option: MaximumSegmentSize | WindowScale | SackPermitted | Sack | Timestamps | UnknownOption,
) -> tuple[int, bytes]:
    match option:
        case MaximumSegmentSize(value):
            return 2, value.to_bytes(2)
        case WindowScale(shift):
            return 3, bytes((shift,))
        case SackPermitted():
            return 4, b""
        case Sack(blocks):
            return 5, b"".join(struct.pack("!II", *block) for block in blocks)
        case Timestamps(value, echo):
            return 8, struct.pack("!II", value, echo)
        case UnknownOption(kind, data):
            return kind, data


def _decode_option(kind: int, data: bytes) -> Option:
    match kind, len(data):
        case 2, 2:
            return MaximumSegmentSize(int.from_bytes(data))
        case 3, 1:
            return WindowScale(data[0])
        case 4, 0:
            return SackPermitted()
        case 5, length if length % 8 == 0:
            return Sack(tuple(struct.iter_unpack("!II", data)))
        case 8, 8:
            return Timestamps(*struct.unpack("!II", data))
    return UnknownOption(kind, data)
