r"""Notation: the one text form of a segment, in the manner of tcpdump and packetdrill.

    S 0:0(0) win 65535 <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>
    F. 1:1(0) ack 2
    P. 1:6(5) ack 1 "hello"
    none 1:1(0)

Flags are letters of `FSRP.UEWe` (`e` is AE), or `none`. `first:last(length)` counts payload only; a
number may be negative, and is modulo 2^32. After it, in any order: `ack N`, `win N`, `urg N`,
`reserved N`, `checksum N`, `offset N` (a wrong data offset, to be sent; in no pattern), options in
`<>`, and the payload in double quotes with `\xNN`, `\"` and `\\`. A payload that is not written is
a fixed filler of the given length.

Options: `mss N`, `wscale N`, `sackOK`, `sack 1:5 9:12`, `TS val N ecr N`, `nop`, `eol`, any other
as `kind-34 0xcafe`, and `raw 0x0203` for octets that are no option.

In a pattern every part but the flags may be left out, and `*` stands for any number: `*:*(*)`,
`ack *`, `win *`, `mss *`, `wscale *`, `sack *`, `TS val * ecr *`, `kind-34 *`. Options that end in
`...` may come in any order and among others; without it the list is exact, and `<>` is no option.
`S` stands for a SYN that asks for ECN, too, and `S ecn none` for one that does not.
"""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.segment import sequence, spelling
from harness.segment.pattern import Hole, Number, OptionPattern, OptionsPattern, Pattern
from harness.segment.reader import Reader
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
from harness.segment.spelling import filler, write

__all__ = ["filler", "parse_flags", "parse_pattern", "parse_segment", "write"]

_OCTET = 0xFF
_SIXTEEN_BITS = 0xFFFF
_THIRTY_TWO_BITS = 0xFFFF_FFFF
_LARGEST = {
    "win": _SIXTEEN_BITS,
    "urg": _SIXTEEN_BITS,
    "reserved": 7,
    "checksum": _SIXTEEN_BITS,
    "offset": 15,
}
_PART = "ack, win, urg, reserved, checksum, <options>, a payload in double quotes, or the end"
_NUMBERS = r"(?:ack|win|urg|reserved|checksum)\b"
_OPTION = "mss, wscale, sackOK, sack, TS val, nop, eol, kind-N or raw"
_ESCAPED = re.compile(r'\\(?:x([0-9a-fA-F]{2})|(["\\]))')


@functools.lru_cache(maxsize=4096)
def parse_segment(text: str) -> Segment:
    """Read a segment; its ports are 0. UsageError when the text does not say all of it."""
    reader = Reader(text, holes=False)
    parts = _read(reader)
    if isinstance(parts.seq, Hole) or isinstance(parts.length, Hole):
        reader.fail("first:last(length), which a segment that is to be sent needs")
    numbers = {name: number for name, number in parts.numbers.items() if isinstance(number, int)}
    if parts.flags & Flags.ACK and "ack" not in numbers:
        reader.fail("ack N, which a segment with '.' needs")
    payload = parts.payload if parts.payload is not None else filler(parts.length)
    return Segment(
        seq=parts.seq,
        ack=numbers.get("ack", 0),
        flags=parts.flags,
        window=numbers.get("win", _SIXTEEN_BITS),
        options=tuple(_made(option) for option in parts.options or ()),
        payload=payload,
        urgent=numbers.get("urg", 0),
        checksum=numbers.get("checksum"),
        reserved=numbers.get("reserved", 0),
        data_offset=numbers.get("offset"),
    )


@functools.lru_cache(maxsize=4096)
def parse_pattern(text: str) -> Pattern:
    """Read a segment with holes. UsageError when the text is not one."""
    reader = Reader(text, holes=True)
    parts = _read(reader)
    options = None
    if parts.options is not None:
        options = OptionsPattern(parts.options_text, tuple(parts.options), parts.others)
    return Pattern(
        text=" ".join(text.split()) if '"' not in text else text.strip(),
        flags=parts.flags,
        no_ecn=parts.no_ecn,
        seq=parts.seq,
        length=parts.length,
        ack=parts.numbers.get("ack", Hole.LEFT_OUT),
        window=parts.numbers.get("win", Hole.LEFT_OUT),
        urgent=parts.numbers.get("urg", Hole.LEFT_OUT),
        reserved=parts.numbers.get("reserved", Hole.LEFT_OUT),
        checksum=parts.numbers.get("checksum", Hole.LEFT_OUT),
        options=options,
        payload=parts.payload,
    )


def parse_flags(text: str) -> Flags:
    """Read the control bits alone, as `S.`, `R` or `none`. UsageError for anything else."""
    reader = Reader(text, holes=False)
    flags = _flags(reader)
    if not reader.at_end():
        reader.fail("flags and nothing else")
    return flags


@dataclass
class _Parts:
    """What has been read so far."""

    flags: Flags
    seq: Number = Hole.LEFT_OUT
    length: Number = Hole.LEFT_OUT
    numbers: dict[str, Number] = field(default_factory=dict)
    options: list[OptionPattern] | None = None
    options_text: str = ""
    others: bool = False
    payload: bytes | None = None
    no_ecn: bool = False


def _read(reader: Reader) -> _Parts:
    parts = _Parts(_flags(reader))
    if reader.take(r"(?=[-0-9*])"):
        parts.seq, parts.length = _sequence(reader)
    while not reader.at_end():
        start = reader.place
        if name := reader.take(_NUMBERS if reader.holes else rf"{_NUMBERS}|offset\b"):
            if name[1] in parts.numbers:
                reader.place = start
                reader.fail(f"{name[1]} only once")
            largest = _LARGEST.get(name[1], _THIRTY_TWO_BITS)
            parts.numbers[name[1]] = reader.number(name[1], largest, signed=name[1] == "ack")
        elif reader.holes and parts.flags == Flags.SYN and reader.take(r"ecn none\b"):
            parts.no_ecn = True
        elif parts.options is None and reader.take("<"):
            parts.options, parts.others = _options(reader)
            parts.options_text = re.sub(r"\s+", " ", reader.text[start : reader.place].strip())
        elif parts.payload is None and reader.take('(?=")'):
            parts.payload = _payload(reader, parts.length)
        else:
            reader.fail(_PART)
    return parts


def _flags(reader: Reader) -> Flags:
    letters = reader.need(
        rf"(?:{spelling.NO_FLAGS}|[{''.join(spelling.LETTERS)}]+)(?=\s|$)",
        f"flags, letters of {''.join(spelling.LETTERS)}, or {spelling.NO_FLAGS}",
    )
    flags = Flags(0)
    for letter in "" if letters == spelling.NO_FLAGS else letters:
        flags |= spelling.LETTERS[letter]
    return flags


def _sequence(reader: Reader) -> tuple[Number, Number]:
    start = reader.place
    first = reader.number("first", _THIRTY_TWO_BITS, signed=True)
    reader.need(":", "':' between first and last")
    last = reader.number("last", _THIRTY_TWO_BITS, signed=True)
    reader.need(r"\(", "(length)")
    length = reader.number("length", _SIXTEEN_BITS)
    reader.need(r"\)", "')' after the length")
    if isinstance(first, Hole) or isinstance(length, Hole) or isinstance(last, Hole):
        return first, length
    if sequence.add(first, length) != last:
        reader.place = start
        right = f"{spelling.write_sequence(first, length)}"
        reader.fail(f"{right}, as SYN and FIN are not counted")
    return first, length


def _payload(reader: Reader, length: Number) -> bytes:
    start = reader.place
    literal = reader.need(r'"(?:[ !#-\[\]-~]|\\x[0-9a-fA-F]{2}|\\["\\])*"', r'"payload" with \xNN')
    payload = _ESCAPED.sub(_unescaped, literal[1:-1]).encode("latin-1")
    if isinstance(length, int) and length != len(payload):
        reader.place = start
        reader.fail(f"a payload of {length} octets, not {len(payload)}")
    return payload


def _unescaped(match: re.Match[str]) -> str:
    return match[2] or chr(int(match[1], 16))


def _options(reader: Reader) -> tuple[list[OptionPattern], bool]:
    """Read the options and the closing bracket; the second value says that others may be there."""
    options: list[OptionPattern] = []
    if reader.take(">"):
        return options, False
    while True:
        if reader.holes and reader.take(r"\.\.\."):
            reader.need(">", "'>' after '...'")
            return options, True
        options.append(_option(reader))
        if reader.need("[,>]", "',' or '>' after an option") == ">":
            return options, False


def _option(reader: Reader) -> OptionPattern:
    word = reader.need(r"(?:sackOK|sack|nop|eol|mss|wscale|TS|raw)\b|kind-", _OPTION)
    return _OPTIONS[word](reader)


def _timestamps(reader: Reader) -> OptionPattern:
    reader.need(r"val\b", "val N ecr N")
    value = reader.number("val", _THIRTY_TWO_BITS)
    reader.need(r"ecr\b", "ecr N")
    return OptionPattern(Timestamps, (value, reader.number("ecr", _THIRTY_TWO_BITS)))


def _sack(reader: Reader) -> OptionPattern:
    if reader.holes and reader.take(r"\*"):
        return OptionPattern(Sack, (Hole.ANYTHING,))
    blocks: list[tuple[Number, Number]] = []
    exact = Reader(reader.text, holes=False, place=reader.place)
    while exact.take("(?=[-0-9])"):
        left = exact.number("edge", _THIRTY_TWO_BITS, signed=True)
        exact.need(":", "':' between the edges of a block")
        blocks.append((left, exact.number("edge", _THIRTY_TWO_BITS, signed=True)))
    reader.place = exact.place
    return OptionPattern(Sack, (tuple(blocks),))


def _kind(reader: Reader) -> OptionPattern:
    kind = reader.number("kind", _OCTET)
    if reader.holes and reader.take(r"\*"):
        return OptionPattern(UnknownOption, (kind, Hole.ANYTHING))
    data = reader.octets() if reader.take("(?=0x)") else b""
    return OptionPattern(UnknownOption, (kind, data))


_OPTIONS: dict[str, Callable[[Reader], OptionPattern]] = {
    "eol": lambda _: OptionPattern(EndOfList),
    "nop": lambda _: OptionPattern(NoOperation),
    "mss": lambda reader: OptionPattern(MaximumSegmentSize, (reader.number("mss", _SIXTEEN_BITS),)),
    "wscale": lambda reader: OptionPattern(WindowScale, (reader.number("wscale", _OCTET),)),
    "sackOK": lambda _: OptionPattern(SackPermitted),
    "sack": _sack,
    "TS": _timestamps,
    "kind-": _kind,
    "raw": lambda reader: OptionPattern(RawOption, (reader.octets(),)),
}


def _made(option: OptionPattern) -> Option:
    """Return the option of a pattern without holes."""
    return option.form(*option.values)
