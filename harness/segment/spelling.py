"""Spelling: how the notation writes a segment and its parts."""

import functools

from harness.segment import sequence
from harness.segment.segment import (
    EndOfList,
    Flags,
    MaximumSegmentSize,
    NoOperation,
    Option,
    RawOption,
    Sack,
    SackPermitted,
    Segment,
    Timestamps,
    UnknownOption,
    WindowScale,
)

# tcpdump's order.
LETTERS = {
    "F": Flags.FIN,
    "S": Flags.SYN,
    "R": Flags.RST,
    "P": Flags.PSH,
    ".": Flags.ACK,
    "U": Flags.URG,
    "E": Flags.ECE,
    "W": Flags.CWR,
    "e": Flags.AE,
}
NO_FLAGS = "none"

# Numbers this close below 2^32 stand just before a connection's initial sequence number.
_NEGATIVE_FROM = sequence.MODULUS - (1 << 20)
_FILLER = b"tcpspec."


def write(segment: Segment, *, brief: bool = False) -> str:
    """Spell a segment so that `parse_segment` reads it back, its ports aside.

    `brief` leaves out the window and the payload's octets, for timelines.
    """
    parts = [write_flags(segment.flags), write_sequence(segment.seq, len(segment.payload))]
    if Flags.ACK in segment.flags or segment.ack:
        parts.append(f"ack {write_number(segment.ack)}")
    if not brief:
        parts.append(f"win {segment.window}")
    if Flags.URG in segment.flags or segment.urgent:
        parts.append(f"urg {segment.urgent}")
    if segment.reserved:
        parts.append(f"reserved {segment.reserved}")
    if segment.checksum is not None:
        parts.append(f"checksum {write_checksum(segment.checksum)}")
    if segment.data_offset is not None:
        parts.append(f"offset {segment.data_offset}")
    if segment.options:
        parts.append(write_options(segment.options))
    if not brief and segment.payload != filler(len(segment.payload)):
        parts.append(write_payload(segment.payload))
    return " ".join(parts)


def filler(length: int) -> bytes:
    """Return the octets that `(length)` stands for where no payload is written."""
    return (_FILLER * (length // len(_FILLER) + 1))[:length]


@functools.cache
def write_flags(flags: Flags) -> str:
    """Spell the control bits in tcpdump's order, `none` when no bit is set."""
    return "".join(letter for letter, flag in LETTERS.items() if flags & flag) or NO_FLAGS


def write_number(number: int) -> str:
    """Spell a sequence number; one that stands just below 0 is written negative."""
    return str(number - sequence.MODULUS if number >= _NEGATIVE_FROM else number)


def write_sequence(first: int, length: int) -> str:
    """Spell `first:last(length)`; SYN and FIN are not counted."""
    last = sequence.add(first, length)
    return f"{write_number(first)}:{write_number(last)}({length})"


def write_checksum(checksum: int) -> str:
    """Spell a checksum as four hexadecimal digits."""
    return f"0x{checksum:04x}"


def write_options(options: tuple[Option, ...]) -> str:
    """Spell a list of options, `<>` when it is empty."""
    return f"<{','.join(map(write_option, options))}>"


def write_option(option: Option) -> str:  # noqa: PLR0911 - one line an option
    """Spell one option."""
    match option:
        case EndOfList():
            return "eol"
        case NoOperation():
            return "nop"
        case MaximumSegmentSize(value):
            return f"mss {value}"
        case WindowScale(shift):
            return f"wscale {shift}"
        case SackPermitted():
            return "sackOK"
        case Sack(blocks):
            edges = (f"{write_number(left)}:{write_number(right)}" for left, right in blocks)
            return " ".join(("sack", *edges))
        case Timestamps(value, echo):
            return f"TS val {value} ecr {echo}"
        case UnknownOption(kind, data):
            return f"kind-{kind} 0x{data.hex()}" if data else f"kind-{kind}"
        case RawOption(octets):
            return f"raw 0x{octets.hex()}"


def write_payload(payload: bytes) -> str:
    r"""Spell a payload in double quotes; what is not printable ASCII as `\xNN`."""
    return f'"{"".join(map(_write_octet, payload))}"'


def _write_octet(octet: int) -> str:
    character = chr(octet)
    if character in '"\\':
        return f"\\{character}"
    return character if 0x20 <= octet < 0x7F else f"\\x{octet:02x}"
