"""Calls: OPEN, SEND, CLOSE and ABORT of RFC 9293 sections 3.10.1 to 3.10.5.

Errors are names of errnos, as the sockets above give them to the user.
"""

from harness.segment.sequence import add
from harness.states import State
from harness.targets.model import output, timeouts, waiting
from harness.targets.model.connection import Connection

CLOSING = frozenset(
    {
        State.FIN_WAIT_1,
        State.FIN_WAIT_2,
        State.CLOSING,
        State.LAST_ACK,
        State.TIME_WAIT,
    }
)


def active_open(c: Connection) -> None:
    """OPEN: issue a SYN, SND.UNA is ISS and SND.NXT is ISS+1, enter SYN-SENT."""
    numbers = c.parameters
    c.sack, c.timestamps = bool(numbers.sack), bool(numbers.timestamps)
    c.scaling = bool(numbers.window_scaling)
    c.iss = c.stack.initial_sequence_number(c.local, c.remote)
    c.snd_una, c.snd_nxt = c.iss, add(c.iss, 1)
    c.buffer_seq = c.snd_nxt
    c.enter(State.SYN_SENT)
    c.opened_at = c.now
    c.stack.count("TcpActiveOpens")
    output.syn(c)
    c.timed = (c.snd_nxt, c.now)
    c.round_trip.rto = timeouts.syn_timeout(c, 0)
    waiting.started(c)


def send(c: Connection, data: bytes, *, urgent: bool = False) -> int:
    """SEND: queue as many octets as there is room for, send what may go; return how many.

    Whether the state allows it is for `sendable` to say.
    """
    taken = data[: c.room]
    c.buffer += taken
    if urgent and taken:
        c.snd_up = c.end
    output.transmit(c)
    return len(taken)


def taken(c: Connection) -> None:
    """Go on after the user has taken data or changed his mind: a window may open, data may go."""
    if c.state in (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2):
        free = c.receive_buffer - len(c.received)
        worth_it = min(c.receive_buffer // 2, c.stack.mss(c.local))
        if c.rcv_wnd < worth_it <= free:
            output.acknowledge(c)
    output.transmit(c)


def sendable(c: Connection) -> str | None:
    """Return why a SEND cannot be served in this state, or None."""
    if c.fin_queued or c.state in CLOSING:
        return "EPIPE"
    if c.state in (State.CLOSED, State.LISTEN):
        return "ENOTCONN"
    return None


def close(c: Connection) -> None:
    """CLOSE: after all that was sent before, a FIN (half of the connection; shutdown() too)."""
    if c.state is State.SYN_SENT:
        c.delete()
    elif c.state in (State.SYN_RECEIVED, State.ESTABLISHED):
        c.fin_queued = True
        if c.state is State.ESTABLISHED or not c.buffer:
            c.enter(State.FIN_WAIT_1)
        output.transmit(c)
    elif c.state is State.CLOSE_WAIT:
        c.fin_queued = True
        c.enter(State.LAST_ACK)
        output.transmit(c)


def release(c: Connection) -> None:
    """Close a connection that nobody will read from any more.

    Data that was not read is lost, and the peer is told so (RFC 9293 SHLD-3).
    """
    c.orphan = True
    if c.received and not c.closed:
        abort(c)
        return
    close(c)
    if c.state is State.FIN_WAIT_2:
        wait_for_fin(c)


def wait_for_fin(c: Connection) -> None:
    """Limit FIN-WAIT-2 of an orphan; TCP_LINGER2 is the connection's own limit, seconds."""
    own = int(c.options.get("TCP_LINGER2") or 0)
    limit = own or c.parameters.orphan_fin_wait_2_timeout
    if own < 0:
        c.delete()
    elif limit:
        c.timers.fin_wait_2.start(limit)


def abort(c: Connection) -> None:
    """ABORT: send a RST where the peer may still believe in the connection; delete the TCB."""
    if c.state in (
        State.SYN_RECEIVED,
        State.ESTABLISHED,
        State.FIN_WAIT_1,
        State.FIN_WAIT_2,
        State.CLOSE_WAIT,
    ):
        output.reset(c)
        c.stack.count("TcpOutRsts")
    c.delete()
