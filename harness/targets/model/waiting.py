"""Waiting: the timers of what was sent and is not acknowledged (RFC 6298 section 5)."""

from harness.states import State
from harness.targets.model.connection import Connection


def started(c: Connection) -> None:
    """Start the retransmission timer, unless it runs (5.1), and the user timeout with it."""
    if c.outstanding and not c.timers.retransmission.running:
        c.timers.retransmission.start(c.round_trip.rto)
        limited(c)


def again(c: Connection) -> None:
    """Start the timers anew for what is left, or turn them off (5.2 and 5.3)."""
    c.timers.retransmission.stop()
    c.timers.user.stop()
    started(c)


def limited(c: Connection) -> None:
    """Start the user timeout, where there is one, unless it runs."""
    if not c.timers.user.running and limit(c):
        c.timers.user.start(limit(c))


def limit(c: Connection) -> float:
    """Return the user timeout in seconds; 0 is none. TCP_USER_TIMEOUT is milliseconds."""
    if own := c.options.get("TCP_USER_TIMEOUT"):
        return float(own) / 1000
    opening = c.state in (State.SYN_SENT, State.SYN_RECEIVED)
    return c.parameters.syn_time_limit if opening else c.parameters.user_timeout
