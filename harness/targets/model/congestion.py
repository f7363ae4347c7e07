"""Congestion: slow start, congestion avoidance, fast retransmit and recovery (RFC 5681)."""

from dataclasses import dataclass


@dataclass(slots=True)
class Congestion:
    """The congestion window and the slow start threshold, in octets; `mss` is SMSS."""

    mss: int
    segments: int
    cwnd: int = 0
    ssthresh: int = 1 << 30

    def __post_init__(self) -> None:
        self.begin(self.mss, syn_lost=False)

    def begin(self, mss: int, *, syn_lost: bool) -> None:
        """Take the MSS that was agreed on; a lost SYN leaves a window of one (3.1)."""
        self.mss = mss
        segments = self.segments or (2 if mss > 2190 else 3 if mss > 1095 else 4)
        self.cwnd = mss if syn_lost else segments * mss

    def resized(self, mss: int) -> None:
        """Take a smaller MSS: as many segments as before are allowed, and no more (3.1)."""
        self.cwnd = self.cwnd * mss // self.mss
        self.mss = mss

    def acknowledged(self, octets: int) -> None:
        """Grow by an acknowledgement of new data (3.1)."""
        if self.cwnd < self.ssthresh:
            self.cwnd += min(octets, self.mss)
        else:
            self.cwnd += max(1, self.mss * self.mss // self.cwnd)

    def timed_out(self, flight: int) -> None:
        """Shrink to the loss window (3.1, equation 4)."""
        self.ssthresh = max(flight // 2, 2 * self.mss)
        self.cwnd = self.mss

    def fast_retransmitted(self, flight: int) -> None:
        """Shrink after the third duplicate acknowledgement (3.2, steps 2 and 3)."""
        self.ssthresh = max(flight // 2, 2 * self.mss)
        self.cwnd = self.ssthresh + 3 * self.mss

    def duplicate(self) -> None:
        """Grow by a segment that has left the network (3.2, step 4)."""
        self.cwnd += self.mss

    def recovered(self) -> None:
        """Deflate the window (3.2, step 6)."""
        self.cwnd = self.ssthresh
