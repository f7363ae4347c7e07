"""Sequence numbers: arithmetic modulo 2^32 (RFC 9293 section 3.4)."""

MODULUS = 1 << 32
_HALF = 1 << 31


def add(number: int, octets: int) -> int:
    """Return the number that stands `octets` after `number`, or before it when negative."""
    return (number + octets) % MODULUS


def difference(left: int, right: int) -> int:
    """Return how far `left` stands after `right`, from -2^31 to 2^31 - 1.

    Two numbers that are 2^31 apart stand before each other, as in every comparison modulo 2^32.
    """
    return (left - right + _HALF) % MODULUS - _HALF


def less(left: int, right: int) -> bool:
    """Tell whether `left` stands before `right`."""
    return difference(left, right) < 0


def less_or_equal(left: int, right: int) -> bool:
    """Tell whether `left` stands before `right` or is the same number."""
    return difference(left, right) <= 0


def between(low: int, number: int, high: int) -> bool:
    """Tell whether low < number =< high, as SND.UNA < SEG.ACK =< SND.NXT (RFC 9293 section 3.4)."""
    return 0 < (number - low) % MODULUS <= (high - low) % MODULUS


def in_window(number: int, start: int, size: int) -> bool:
    """Tell whether start =< number < start + size, as RCV.NXT =< SEG.SEQ < RCV.NXT + RCV.WND."""
    return (number - start) % MODULUS < size
