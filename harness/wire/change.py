"""Change: one field of a datagram, or of the segment in it, made another."""

import dataclasses
import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from harness.segment import sequence
from harness.segment.datagram import Datagram, family_of
from harness.segment.notation import parse_flags
from harness.segment.segment import Flags, MaximumSegmentSize, Option, Segment, Timestamps
from harness.segment.spelling import LETTERS, NO_FLAGS

_CHANGE = re.compile(
    r"(?P<field>[a-z]+)(?P<sign>[-+=])(?P<number>[0-9]{1,10})"
    rf"|flags=(?P<flags>[{''.join(LETTERS)}]+|{NO_FLAGS})"
    r"|(?P<end>src|dst)=(?P<address>[0-9a-f.:]+)"
    r"|(?P<none>options|ipoptions)=none"
)
_SEGMENT = {
    "seq": ("seq", sequence.MODULUS),
    "ack": ("ack", sequence.MODULUS),
    "win": ("window", 1 << 16),
    "urg": ("urgent", 1 << 16),
    "sport": ("source_port", 1 << 16),
    "dport": ("destination_port", 1 << 16),
    "sum": ("checksum", 1 << 16),
}
_DATAGRAM = {"ttl": ("ttl", 1 << 8), "tos": ("tos", 1 << 8), "df": ("dont_fragment", 2)}
_OPTIONS = {"mss": (MaximumSegmentSize, 1 << 16), "tsval": (Timestamps, sequence.MODULUS)}
_LENGTH, _LONGEST = "len", 1 << 14
_NUMBERS = (*_SEGMENT, *_DATAGRAM, *_OPTIONS, _LENGTH)
_ENDS = {"src": "source", "dst": "destination"}

FIELDS = ", ".join((*_NUMBERS, "flags", *_ENDS, "options", "ipoptions"))
"""The fields that can be changed, for errors."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one field: `sign` is `+`, `-` or `=`; made by `parse_change`.

    `value` is a number, modulo the field's size, or flags, or an address.
    """

    field: str
    sign: str
    value: int | str

    def applied(self, datagram: Datagram) -> Datagram:
        """Return the datagram with the field changed; where it has no such field, as it is.

        The checksum is right again, unless it is the field.
        """
        segment = datagram.segment
        if segment is None:
            return datagram
        if self.field in _ENDS:
            address = str(self.value)
            if family_of(address) != datagram.family:
                return datagram
            end: dict[str, Any] = {_ENDS[self.field]: address}
            return _with(dataclasses.replace(datagram, **end), segment)
        if self.field == "ipoptions":
            return _with(dataclasses.replace(datagram, ip_options=b""), segment)
        if self.field in _DATAGRAM:
            name, size = _DATAGRAM[self.field]
            number = self._number(int(getattr(datagram, name)), size)
            fields: dict[str, Any] = {name: bool(number) if name == "dont_fragment" else number}
            return _with(dataclasses.replace(datagram, **fields), segment)
        return _with(datagram, segment, self._changed(segment))

    def _changed(self, segment: Segment) -> dict[str, Any]:
        """Return the fields of the segment that become others."""
        if self.field == "flags":
            return {"flags": Flags(int(self.value))}
        if self.field == "options":
            return {"options": ()}
        if self.field == _LENGTH:
            length = self._number(len(segment.payload), _LONGEST)
            return {"payload": segment.payload[:length].ljust(length, b"\0")}
        if self.field in _OPTIONS:
            return {"options": tuple(self._option(one) for one in segment.options)}
        name, size = _SEGMENT[self.field]
        return {name: self._number(getattr(segment, name) or 0, size)}

    def _option(self, option: Option) -> Option:
        kind, size = _OPTIONS[self.field]
        if isinstance(option, MaximumSegmentSize | Timestamps) and isinstance(option, kind):
            return dataclasses.replace(option, value=self._number(option.value, size))
        return option

    def _number(self, base: int, size: int) -> int:
        by = int(self.value)
        return {"=": by, "+": base + by, "-": base - by}[self.sign] % size


def parse_change(text: str) -> Change:
    """Read a change, `FIELD+NUMBER` or the like; ValueError when it is none."""
    words = _CHANGE.fullmatch(text)
    if words is None:
        raise ValueError(text)
    if words["flags"]:
        return Change("flags", "=", int(parse_flags(words["flags"])))
    if words["end"]:
        return Change(words["end"], "=", str(ipaddress.ip_address(words["address"])))
    if words["field"] and words["field"] not in _NUMBERS:
        raise ValueError(text)
    return Change(words["field"] or words["none"], words["sign"] or "=", int(words["number"] or 0))


def _with(datagram: Datagram, segment: Segment, fields: dict[str, Any] | None = None) -> Datagram:
    changed: dict[str, Any] = {"checksum": None, **(fields or {})}
    return dataclasses.replace(datagram, content=dataclasses.replace(segment, **changed))
