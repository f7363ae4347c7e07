"""Synchronizing: from a SYN of the peer to ESTABLISHED (RFC 9293 section 3.10.7)."""

import dataclasses

from harness.segment.segment import Flags, SackPermitted, Segment, Timestamps, WindowScale
from harness.segment.sequence import add
from harness.states import State
from harness.targets.model import output, text, timeouts
from harness.targets.model.connection import Connection

DEFAULT_MSS = {"ipv4": 536, "ipv6": 1220}


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
    c.congestion.begin(c.snd_mss, syn_lost=False)


def established(c: Connection) -> None:
    """Enter ESTABLISHED, and go on to what was queued for then."""
    c.enter(State.ESTABLISHED)
    if c.retransmits:
        # RFC 6298 section 5.7: after a lost SYN the RTO begins at 3 seconds.
        c.round_trip.rto = max(3.0, c.round_trip.rto if c.round_trip.smoothed else 0.0)
        c.congestion.begin(c.snd_mss, syn_lost=True)
    c.retransmits = 0
    timeouts.keep_alive(c)
    if c.listener is not None:
        c.listener.completed(c)
    if c.fin_queued:
        c.enter(State.FIN_WAIT_1)
    output.transmit(c)
    if c.reassembly.held:
        text.deliver(c, b"", c.rcv_nxt)


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
