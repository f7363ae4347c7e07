"""Timeouts: RFC 9293 section 3.10.8, and those of sections 3.8.4 and 3.8.6."""

from harness.segment.sequence import difference
from harness.states import State
from harness.targets.model import output
from harness.targets.model.connection import Connection

KEPT_ALIVE = frozenset({State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.FIN_WAIT_2})
UNANSWERED = "ETIMEDOUT"


def user_timeout(c: Connection) -> None:
    """USER TIMEOUT: flush all queues, tell the user, delete the TCB; nothing is sent."""
    c.delete(c.soft_error or UNANSWERED)


def retransmission_timeout(c: Connection) -> None:
    """RETRANSMISSION TIMEOUT: send the front of the queue again, or give up at last."""
    if c.retransmits >= _retries(c) or _syn_over(c):
        user_timeout(c)
        return
    if c.state in output.SENDING and c.retransmits == 0:
        c.congestion.timed_out(difference(c.snd_nxt, c.snd_una))
        c.recover = c.snd_nxt
    c.retransmits += 1
    c.duplicates = 0
    c.stack.count("TcpRetransSegs")
    c.round_trip.back_off()
    if c.state in (State.SYN_SENT, State.SYN_RECEIVED):
        c.round_trip.rto = syn_timeout(c, c.retransmits)
    output.retransmit(c)
    c.timers.retransmission.start(c.round_trip.rto)


def time_wait_timeout(c: Connection) -> None:
    """TIME-WAIT TIMEOUT: delete the TCB, enter the CLOSED state."""
    c.delete()


def fin_wait_2_timeout(c: Connection) -> None:
    """End FIN-WAIT-2 of a connection whose user has gone, which the peer may never close."""
    c.delete()


def delayed_ack_timeout(c: Connection) -> None:
    """Send the acknowledgement that no segment has carried so far (section 3.8.6.3)."""
    output.acknowledge(c)


def persist_timeout(c: Connection) -> None:
    """Probe a closed window, ever less often, or override SWS avoidance (section 3.8.6)."""
    if not (c.unsent or c.fin_queued or c.outstanding):
        return
    if c.retransmits >= _retries(c):
        user_timeout(c)
        return
    output.probe(c)
    if c.snd_wnd == 0:
        c.retransmits += 1
        c.timers.retransmission.stop()
        c.round_trip.back_off()
        c.timers.persist.start(c.round_trip.rto)


def keepalive_timeout(c: Connection) -> None:
    """Probe an idle connection; after so many probes without an answer it is dead."""
    numbers, options = c.parameters, c.options
    idle = float(options.get("TCP_KEEPIDLE") or numbers.keepalive_time)
    interval = float(options.get("TCP_KEEPINTVL") or numbers.keepalive_interval)
    if c.state not in KEPT_ALIVE:
        return
    if c.outstanding or c.unsent:
        c.timers.keepalive.start(idle)
        return
    left = c.active_at + idle - c.now
    if c.probes == 0 and left > 0:
        c.timers.keepalive.start(left)
        return
    own = float(options.get("TCP_USER_TIMEOUT") or 0) / 1000
    as_data = numbers.data_retries + 1 if numbers.keepalive_repeats_as_data else 0
    overdue = c.probes >= int(options.get("TCP_KEEPCNT") or as_data or numbers.keepalive_probes)
    if (c.probes and c.now - c.heard_at >= own) if own else overdue:
        user_timeout(c)
        return
    c.probes += 1
    output.keepalive(c)
    c.timers.keepalive.start(interval)


def keep_alive(c: Connection) -> None:
    """Start the keepalive timer, or stop it, as SO_KEEPALIVE asks (RFC 9293 MUST-24)."""
    if not c.options.get("SO_KEEPALIVE") or c.state not in KEPT_ALIVE:
        c.timers.keepalive.stop()
    elif not c.timers.keepalive.running or c.probes:
        c.probes = 0
        c.timers.keepalive.start(
            float(c.options.get("TCP_KEEPIDLE") or c.parameters.keepalive_time)
        )


def syn_timeout(c: Connection, number: int) -> float:
    """Return the time-out of a SYN or SYN-ACK after so many retransmissions, seconds."""
    numbers = c.parameters
    linear = numbers.syn_linear_timeouts if c.state is State.SYN_SENT else 0
    if numbers.syn_backoff and number < len(numbers.syn_backoff):
        return numbers.initial_rto * numbers.syn_backoff[number]
    doubled: float = numbers.initial_rto * 2 ** max(0, number - linear)
    return min(doubled, numbers.rto_max)


def _retries(c: Connection) -> int:
    numbers = c.parameters
    if c.state is State.SYN_SENT:
        asked = c.options.get("TCP_SYNCNT")
        retries = int(asked) if asked else numbers.syn_retries
        retries += 0 if asked else numbers.syn_linear_timeouts
    elif c.state is State.SYN_RECEIVED:
        attacked = c.listener is not None and c.listener.attacked
        retries = 0 if attacked else numbers.synack_retries
    else:
        retries = numbers.orphan_retries if c.orphan else numbers.data_retries
    return retries


def _syn_over(c: Connection) -> bool:
    """Tell whether a SYN had as long as if none of its time-outs had been linear."""
    numbers = c.parameters
    if c.state is not State.SYN_SENT or not numbers.syn_linear_timeouts or not c.retransmits:
        return False
    longest, first = numbers.rto_max, numbers.initial_rto
    limit: float = sum(min(first * 2.0**step, longest) for step in range(numbers.syn_retries + 1))
    lasted: float = c.now - c.opened_at
    return lasted >= limit - 1e-6
