"""Segment: one TCP segment as a value (RFC 9293 section 3.1)."""

import enum
from dataclasses import dataclass


class Flags(enum.IntFlag):
    """The control bits, with the values that they have in the header."""

    FIN = 0x001
    SYN = 0x002
    RST = 0x004
    PSH = 0x008
    ACK = 0x010
    URG = 0x020
    ECE = 0x040
    CWR = 0x080
    AE = 0x100


@dataclass(frozen=True, slots=True)
class EndOfList:
    """Kind 0: nothing but padding follows."""


@dataclass(frozen=True, slots=True)
class NoOperation:
    """Kind 1."""


@dataclass(frozen=True, slots=True)
class MaximumSegmentSize:
    """Kind 2 (RFC 9293 section 3.7.1)."""

    value: int


@dataclass(frozen=True, slots=True)
class WindowScale:
    """Kind 3 (RFC 7323 section 2.2)."""

    shift: int


@dataclass(frozen=True, slots=True)
class SackPermitted:
    """Kind 4 (RFC 2018 section 2)."""


@dataclass(frozen=True, slots=True)
class Sack:
    """Kind 5 (RFC 2018 section 3); the blocks are in the sequence space that `ack` is in."""

    blocks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Timestamps:
    """Kind 8 (RFC 7323 section 3.2)."""

    value: int
    echo: int


@dataclass(frozen=True, slots=True)
class UnknownOption:
    """Any other kind, with a right length octet."""

    kind: int
    data: bytes


@dataclass(frozen=True, slots=True)
class RawOption:
    """Octets put into the header as they are: for option lists that no sender should send."""

    octets: bytes


Option = (
    EndOfList
    | NoOperation
    | MaximumSegmentSize
    | WindowScale
    | SackPermitted
    | Sack
    | Timestamps
    | UnknownOption
    | RawOption
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; numbers are modulo 2^32, absolute below `Connection` and relative above it.

    `checksum` is None where the right one is meant; a number is sent, or was received, as it
    stands. `data_offset` is None, or a wrong one to be sent, in words. `reserved` is the three bits
    before AE. `window` is the field of the header, before any scaling.
    """

    source_port: int = 0
    destination_port: int = 0
    seq: int = 0
    ack: int = 0
    flags: Flags = Flags(0)  # noqa: RUF009 - a flag is immutable
    window: int = 65535
    options: tuple[Option, ...] = ()
    payload: bytes = b""
    urgent: int = 0
    checksum: int | None = None
    reserved: int = 0
    data_offset: int | None = None

    @property
    def length(self) -> int:
        """SEG.LEN: the octets of sequence space that the segment occupies, SYN and FIN included."""
        return len(self.payload) + (Flags.SYN in self.flags) + (Flags.FIN in self.flags)

    @property
    def syn(self) -> bool:
        """Whether SYN is set."""
        return Flags.SYN in self.flags

    @property
    def fin(self) -> bool:
        """Whether FIN is set."""
        return Flags.FIN in self.flags

    @property
    def rst(self) -> bool:
        """Whether RST is set."""
        return Flags.RST in self.flags

    @property
    def mss(self) -> int | None:
        """The value of the first MSS option, or None."""
        found = (o.value for o in self.options if isinstance(o, MaximumSegmentSize))
        return next(found, None)

    def option_names(self, *, padding: bool = True) -> str:
        """Return the names of the options in their order, comma-separated.

        They are the notation's: mss, wscale, sackOK, sack, TS, nop, eol, kind-N, raw. Without
        `padding` NOP and EOL are left out.
        """
        shown = [o for o in self.options if padding or not isinstance(o, NoOperation | EndOfList)]
        return ",".join(_name(option) for option in shown)


_NAMES: dict[type, str] = {
    EndOfList: "eol",
    NoOperation: "nop",
    MaximumSegmentSize: "mss",
    WindowScale: "wscale",
    SackPermitted: "sackOK",
    Sack: "sack",
    Timestamps: "TS",
    RawOption: "raw",
}


def _name(option: Option) -> str:
    return f"kind-{option.kind}" if isinstance(option, UnknownOption) else _NAMES[type(option)]
