"""Synchronized: SEGMENT ARRIVES in the other states, step by step (RFC 9293 section 3.10.7.4).

Also RFC 5961 (challenge ACKs), RFC 7323 section 5 (PAWS), RFC 6191 and RFC 5681 section 3.2.
"""

import dataclasses

from harness.segment.segment import (
    Flags,
    SackPermitted,
    Segment,
    Timestamps,
    WindowScale,
)
from harness.segment.sequence import add, between, difference, in_window, less, less_or_equal
from harness.states import State
from harness.targets.model import calls, output, timeouts, waiting
from harness.targets.model.connection import Connection

DEFAULT_MSS = {"ipv4": 536, "ipv6": 1220}
RECEIVING = frozenset({State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2})
OUTDATED = 24 * 86400.0
"""Seconds after which TS.Recent is not believed any more (RFC 7323 section 5.5)."""


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
    if not _timestamp_acceptable(c, segment):
        output.acknowledge(c)
        return None
    if segment.rst:
        valid = segment.seq == c.rcv_nxt or in_window(segment.seq, c.rcv_nxt, c.rcv_wnd)
        return segment if valid else None
    if _completes_crossing_open(c, segment):
        _update_timestamp(c, segment)
        return without_syn(segment)
    if not acceptable(c, segment):
        return _unacceptable(c, segment)
    _update_timestamp(c, segment)
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
    if c.state is State.SYN_RECEIVED and segment.syn and c.parameters.repeat_syn_ack:
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
        take_acknowledgement(c, segment)
        established(c)
    # RFC 5961 section 5: (SND.UNA - MAX.SND.WND) =< SEG.ACK =< SND.NXT.
    low = add(c.snd_una, -c.max_snd_wnd)
    if less(segment.ack, low) or less(c.snd_nxt, segment.ack):
        output.acknowledge(c)
        c.stack.count("TcpExtTCPChallengeACK")
        return False
    take_acknowledgement(c, segment)
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


def take_acknowledgement(c: Connection, segment: Segment) -> None:
    """Do the processing of ESTABLISHED: SND.UNA, the retransmission queue, the send window."""
    if between(c.snd_una, segment.ack, c.snd_nxt):
        _new_data_acknowledged(c, segment)
    elif segment.ack == c.snd_una:
        _maybe_duplicate(c, segment)
    if less_or_equal(c.snd_una, segment.ack) and (
        less(c.snd_wl1, segment.seq)
        or (c.snd_wl1 == segment.seq and less_or_equal(c.snd_wl2, segment.ack))
    ):
        shift = 0 if segment.syn else c.snd_wind_shift
        opened = c.snd_wnd == 0 and segment.window > 0
        c.snd_wnd = segment.window << shift
        c.snd_wl1, c.snd_wl2 = segment.seq, segment.ack
        c.max_snd_wnd = max(c.max_snd_wnd, c.snd_wnd)
        if opened:
            _window_opened(c)
    if c.snd_wnd == 0 and c.timers.persist.running:
        # The peer answers probes: the connection stays open (RFC 9293 MUST-37).
        c.retransmits = 0
        if c.timers.user.running and not c.options.get("TCP_USER_TIMEOUT"):
            c.timers.user.start(waiting.limit(c))
    if not c.closed:
        output.transmit(c)


def _new_data_acknowledged(c: Connection, segment: Segment) -> None:
    octets = difference(segment.ack, c.snd_una)
    c.snd_una = segment.ack
    done = max(0, min(difference(c.snd_una, c.buffer_seq), len(c.buffer)))
    del c.buffer[:done]
    c.buffer_seq = add(c.buffer_seq, done)
    if c.snd_up is not None and less_or_equal(c.snd_up, c.snd_una):
        c.snd_up = None
    if c.timed is not None and less_or_equal(c.timed[0], segment.ack):
        c.round_trip.measured(c.now - c.timed[1])
        c.timed = None
    if c.recover is not None and less(c.snd_una, c.recover):
        c.congestion.acknowledged(octets)
        output.retransmit(c)
    elif c.duplicates >= 3:
        c.congestion.recovered()
        c.recover = None
    else:
        c.recover = None
        c.congestion.acknowledged(octets)
    c.duplicates = 0
    if c.state in output.SENDING:
        c.retransmits = 0
        if c.round_trip.smoothed is not None:
            c.round_trip.measured_again()
    c.soft_error = None
    c.timers.persist.stop()
    waiting.again(c)


def _maybe_duplicate(c: Connection, segment: Segment) -> None:
    """Count duplicates by the definition of RFC 5681 section 2; the third means a loss."""
    window = segment.window << c.snd_wind_shift
    if segment.length or not c.outstanding or window != c.snd_wnd or c.snd_wnd == 0:
        return
    c.duplicates += 1
    if c.duplicates == 3:
        c.congestion.fast_retransmitted(difference(c.snd_nxt, c.snd_una))
        c.recover = c.snd_nxt
        c.stack.count("TcpRetransSegs")
        output.retransmit(c)
    elif c.duplicates > 3:
        c.congestion.duplicate()


def _window_opened(c: Connection) -> None:
    """Go on after a closed window; a probe that was not taken goes first."""
    c.timers.persist.stop()
    c.retransmits = 0
    if c.round_trip.smoothed is not None:
        c.round_trip.measured_again()
    if c.outstanding and not c.fin_sent:
        c.snd_nxt = c.snd_una
    elif c.outstanding:
        output.retransmit(c)
        waiting.again(c)


def established(c: Connection) -> None:
    """Enter ESTABLISHED, and go on to what was queued for then."""
    c.enter(State.ESTABLISHED)
    if c.retransmits:
        # RFC 6298 section 5.7: after a lost SYN the RTO begins at 3 seconds.
        c.round_trip.rto = max(3.0, c.round_trip.rto if c.round_trip.smoothed else 0.0)
    c.retransmits = 0
    timeouts.keep_alive(c)
    if c.listener is not None:
        c.listener.completed(c)
    if c.fin_queued:
        c.enter(State.FIN_WAIT_1)
    output.transmit(c)
    if c.reassembly.held and c.state in RECEIVING:
        deliver(c, b"", c.rcv_nxt)


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
    deliver(c, segment.payload, segment.seq)
    return True


def deliver(c: Connection, text: bytes, seq: int) -> None:
    """Hold text, give the user what is in order, and acknowledge it, now or a little later."""
    if seq != c.rcv_nxt:
        c.reassembly.hold(seq, text)
        output.acknowledge(c)
        return
    filled = bool(c.reassembly.held)
    c.reassembly.hold(seq, text)
    ready = c.reassembly.take(c.rcv_nxt)
    c.received += b"" if c.read_shut else _without_urgent(c, ready)
    c.rcv_nxt = add(c.rcv_nxt, len(ready))
    c.unacknowledged += len(ready)
    if filled or c.unacknowledged >= 2 * c.stack.mss(c.local) or not c.parameters.delayed_ack:
        output.acknowledge(c)
    elif not c.timers.delayed_ack.running:
        c.timers.delayed_ack.start(c.parameters.delayed_ack)


def _without_urgent(c: Connection, text: bytes) -> bytes:
    """Keep the last urgent octet apart from the text that begins at RCV.NXT."""
    at = -1 if c.rcv_up is None else difference(c.rcv_up, c.rcv_nxt)
    if not 0 <= at < len(text):
        return text
    c.rcv_up = None
    if c.options.get("SO_OOBINLINE"):
        return text
    c.urgent = text[at : at + 1]
    return text[:at] + text[at + 1 :]


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


def synchronize(c: Connection, segment: Segment) -> None:
    """Take from a SYN its number, its options and its window: RCV.NXT is SEG.SEQ+1, IRS SEG.SEQ.

    An option is used when both sides have offered it.
    """
    c.rcv_nxt, c.irs = add(segment.seq, 1), segment.seq
    c.last_ack_sent = segment.seq
    numbers = c.parameters
    own = int(c.options.get("TCP_MAXSEG") or c.stack.mss(c.local))
    offered = segment.mss
    c.snd_mss = min(own, offered or DEFAULT_MSS[c.stack.family(c.local)])
    c.snd_mss = max(c.snd_mss, numbers.least_send_mss)
    shift = next((o.shift for o in segment.options if isinstance(o, WindowScale)), None)
    c.scaling = shift is not None and bool(numbers.window_scaling)
    if shift is None or not c.scaling:
        c.rcv_wind_shift = 0
    else:
        c.snd_wind_shift = min(shift, 14)
    c.sack = bool(numbers.sack) and any(isinstance(o, SackPermitted) for o in segment.options)
    stamp = next((o for o in segment.options if isinstance(o, Timestamps)), None)
    c.timestamps = stamp is not None and bool(numbers.timestamps)
    if stamp is not None and c.timestamps:
        c.ts_recent, c.ts_recent_at = stamp.value, c.now
    # The window of a SYN is never scaled.
    c.snd_wnd = c.max_snd_wnd = segment.window
    c.snd_wl1, c.snd_wl2 = segment.seq, segment.ack
    c.congestion.begin(c.snd_mss, syn_lost=c.retransmits > 1)


def queue_text(c: Connection, segment: Segment) -> None:
    """Keep what came with a SYN until ESTABLISHED is reached."""
    behind = without_syn(segment)
    if behind.payload:
        c.reassembly.hold(behind.seq, behind.payload)
    if behind.fin:
        c.fin_at = add(behind.seq, len(behind.payload))


def without_syn(segment: Segment) -> Segment:
    """Return the segment as if it began behind its SYN."""
    return dataclasses.replace(
        segment, seq=add(segment.seq, segment.syn), flags=segment.flags & ~Flags.SYN
    )


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


def _timestamp_acceptable(c: Connection, segment: Segment) -> bool:
    """PAWS: a segment whose timestamp is older than the last is a duplicate (RFC 7323 R1)."""
    if not c.timestamps or segment.rst:
        return True
    stamp = next((o for o in segment.options if isinstance(o, Timestamps)), None)
    if stamp is None:
        return True
    return not less(stamp.value, c.ts_recent) or c.now - c.ts_recent_at > OUTDATED


def _update_timestamp(c: Connection, segment: Segment) -> None:
    """Take a timestamp from the segment that spans the last acknowledgement (RFC 7323 R3)."""
    stamp = next((o for o in segment.options if isinstance(o, Timestamps)), None)
    if stamp is None or not c.timestamps or segment.rst:
        return
    if less_or_equal(c.ts_recent, stamp.value) and less_or_equal(segment.seq, c.last_ack_sent):
        c.ts_recent, c.ts_recent_at = stamp.value, c.now


def keep_alive_again(c: Connection) -> None:
    """Take note that something came: what was idle is not so any more."""
    c.active_at = c.heard_at = c.now
    if c.probes:
        timeouts.keep_alive(c)
