"""Link: an Ethernet segment between the peer and a target."""

from dataclasses import dataclass
from typing import Protocol

from harness.wire.clock import Clock


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame as it passed the link.

    `stamp` is seconds in the time base of the link's clock, taken by the kernel (or by the virtual
    link); `sent` says that the harness sent it, so False means that it came from the far side.
    """

    stamp: float
    sent: bool
    octets: bytes


class Link(Protocol):
    """Three verbs, a clock, and what the capture lost."""

    @property
    def clock(self) -> Clock:
        """The clock that stamps this link's frames."""

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire."""

    def poll(self) -> Frame | None:
        """Return the next captured frame, in the order of the wire, of either direction.

        Never waits: None says that nothing has been captured that was not yet returned.
        """

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far; more than 0 makes a testcase inconclusive."""

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
