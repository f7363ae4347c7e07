"""Pattern: a segment with holes, and how far another segment is from it."""

import dataclasses
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.segment import spelling
from harness.segment.segment import Flags, Option, Segment


class Hole(enum.Enum):
    """What stands where a pattern has no number."""

    LEFT_OUT = "left out"  # seq and ack: as the books say; anything else: not checked
    ANYTHING = "*"


Number = int | Hole


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One field that differs, both sides in the notation."""

    field: str
    expected: str
    observed: str


@dataclass(frozen=True, slots=True)
class OptionPattern:
    """One option whose fields may be holes; `values` are in the order of the option's fields."""

    form: type[Option]
    values: tuple[Any, ...] = ()

    def fits(self, option: Option) -> bool:
        """Tell whether the option is of this form and has the values that are not holes."""
        if type(option) is not self.form:
            return False
        observed = (getattr(option, field.name) for field in dataclasses.fields(option))
        return all(
            value is Hole.ANYTHING or value == seen
            for value, seen in zip(self.values, observed, strict=True)
        )

    @property
    def holes(self) -> int:
        """How many fields are not checked."""
        return self.values.count(Hole.ANYTHING)


@dataclass(frozen=True, slots=True)
class OptionsPattern:
    """A list of options, exact and in order; with `others`, in any order and among others."""

    text: str
    members: tuple[OptionPattern, ...] = ()
    others: bool = False

    def fits(self, options: tuple[Option, ...]) -> bool:
        """Tell whether the list of options is as the pattern says."""
        if not self.others:
            return len(options) == len(self.members) and all(
                member.fits(option) for member, option in zip(self.members, options, strict=True)
            )
        left = list(options)
        # The most exact first, so that a hole never takes the option that only another fits.
        for member in sorted(self.members, key=lambda member: member.holes):
            found = next((place for place, option in enumerate(left) if member.fits(option)), None)
            if found is None:
                return False
            del left[found]
        return True


# Flags weigh more than all the rest together, or a stray RST beats a near-perfect ACK.
_WEIGHTS = {"flags": 100, "seq": 10, "length": 10, "ack": 10, "payload": 5}
_OTHER_WEIGHT = 1

_ECN = Flags.ECE | Flags.CWR | Flags.AE
_KINDS = Flags.FIN | Flags.SYN | Flags.RST | Flags.ACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a segment should look like; made by `parse_pattern`.

    A field that is written is checked. `seq` and `ack` that are left out are checked against the
    books, where the caller gives them. Flags are exact, but PSH is checked only when written, and
    so are ECE, CWR and AE of a SYN without ACK, by which it asks for ECN (RFC 3168, section 6.1.1)
    and is as good a SYN as any; with `no_ecn` it must not ask.
    """

    text: str = dataclasses.field(default="", compare=False)
    flags: Flags
    no_ecn: bool = False
    seq: Number = Hole.LEFT_OUT
    length: Number = Hole.LEFT_OUT
    ack: Number = Hole.LEFT_OUT
    window: Number = Hole.LEFT_OUT
    urgent: Number = Hole.LEFT_OUT
    reserved: Number = Hole.LEFT_OUT
    checksum: Number = Hole.LEFT_OUT
    options: OptionsPattern | None = None
    payload: bytes | None = None
    checked: Flags = dataclasses.field(init=False, compare=False)
    """The control bits that must be as written."""

    def __post_init__(self) -> None:
        unchecked = Flags.PSH & ~self.flags
        if self.flags & (_KINDS | _ECN) == Flags.SYN and not self.no_ecn:
            unchecked |= _ECN
        object.__setattr__(self, "checked", ~unchecked)

    def __str__(self) -> str:
        return self.text

    def mismatches(
        self, segment: Segment, *, seq: int | None = None, ack: int | None = None
    ) -> tuple[Mismatch, ...]:
        """Return the fields that differ, the gravest first; none when the segment fits.

        `seq` and `ack` are what the books say; they count where the pattern leaves the field out.
        """
        return tuple(self._differences(segment, seq, ack))

    def fits(self, segment: Segment, *, seq: int | None = None, ack: int | None = None) -> bool:
        """Tell whether the segment has no mismatches."""
        return not self.mismatches(segment, seq=seq, ack=ack)

    def distance(self, segment: Segment, *, seq: int | None = None, ack: int | None = None) -> int:
        """Return how far the segment is from the pattern: 0 when it fits, flags weigh most."""
        wrong_flags = ((segment.flags & self.checked) ^ self.flags).bit_count()
        return sum(
            _WEIGHTS.get(mismatch.field, _OTHER_WEIGHT)
            * (wrong_flags if mismatch.field == "flags" else 1)
            for mismatch in self._differences(segment, seq, ack)
        )

    def _differences(
        self, segment: Segment, seq: int | None, ack: int | None
    ) -> Iterator[Mismatch]:
        flags = segment.flags & self.checked
        if flags != self.flags:
            yield Mismatch("flags", *map(spelling.write_flags, (self.flags, flags)))
        # The acknowledgment number means nothing without its flag, so the books say nothing of it.
        booked_ack = ack if Flags.ACK in self.flags else None
        yield from _number("seq", _booked(self.seq, seq), segment.seq)
        yield from _number("length", self.length, len(segment.payload))
        yield from _number("ack", _booked(self.ack, booked_ack), segment.ack)
        yield from _number("win", self.window, segment.window)
        yield from _number("urg", self.urgent, segment.urgent)
        yield from _number("reserved", self.reserved, segment.reserved)
        yield from self._checksum(segment)
        if self.options is not None and not self.options.fits(segment.options):
            observed = spelling.write_options(segment.options)
            yield Mismatch("options", self.options.text, observed)
        if self.payload is not None and self.payload != segment.payload:
            yield Mismatch("payload", *map(spelling.write_payload, (self.payload, segment.payload)))

    def _checksum(self, segment: Segment) -> Iterator[Mismatch]:
        if isinstance(self.checksum, Hole) or self.checksum == segment.checksum:
            return
        right = segment.checksum is None
        observed = "right" if right else spelling.write_checksum(segment.checksum or 0)
        yield Mismatch("checksum", spelling.write_checksum(self.checksum), observed)


def _booked(written: Number, books: int | None) -> Number:
    if written is Hole.LEFT_OUT and books is not None:
        return books
    return written


def _number(field: str, expected: Number, observed: int) -> Iterator[Mismatch]:
    if not isinstance(expected, Hole) and expected != observed:
        yield Mismatch(field, *map(spelling.write_number, (expected, observed)))
