"""Acknowledgement: what SEG.ACK and SEG.WND do (RFC 9293 section 3.10.7.4, fifth; RFC 5681)."""

from harness.segment.segment import Segment
from harness.segment.sequence import add, between, difference, less, less_or_equal
from harness.targets.model import output, waiting
from harness.targets.model.connection import Connection


def take(c: Connection, segment: Segment) -> None:
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
