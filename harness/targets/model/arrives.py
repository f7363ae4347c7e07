"""Arrives: SEGMENT ARRIVES in CLOSED, LISTEN and SYN-SENT (RFC 9293 sections 3.10.7.1 to 3)."""

from typing import TYPE_CHECKING

from harness.segment.datagram import Datagram
from harness.segment.segment import Flags, Segment
from harness.segment.sequence import add, between, less, less_or_equal
from harness.states import State
from harness.targets.model import (
    acknowledgement,
    output,
    synchronized,
    synchronizing,
    timeouts,
    waiting,
)
from harness.targets.model.connection import Connection
from harness.targets.model.listener import Listener

if TYPE_CHECKING:
    from harness.targets.model.stack import Stack


def closed(stack: "Stack", datagram: Datagram, segment: Segment) -> None:
    """Answer in CLOSED: a segment without a connection draws a RST, unless it is one."""
    if segment.rst:
        return
    if segment.flags & Flags.ACK:
        reset = Segment(seq=segment.ack, flags=Flags.RST, window=0)
    else:
        after = add(segment.seq, segment.length)
        reset = Segment(seq=0, ack=after, flags=Flags.RST | Flags.ACK, window=0)
    stack.answer(datagram, segment, reset)
    stack.count("TcpOutRsts")


def listen(
    stack: "Stack",
    listener: Listener,
    datagram: Datagram,
    segment: Segment,
    *,
    before: Connection | None = None,
) -> None:
    """Take what comes in LISTEN: a SYN makes a connection in SYN-RECEIVED.

    `before` is the incarnation in TIME-WAIT that the SYN would end.
    """
    # First, check for a RST.
    if segment.rst:
        return
    # Second, check for an ACK.
    if segment.flags & Flags.ACK:
        if not listener.accept_cookie(datagram, segment):
            closed(stack, datagram, segment)
        return
    # Third, check for a SYN. Fourth, anything else is dropped.
    if not segment.syn or (segment.fin and stack.parameters.listen_drops_syn_fin):
        return
    if listener.refuses(datagram, segment):
        return
    c = listener.connection(datagram)
    synchronizing.synchronize(c, segment)
    c.before = before
    c.iss = stack.initial_sequence_number(c.local, c.remote)
    if before is not None and less(c.iss, before.snd_nxt):
        c.iss = add(before.snd_nxt, 1)
    c.snd_nxt, c.snd_una = add(c.iss, 1), c.iss
    c.buffer_seq = c.snd_nxt
    c.enter(State.SYN_RECEIVED)
    stack.count("TcpPassiveOpens")
    output.syn_ack(c)
    c.timed = (c.snd_nxt, c.now)
    c.round_trip.rto = timeouts.syn_timeout(c, 0)
    waiting.started(c)
    synchronizing.queue_text(c, segment)


def syn_sent(c: Connection, segment: Segment) -> None:
    """Take what comes in SYN-SENT: a SYN leads to ESTABLISHED or to SYN-RECEIVED."""
    # First, check the ACK bit.
    acknowledges = bool(segment.flags & Flags.ACK)
    if acknowledges and (less_or_equal(segment.ack, c.iss) or less(c.snd_nxt, segment.ack)):
        if not segment.rst:
            reset = Segment(seq=segment.ack, flags=Flags.RST, window=0)
            c.stack.reply(c, reset)
        return
    # Second, check the RST bit.
    if segment.rst:
        if acknowledges:
            c.stack.count("TcpAttemptFails")
            c.delete("ECONNREFUSED")
        return
    # Fourth, check the SYN bit. Fifth, without it the segment is dropped.
    if not segment.syn:
        return
    synchronizing.synchronize(c, segment)
    if acknowledges and between(c.snd_una, segment.ack, c.snd_nxt):
        acknowledgement.take(c, segment)
        synchronizing.established(c)
        synchronized.process(c, synchronizing.without_syn(segment), from_step=6)
        if c.last_ack_sent != c.rcv_nxt:
            output.acknowledge(c)
        return
    c.enter(State.SYN_RECEIVED)
    output.syn_ack(c)
    synchronizing.queue_text(c, segment)
