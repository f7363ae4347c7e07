"""Connection: the books of one connection, relative numbers above and absolute ones below."""

import dataclasses
import random
from dataclasses import dataclass

from harness.endpoint import Endpoint
from harness.segment.segment import Flags, Option, Sack, Segment, Timestamps
from harness.segment.sequence import add, difference, less


def initial_sequence_number() -> int:
    """Choose an ISN just below 2^32, so that numbers wrap in every testcase."""
    return (1 << 32) - 1 - random.randrange(1 << 10)


@dataclass(slots=True)
class Connection:
    """What the peer knows of one connection (RFC 9293 section 3.3.1, seen from the peer).

    `iss`, `irs`, `snd_nxt` and `rcv_nxt` are absolute. `irs` is None until the target has sent a
    SYN; until then the target's numbers stand as it sends them, relative to 0.
    """

    local: Endpoint
    remote: Endpoint
    iss: int
    irs: int | None = None
    snd_nxt: int = 0
    rcv_nxt: int = 0
    timestamp_recent: int | None = None
    reopened: bool = False

    def __post_init__(self) -> None:
        self.snd_nxt = self.iss

    @property
    def expected_seq(self) -> int:
        """The number, relative, that the target's next segment should have."""
        return difference(self.rcv_nxt, self.irs or 0) % (1 << 32)

    @property
    def expected_ack(self) -> int:
        """The acknowledgement, relative, that covers all that the peer has sent."""
        return difference(self.snd_nxt, self.iss) % (1 << 32)

    def outgoing(self, segment: Segment) -> Segment:
        """Translate a segment of the peer's from relative to absolute numbers, ports included."""
        base = self.irs or 0
        return dataclasses.replace(
            segment,
            source_port=segment.source_port or self.local.port,
            destination_port=segment.destination_port or self.remote.port,
            seq=add(segment.seq, self.iss),
            ack=add(segment.ack, base) if Flags.ACK in segment.flags else segment.ack,
            options=_shifted(segment, base),
        )

    def sent(self, segment: Segment) -> None:
        """Advance the books by a segment, absolute, that the peer has sent."""
        if segment.syn and segment.seq != self.iss:
            self.reopened = True
        end = add(segment.seq, segment.length)
        # What occupies no sequence space, or is a reset, is never acknowledged.
        if segment.length and not segment.rst and less(self.snd_nxt, end):
            self.snd_nxt = end

    def received(self, segment: Segment) -> None:
        """Advance the books by a segment, absolute, that came from the target."""
        fresh = self.irs is None or (self.reopened and segment.seq != self.irs)
        if segment.syn and not segment.rst and fresh:
            self.irs = self.rcv_nxt = segment.seq
            self.reopened = False
        if segment.rst:
            return
        end = add(segment.seq, segment.length)
        if segment.length and less(self.rcv_nxt, end):
            self.rcv_nxt = end
        for option in segment.options:
            if isinstance(option, Timestamps):
                self.timestamp_recent = option.value

    def incoming(self, segment: Segment) -> Segment:
        """Translate a segment of the target's from absolute to relative numbers."""
        return dataclasses.replace(
            segment,
            seq=add(segment.seq, -(self.irs or 0)),
            ack=add(segment.ack, -self.iss) if Flags.ACK in segment.flags else segment.ack,
            options=_shifted(segment, -self.iss),
        )


def _shifted(segment: Segment, offset: int) -> tuple[Option, ...]:
    """Return the options with the edges of SACK blocks moved by `offset`."""
    return tuple(
        Sack(tuple((add(left, offset), add(right, offset)) for left, right in option.blocks))
        if isinstance(option, Sack)
        else option
        for option in segment.options
    )
