"""Output: how segments are formed and when data may go (RFC 9293 sections 3.8 and 3.10.2)."""

from harness.segment.segment import (
    Flags,
    MaximumSegmentSize,
    NoOperation,
    Option,
    Sack,
    SackPermitted,
    Segment,
    Timestamps,
    WindowScale,
)
from harness.segment.sequence import add, difference, less
from harness.states import State
from harness.targets.model import waiting
from harness.targets.model.connection import LARGEST_WINDOW, Connection

ACK, FIN, PSH, RST, SYN, URG = Flags.ACK, Flags.FIN, Flags.PSH, Flags.RST, Flags.SYN, Flags.URG

SENDING = frozenset(
    {
        State.ESTABLISHED,
        State.CLOSE_WAIT,
        State.FIN_WAIT_1,
        State.CLOSING,
        State.LAST_ACK,
    }
)


def syn(c: Connection) -> None:
    """Send <SEQ=ISS><CTL=SYN>, first or once more."""
    window = first_window(c)
    c.rcv_adv = window
    form(c, c.iss, SYN, options=_syn_options(c), window=window)


def syn_ack(c: Connection) -> None:
    """Send <SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>, first or once more."""
    window = first_window(c)
    c.rcv_adv = add(c.rcv_nxt, window)
    form(c, c.iss, SYN | ACK, options=_syn_options(c), window=window)


def acknowledge(c: Connection) -> None:
    """Send <SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>."""
    form(c, c.snd_nxt, ACK, options=_sack_option(c))


def reset(c: Connection) -> None:
    """Send <SEQ=SND.NXT><CTL=RST>, as ABORT does."""
    form(c, c.snd_nxt, RST, window=0)


def keepalive(c: Connection) -> None:
    """Send a segment without data, numbered SND.NXT-1 (RFC 9293 section 3.8.4)."""
    form(c, add(c.snd_nxt, -1), ACK)


def retransmit(c: Connection) -> None:
    """Send what is at the front of the retransmission queue again."""
    c.timed = None
    if c.state is State.SYN_SENT:
        syn(c)
    elif c.snd_una == c.iss:
        syn_ack(c)
    else:
        sent = difference(c.snd_nxt, c.snd_una) - c.fin_sent
        _send_data(c, c.snd_una, min(sent, c.mss))


def transmit(c: Connection) -> None:
    """Send what the windows, the Nagle algorithm and SWS avoidance let go, and then the FIN."""
    if c.state not in SENDING or c.fin_sent:
        return
    while (size := _allowed(c)) or _fin_may_go(c):
        _send_data(c, c.snd_nxt, size)
        if c.fin_sent:
            break
    _wait_for_room(c)


def probe(c: Connection) -> None:
    """Send one octet of new data, or the FIN, into a closed window (RFC 9293 section 3.8.6.1)."""
    _send_data(c, c.snd_una, min(1, difference(c.end, c.snd_una)))


def _allowed(c: Connection) -> int:
    """Return how many octets may be sent now (RFC 9293 section 3.8.6.2.1)."""
    queued = c.unsent
    usable = min(c.snd_wnd, c.congestion.cwnd) - difference(c.snd_nxt, c.snd_una)
    size = min(queued, usable, c.mss)
    if size <= 0:
        return 0
    if size >= c.mss:
        return size
    nagle = c.parameters.nagle and not c.options.get("TCP_NODELAY") and not c.fin_queued
    if nagle and c.outstanding:
        return 0
    if queued <= usable or size >= c.max_snd_wnd // 2:
        return size
    return 0


def _fin_may_go(c: Connection) -> bool:
    return c.fin_queued and not c.unsent and c.snd_wnd > difference(c.snd_nxt, c.snd_una)


def _wait_for_room(c: Connection) -> None:
    """Start a timer where there is something to send and nothing that will be acknowledged."""
    left = c.unsent or (c.fin_queued and not c.fin_sent)
    if not left or c.outstanding or c.timers.persist.running:
        return
    if c.snd_wnd == 0:
        c.timers.persist.start(c.round_trip.rto)
        waiting.limited(c)
    else:
        c.timers.persist.start(c.parameters.override_timeout)


def _send_data(c: Connection, seq: int, size: int) -> None:
    """Send octets of the user's, PSH where the queue empties, FIN where it comes next."""
    at = difference(seq, c.buffer_seq)
    text = bytes(c.buffer[at : at + size])
    end = add(seq, len(text))
    flags = ACK
    if text and end == c.end:
        flags |= PSH
    if c.fin_queued and end == c.end:
        flags |= FIN
        c.fin_sent = True
    urgent = 0
    if c.snd_up is not None and less(seq, c.snd_up):
        flags |= URG
        urgent = difference(c.snd_up, seq)
    after = add(end, bool(flags & FIN))
    if c.timed is None and seq == c.snd_nxt:
        c.timed = (after, c.now)
    if less(c.snd_nxt, after):
        c.snd_nxt = after
    form(c, seq, flags, text=text, urgent=urgent)
    waiting.started(c)


def form(
    c: Connection,
    seq: int,
    flags: Flags,
    *,
    text: bytes = b"",
    urgent: int = 0,
    options: tuple[Option, ...] = (),
    window: int | None = None,
) -> None:
    """Form a segment with the acknowledgement, window and timestamps that hold now; send it."""
    if flags & ACK:
        c.timers.delayed_ack.stop()
        c.unacknowledged = 0
        c.last_ack_sent = c.rcv_nxt
    if c.timestamps and not flags & (SYN | RST):
        options = (NoOperation(), NoOperation(), _timestamps(c), *options)
    segment = Segment(
        source_port=c.local.port,
        destination_port=c.remote.port,
        seq=seq,
        ack=c.rcv_nxt if flags & ACK else 0,
        flags=flags,
        window=_window(c) if window is None else window,
        options=options,
        payload=text,
        urgent=urgent,
    )
    c.active_at = c.now
    ends = (c.local.address, c.remote.address)
    c.stack.transmit(*ends, segment, ttl=c.ttl, tos=c.tos, ip_options=c.ip_options)


def _window(c: Connection) -> int:
    """Return SEG.WND; the right edge moves by what is worth it (section 3.8.6.2.2)."""
    free = max(0, c.receive_buffer - len(c.received))
    shift = c.rcv_wind_shift
    free = min(free >> shift, LARGEST_WINDOW) << shift
    worth_it = free - c.rcv_wnd >= min(c.receive_buffer // 2, c.stack.mss(c.local))
    size = free if worth_it and free > c.rcv_wnd else c.rcv_wnd
    c.rcv_adv = add(c.rcv_nxt, size)
    return min(-(-size >> shift), LARGEST_WINDOW)


def first_window(c: Connection) -> int:
    """Return the window of a SYN, which is never scaled (RFC 7323 section 2.2)."""
    window = min(c.receive_buffer, LARGEST_WINDOW)
    mss = c.stack.mss(c.local)
    if c.parameters.first_window_whole_segments and window > mss:
        window -= window % mss
    return window


def window_shift(c: Connection) -> int:
    """Return the least shift with which the whole buffer can be offered, 14 at most."""
    return next(
        (shift for shift in range(15) if c.receive_buffer >> shift <= LARGEST_WINDOW),
        14,
    )


def _syn_options(c: Connection) -> tuple[Option, ...]:
    """Return the options of a SYN; those of a SYN-ACK were agreed on when the SYN came."""
    found: list[Option] = [
        MaximumSegmentSize(int(c.options.get("TCP_MAXSEG") or c.stack.mss(c.local)))
    ]
    if c.sack:
        found.append(SackPermitted())
    if c.timestamps:
        found += [] if c.sack else [NoOperation(), NoOperation()]
        found.append(_timestamps(c))
    elif c.sack:
        found += [NoOperation(), NoOperation()]
    if c.scaling:
        c.rcv_wind_shift = window_shift(c)
        found += [NoOperation(), WindowScale(c.rcv_wind_shift)]
    return tuple(found)


def _sack_option(c: Connection) -> tuple[Option, ...]:
    blocks = c.reassembly.blocks() if c.sack else ()
    return (NoOperation(), NoOperation(), Sack(blocks)) if blocks else ()


def _timestamps(c: Connection) -> Timestamps:
    return Timestamps(c.stack.timestamp(c), c.ts_recent)
