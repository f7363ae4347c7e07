"""Computed: documented values that follow from the knobs in force.

Each function is given the effective knobs, by meaning, and yields an expectation. `needs` are the
knobs without which there is nothing to compute; a knob in `may` is one that not every version of
the stack has, and the function knows what it was before there was such a knob.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.documents.expectation import (
    AnyOf,
    Computed,
    Count,
    Duration,
    Expectation,
    Intervals,
    Outcome,
)
from harness.documents.measure import Kind

Knobs = Mapping[str, float]
Value = Duration | Intervals | Count | AnyOf


class MissingKnobError(LookupError):
    """The stack has no knob of a name that a computed expectation needs."""


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function: what it yields and the knobs that it depends on."""

    name: str
    kind: Kind
    needs: tuple[str, ...]
    may: tuple[str, ...]
    compute: Callable[[Knobs], Value]


FUNCTIONS: dict[str, Function] = {}


def computed(
    kind: Kind, *, needs: tuple[str, ...] = (), may: tuple[str, ...] = ()
) -> Callable[[Callable[[Knobs], Value]], Callable[[Knobs], Value]]:
    """Register a function of the knobs under its own name."""

    def register(compute: Callable[[Knobs], Value]) -> Callable[[Knobs], Value]:
        name = compute.__name__
        FUNCTIONS[name] = Function(name, kind, needs, may, compute)
        return compute

    return register


def resolve(expectation: Expectation, knobs: Knobs) -> Expectation:
    """Compute what is still to be computed; MissingKnobError names a knob that is not there."""
    match expectation:
        case Computed(name=name):
            return _value(name, knobs)
        case Outcome(outcomes=outcomes, after=Computed(name=name)):
            value = _value(name, knobs)
            assert isinstance(value, Duration | AnyOf)
            return Outcome(outcomes, value)
        case _:
            return expectation


def depends_on(expectation: Expectation) -> tuple[str, ...]:
    """Return the knobs that a computed expectation depends on, those that may be missing too."""
    match expectation:
        case Computed(name=name) | Outcome(after=Computed(name=name)):
            return FUNCTIONS[name].needs + FUNCTIONS[name].may
        case _:
            return ()


def _value(name: str, knobs: Knobs) -> Value:
    function = FUNCTIONS[name]
    for knob in function.needs:
        if knob not in knobs:
            raise MissingKnobError(knob)
    return function.compute(knobs)


INITIAL_RTO = 1.0
"""RFC 6298 section 2.1, and the ip-sysctl text: "the current initial RTO of 1second"."""

RTO_MIN, RTO_MAX = 0.2, 120.0
"""TCP_RTO_MIN and TCP_RTO_MAX of Linux before there were tcp_rto_min_us and tcp_rto_max_ms."""

MEASURED_RTO = 1.1
"""How much longer than the minimum a measured RTO may be: it is the minimum plus the round trip,
rounded up to a tick; 10 ms (HZ 100) for that and 10 ms for the round trip are a tenth of 0.2 s."""

ROUND_TRIP = "round_trip"
"""Not a knob, but the other thing that time-outs depend on: the seconds that the peer took for the
only answer of which the stack has a sample, that of the handshake. The caller adds it."""

TIME_WAIT = 60.0
"""TCP_TIMEWAIT_LEN of Linux."""


def _backoff(knobs: Knobs, first: float, linear: int = 0) -> Iterator[float]:
    """Yield retransmission time-outs: `linear` extra ones of the first length, then doubling."""
    longest = knobs.get("rto_max", RTO_MAX)
    for step in itertools.count():
        yield min(first * 2.0 ** min(max(0, step - linear), 32), longest)


def _measured_rto(knobs: Knobs) -> float:
    """Return the first time-out after one sample: Linux adds its minimum to the round trip."""
    return knobs.get("rto_min", RTO_MIN) + knobs.get(ROUND_TRIP, 0.0)


def _take(timers: Iterator[float], count: int) -> tuple[float, ...]:
    return tuple(itertools.islice(timers, count))


def _syn_timers(knobs: Knobs) -> tuple[float, ...]:
    """Return the time-outs of a SYN, the last of which ends the attempt.

    It ends when the retransmissions are used up (`syn_retries` beyond the linear ones), and also
    once the time has passed in which purely exponential ones would have been (tcp_write_timeout
    asks both), whichever is first.
    """
    retries, linear = int(knobs["syn_retries"]), int(knobs.get("syn_linear_timeouts", 0))
    limit = sum(_take(_backoff(knobs, INITIAL_RTO), retries + 1))
    backoff = _backoff(knobs, INITIAL_RTO, linear)
    timers = [next(backoff)]
    while len(timers) <= retries + linear and (len(timers) == 1 or sum(timers) < limit):
        timers.append(next(backoff))
    return tuple(timers)


def _chain(timers: tuple[float, ...], stretch: float = 1.0) -> Duration:
    total = round(sum(timers), 6)
    return Duration(total, total, timers, stretch)


@computed(Kind.LADDER, needs=("syn_retries",), may=("syn_linear_timeouts", "rto_max"))
def linux_syn_ladder(knobs: Knobs) -> Intervals:
    """Give the intervals between SYNs (ip-sysctl: tcp_syn_retries, tcp_syn_linear_timeouts)."""
    return Intervals(_syn_timers(knobs)[:-1])


@computed(Kind.DURATION, needs=("syn_retries",), may=("syn_linear_timeouts", "rto_max"))
def linux_connect_timeout(knobs: Knobs) -> Duration:
    """Tell how long connect() takes to fail (ip-sysctl: tcp_syn_retries)."""
    return _chain(_syn_timers(knobs))


@computed(Kind.COUNT, needs=("syn_retries",), may=("syn_linear_timeouts", "rto_max"))
def linux_syn_count(knobs: Knobs) -> Count:
    """Count the SYNs of one attempt, the first included."""
    return Count((len(_syn_timers(knobs)),))


@computed(Kind.LADDER, needs=("synack_retries",), may=("rto_max",))
def linux_synack_ladder(knobs: Knobs) -> Intervals:
    """Give the intervals between SYN-ACKs (ip-sysctl: tcp_synack_retries)."""
    return Intervals(_take(_backoff(knobs, INITIAL_RTO), int(knobs["synack_retries"])))


@computed(Kind.DURATION, needs=("synack_retries",), may=("rto_max",))
def linux_embryonic_lifetime(knobs: Knobs) -> Duration:
    """Tell how long an unacknowledged SYN-ACK is remembered (ip-sysctl: tcp_synack_retries)."""
    return _chain(_take(_backoff(knobs, INITIAL_RTO), int(knobs["synack_retries"]) + 1))


@computed(Kind.DURATION, needs=("orphan_fin_wait_2_timeout",))
def linux_fin_wait_2(knobs: Knobs) -> Duration:
    """Tell how long an orphan stays in FIN-WAIT-2 (ip-sysctl: tcp_fin_timeout).

    What is longer than TIME-WAIT is waited for in two timers, the second as long as TIME-WAIT.
    """
    length = knobs["orphan_fin_wait_2_timeout"]
    return _chain((length,) if length <= TIME_WAIT else (length - TIME_WAIT, TIME_WAIT))


@computed(Kind.DURATION, needs=("orphan_fin_wait_2_timeout",))
def fin_timeout_as_time_wait(knobs: Knobs) -> Duration:
    """Take TIME-WAIT to be as long as tcp_fin_timeout, which the notes S2 say of Linux."""
    return _chain((knobs["orphan_fin_wait_2_timeout"],))


def _keepalive_timers(knobs: Knobs) -> tuple[float, ...]:
    probes = int(knobs["keepalive_probes"])
    return (knobs["keepalive_time"], *itertools.repeat(knobs["keepalive_interval"], probes))


@computed(Kind.DURATION, needs=("keepalive_time",))
def linux_keepalive_time(knobs: Knobs) -> Duration:
    """Tell how long until the first probe (ip-sysctl: tcp_keepalive_time)."""
    return _chain((knobs["keepalive_time"],))


@computed(Kind.LADDER, needs=("keepalive_interval", "keepalive_probes"))
def linux_keepalive_ladder(knobs: Knobs) -> Intervals:
    """Give the intervals between unanswered probes (ip-sysctl: tcp_keepalive_intvl, _probes)."""
    between = max(0, int(knobs["keepalive_probes"]) - 1)
    return Intervals((knobs["keepalive_interval"],) * between)


@computed(Kind.DURATION, needs=("keepalive_time", "keepalive_interval", "keepalive_probes"))
def linux_keepalive_timeout(knobs: Knobs) -> Duration:
    """Tell how long until a dead connection is given up: the time, then every probe's interval."""
    return _chain(_keepalive_timers(knobs))


def _orphan_timers(knobs: Knobs) -> tuple[tuple[float, ...], ...]:
    """Return the time-outs of an orphan that nobody answers, the last of which ends it.

    The text gives a hypothetical time-out, N+1 time-outs from the minimum RTO, as the lower bound,
    and the first time-out that exceeds it as the end. Linux counts from the first
    retransmission, so that this is the (N+1)th or the one after it, by how late timers are.
    """
    retries = int(knobs["orphan_retries"]) or 8
    timers = _take(_backoff(knobs, _measured_rto(knobs)), retries + 2)
    return timers[:-1], timers


@computed(Kind.LADDER, needs=("orphan_retries",), may=("rto_min", "rto_max", ROUND_TRIP))
def linux_orphan_ladder(knobs: Knobs) -> AnyOf:
    """Give the intervals between the FINs of an orphan (ip-sysctl: tcp_orphan_retries)."""
    return AnyOf(tuple(Intervals(timers[:-1], MEASURED_RTO) for timers in _orphan_timers(knobs)))


@computed(Kind.DURATION, needs=("orphan_retries",), may=("rto_min", "rto_max", ROUND_TRIP))
def linux_orphan_lifetime(knobs: Knobs) -> AnyOf:
    """Tell how long an orphan that nobody answers lives (ip-sysctl: tcp_orphan_retries)."""
    return AnyOf(tuple(_chain(timers, MEASURED_RTO) for timers in _orphan_timers(knobs)))


@computed(Kind.DURATION, needs=("data_retries",), may=("rto_min", "rto_max", ROUND_TRIP))
def linux_data_timeout(knobs: Knobs) -> AnyOf:
    """Tell how long unacknowledged data keeps a connection (ip-sysctl: tcp_retries2; 924.6 s)."""
    count = int(knobs["data_retries"])
    timers = _take(_backoff(knobs, _measured_rto(knobs)), count + 2)
    return AnyOf((_chain(timers[:-1], MEASURED_RTO), _chain(timers, MEASURED_RTO)))


@computed(Kind.COUNT, needs=("ephemeral_port_first", "ephemeral_port_last"))
def linux_ephemeral_ports(knobs: Knobs) -> Count:
    """Give the ports that connect() chooses from (ip-sysctl: ip_local_port_range)."""
    return Count(low=int(knobs["ephemeral_port_first"]), high=int(knobs["ephemeral_port_last"]))
