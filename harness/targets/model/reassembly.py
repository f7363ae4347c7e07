"""Reassembly: segments with higher beginning numbers, held for later (RFC 9293 SHLD-31)."""

from dataclasses import dataclass, field

from harness.segment.sequence import add, difference


@dataclass(slots=True)
class Reassembly:
    """Text that came too early, by the number of its first octet, and in the order that it came."""

    held: dict[int, bytes] = field(default_factory=dict)

    def hold(self, seq: int, text: bytes) -> None:
        """Keep text for later."""
        self.held[seq] = max(text, self.held.pop(seq, b""), key=len)

    def take(self, rcv_nxt: int) -> bytes:
        """Return the text that begins at RCV.NXT, as far as there is no hole."""
        found = b""
        for seq in sorted(self.held, key=lambda each: difference(each, rcv_nxt)):
            at = add(rcv_nxt, len(found))
            past = difference(at, seq)
            if past < 0:
                break
            found += self.held.pop(seq)[past:]
        return found

    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Return the edges of what is held, the newest first, at most three (RFC 2018)."""
        edges = [(seq, add(seq, len(text))) for seq, text in reversed(self.held.items())]
        found: list[tuple[int, int]] = []
        for left, right in edges:
            for other_left, other_right in edges:
                if other_right == left:
                    left = other_left  # noqa: PLW2901 - the block grows to the left
                if other_left == right:
                    right = other_right  # noqa: PLW2901 - and to the right
            if (left, right) not in found:
                found.append((left, right))
        return tuple(found[:3])
