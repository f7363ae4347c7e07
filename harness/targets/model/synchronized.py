"""Synchronized: SEGMENT ARRIVES in the other states, step by step (RFC 9293 section 3.10.7.4).

Also RFC 5961 (challenge ACKs), RFC 7323 section 5 (PAWS), RFC 6191 and RFC 5681 section 3.2.
"""

import dataclasses

from harness.segment.segment import (
    Flags,
    Segment,
    Timestamps,
)
from harness.segment.sequence import add, between, difference, in_window, less, less_or_equal
from harness.states import State
from harness.targets.model import (
    acknowledgement,
    calls,
    output,
    synchronizing,
    text,
    timeouts,
    timestamps,
)
from harness.targets.model.connection import Connection

RECEIVING = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})


def process(c: Connection, segment: Segment, *, from_step: int = 1) -> None:
    """Do the eight steps, as far as the segment goes."""
    accepted: Segment | None = segment
    if from_step == 1:
        accepted = check_sequence_number(c, segment)
        if accepted is None or not check_rst(c, accepted):
            return
        if not check_syn(c, accepted) or not check_ack(c, accepted):
            return
    if accepted is not None:
        check_urg(c, accepted)
        if process_text(c, accepted):
            check_fin(c, accepted)


def check_sequence_number(c: Connection, segment: Segment) -> Segment | None:
    """First: return the part of the segment within the window, or answer it and return None."""
    if not timestamps.acceptable(c, segment):
        output.acknowledge(c)
        return None
    if segment.rst:
        valid = segment.seq == c.rcv_nxt or in_window(segment.seq, c.rcv_nxt, c.rcv_wnd)
        return segment if valid else None
    if _completes_crossing_open(c, segment):
        timestamps.update(c, segment)
        return synchronizing.without_syn(segment)
    if not acceptable(c, segment):
        return _unacceptable(c, segment)
    timestamps.update(c, segment)
    return trimmed(c, segment)


def acceptable(c: Connection, segment: Segment) -> bool:
    """Tell whether a segment passes the four tests of table 6."""
    length, window = segment.length, c.rcv_wnd
    if length == 0 and window == 0:
        return segment.seq == c.rcv_nxt
    if length == 0:
        return in_window(segment.seq, c.rcv_nxt, window)
    if window == 0:
        return False
    last = add(segment.seq, length - 1)
    return in_window(segment.seq, c.rcv_nxt, window) or in_window(last, c.rcv_nxt, window)


def _unacceptable(c: Connection, segment: Segment) -> Segment | None:
    """Answer a segment outside the window; special allowance is made for a closed one."""
    if c.state is State.TIME_WAIT and segment.fin:
        c.timers.time_wait.start(c.parameters.time_wait)
    same = segment.syn and segment.seq == c.irs
    if c.state is State.SYN_RECEIVED and same and c.parameters.repeat_syn_ack:
        output.syn_ack(c)
        return None
    output.acknowledge(c)
    if c.rcv_wnd == 0 and segment.seq == c.rcv_nxt and not segment.syn:
        flags = segment.flags & ~Flags.FIN
        return dataclasses.replace(segment, payload=b"", flags=flags)
    return None


def trimmed(c: Connection, segment: Segment) -> Segment:
    """Cut off what lies outside the window, a FIN included; a SYN is left for the fourth step."""
    if segment.syn:
        return segment
    before = difference(c.rcv_nxt, segment.seq)
    if before > 0:
        text = segment.payload[before:]
        segment = dataclasses.replace(segment, seq=c.rcv_nxt, payload=text)
    beyond = difference(add(segment.seq, segment.length), add(c.rcv_nxt, c.rcv_wnd))
    if beyond > 0:
        text = segment.payload[: max(0, segment.length - beyond)]
        flags = segment.flags & ~Flags.FIN
        segment = dataclasses.replace(segment, payload=text, flags=flags)
    return segment


def check_rst(c: Connection, segment: Segment) -> bool:
    """Second: a RST counts at RCV.NXT alone; elsewhere in the window it is challenged."""
    if not segment.rst:
        return True
    if segment.seq != c.rcv_nxt:
        output.acknowledge(c)
        c.stack.count("TcpExtTCPChallengeACK")
        return False
    if c.state is State.SYN_RECEIVED:
        # A passive open goes back to LISTEN, where the listener still is.
        c.stack.count("TcpAttemptFails")
        c.delete(None if c.passive else "ECONNREFUSED")
    elif c.state in (State.CLOSING, State.LAST_ACK):
        c.delete()
    elif c.state is State.TIME_WAIT:
        if not c.parameters.rfc1337:
            c.delete()
    else:
        c.stack.count("TcpEstabResets")
        c.received.clear()
        c.delete("ECONNRESET")
    return False


def check_syn(c: Connection, segment: Segment) -> bool:
    """Fourth: a SYN ends a passive SYN-RECEIVED; in synchronized states it is challenged."""
    if not segment.syn:
        return True
    if c.state is State.SYN_RECEIVED and c.passive:
        c.delete()
        return False
    output.acknowledge(c)
    c.stack.count("TcpExtTCPSYNChallenge")
    return False


def check_ack(c: Connection, segment: Segment) -> bool:
    """Fifth: what the acknowledgement does in each state; tell whether to go on."""
    if not segment.flags & Flags.ACK:
        return False
    if c.state is State.SYN_RECEIVED:
        if not between(c.snd_una, segment.ack, c.snd_nxt):
            c.stack.reply(c, Segment(seq=segment.ack, flags=Flags.RST, window=0))
            return False
        if c.listener is not None and not c.listener.has_room(c):
            return False
        acknowledgement.take(c, segment)
        synchronizing.established(c)
    # RFC 5961 section 5: (SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT.
    low = add(c.snd_una, -c.max_snd_wnd)
    if less(segment.ack, low) or less(c.snd_nxt, segment.ack):
        output.acknowledge(c)
        c.stack.count("TcpExtTCPChallengeACK")
        return False
    acknowledgement.take(c, segment)
    return _after_acknowledgement(c, segment)


def _after_acknowledgement(c: Connection, segment: Segment) -> bool:
    """Do what each state does in addition to ESTABLISHED."""
    if c.state is State.FIN_WAIT_1 and c.fin_acknowledged:
        c.enter(State.FIN_WAIT_2)
        if c.orphan:
            calls.wait_for_fin(c)
    elif c.state is State.CLOSING and c.fin_acknowledged:
        time_wait(c)
    elif c.state is State.LAST_ACK and c.fin_acknowledged:
        c.delete()
        return False
    elif c.state is State.TIME_WAIT and segment.fin:
        output.acknowledge(c)
        c.timers.time_wait.start(c.parameters.time_wait)
        return False
    return True


def check_urg(c: Connection, segment: Segment) -> None:
    """Sixth: note up to where there is urgent data, RCV.UP <- max(RCV.UP,SEG.UP)."""
    if not segment.flags & Flags.URG or c.state not in RECEIVING:
        return
    last = add(segment.seq, segment.urgent - 1)
    if less_or_equal(c.rcv_nxt, last) and (c.rcv_up is None or less(c.rcv_up, last)):
        c.rcv_up = last


def process_text(c: Connection, segment: Segment) -> bool:
    """Seventh: deliver the text in order, acknowledge it; tell whether the connection stays."""
    if not segment.payload or c.state not in RECEIVING:
        return True
    if c.orphan:
        # Nobody can read it any more (RFC 9293 SHLD-3).
        calls.abort(c)
        return False
    text.deliver(c, segment.payload, segment.seq)
    return True


def check_fin(c: Connection, segment: Segment) -> None:
    """Eighth: acknowledge a FIN in its place, tell the user, and go where the state says."""
    if segment.fin:
        c.fin_at = add(segment.seq, len(segment.payload))
    if c.fin_at is None or c.fin_at != c.rcv_nxt or c.fin_received:
        return
    c.rcv_nxt = add(c.rcv_nxt, 1)
    c.fin_received = True
    if c.state is State.ESTABLISHED:
        c.enter(State.CLOSE_WAIT)
    elif c.state is State.FIN_WAIT_1:
        if c.fin_acknowledged:
            time_wait(c)
        else:
            c.enter(State.CLOSING)
    elif c.state is State.FIN_WAIT_2:
        time_wait(c)
    output.acknowledge(c)


def time_wait(c: Connection) -> None:
    """Enter TIME-WAIT, start the time-wait timer, turn off the other timers."""
    for timer in c.timers.all():
        timer.stop()
    c.enter(State.TIME_WAIT)
    limit = c.parameters.max_time_wait
    if limit and c.stack.waiting() > limit:
        c.delete()
        return
    c.timers.time_wait.start(c.parameters.time_wait)


def may_reopen(c: Connection, segment: Segment) -> bool:
    """Tell whether a SYN in TIME-WAIT opens a new incarnation (RFC 6191 section 2)."""
    if c.state is not State.TIME_WAIT or segment.flags & (Flags.RST | Flags.ACK):
        return False
    stamp = next((o.value for o in segment.options if isinstance(o, Timestamps)), None)
    higher = less(c.rcv_nxt, segment.seq)
    if not segment.syn:
        return False
    if c.timestamps and stamp is not None and stamp != c.ts_recent:
        return less(c.ts_recent, stamp)
    return higher


def _completes_crossing_open(c: Connection, segment: Segment) -> bool:
    """Tell whether a SYN-ACK completes a simultaneous open (RFC 9293 figure 8).

    Its SYN is old by the test of the first step, which the figure passes over.
    """
    crossing = c.state is State.SYN_RECEIVED and not c.passive
    fits = segment.syn and segment.seq == c.irs and segment.ack == c.snd_nxt
    if not (crossing and fits and segment.flags & Flags.ACK and not segment.rst):
        return False
    if c.parameters.acknowledge_crossing_syn_ack:
        output.acknowledge(c)
    return True


def keep_alive_again(c: Connection) -> None:
    """Take note that something came: what was idle is not so any more."""
    c.active_at = c.heard_at = c.now
    if c.probes:
        timeouts.keep_alive(c)
