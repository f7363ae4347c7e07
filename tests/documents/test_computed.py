"""Documented values that follow from knobs."""

import pytest

from harness.documents.computed import FUNCTIONS, MissingKnobError, depends_on, resolve
from harness.documents.expectation import (
    AnyOf,
    Computed,
    Duration,
    Intervals,
    Outcome,
    nominal,
)
from harness.documents.measure import Kind
from tests.documents import DEFAULTS


def of(name, **knobs):
    return resolve(Computed(name, FUNCTIONS[name].kind), knobs)


@pytest.mark.parametrize(
    ("retries", "linear", "intervals", "total"),
    [
        # The kernel's own text: with defaults, and before there were linear time-outs.
        (6, 4, (1, 1, 1, 1, 1, 2, 4, 8, 16, 32), 131),
        (6, None, (1, 2, 4, 8, 16, 32), 127),
        (6, 0, (1, 2, 4, 8, 16, 32), 127),
        # Observed on Linux 6.18: purely exponential time bounds the attempt as well.
        (1, 4, (1, 1), 3),
        (2, 4, (1, 1, 1, 1, 1), 7),
        (3, 4, (1, 1, 1, 1, 1, 2, 4), 19),
        (2, 2, (1, 1, 1, 2), 9),
        (2, 1, (1, 1, 2), 8),
        (1, 1, (1, 1), 4),
        (3, 0, (1, 2, 4), 15),
        # The RTO has a maximum of two minutes.
        (9, 0, (1, 2, 4, 8, 16, 32, 64, 120, 120), 487),
    ],
)
def test_syns_are_repeated_linearly_then_exponentially(retries, linear, intervals, total):
    """The ladder and the time after which connect() fails come from one series."""
    knobs = {"syn_retries": retries} | ({} if linear is None else {"syn_linear_timeouts": linear})
    assert of("linux_syn_ladder", **knobs) == Intervals(intervals)
    timeout = of("linux_connect_timeout", **knobs)
    assert (timeout.low, timeout.high) == (total, total)
    assert sum(timeout.timers) == total
    assert of("linux_syn_count", **knobs).values == (len(intervals) + 1,)


def test_a_lower_maximum_of_the_rto_caps_the_series():
    """tcp_rto_max_ms bounds every time-out."""
    knobs = {"syn_retries": 4, "syn_linear_timeouts": 0, "rto_max": 4}
    assert of("linux_syn_ladder", **knobs) == Intervals((1, 2, 4, 4))


@pytest.mark.parametrize(
    ("retries", "intervals", "total"),
    [(5, (1, 2, 4, 8, 16), 63), (2, (1, 2), 7), (1, (1,), 3), (0, (), 1)],
)
def test_syn_acks_are_repeated_exponentially(retries, intervals, total):
    """The lifetime of an embryonic connection ends one time-out after its last SYN-ACK."""
    assert of("linux_synack_ladder", synack_retries=retries) == Intervals(intervals)
    lifetime = of("linux_embryonic_lifetime", synack_retries=retries)
    assert (lifetime.low, lifetime.high) == (total, total)


@pytest.mark.parametrize(
    ("retries", "count", "total"), [(0, 8, 102.2), (8, 8, 102.2), (3, 3, 3.0), (1, 1, 0.6)]
)
def test_an_orphan_lives_for_the_hypothetical_time_or_one_time_out_longer(retries, count, total):
    """0 stands for 8; the first time-out that exceeds the hypothetical one ends it."""
    ladder = of("linux_orphan_ladder", orphan_retries=retries)
    assert isinstance(ladder, AnyOf)
    assert [len(option.intervals) for option in ladder.options] == [count, count + 1]
    assert ladder.options[0].intervals[:1] == (0.2,)
    lifetime = of("linux_orphan_lifetime", orphan_retries=retries)
    assert lifetime.options[0].low == pytest.approx(total)
    assert lifetime.options[1].low == pytest.approx(total + 0.2 * 2 ** (count + 1))
    assert nominal(lifetime) == pytest.approx(total)


def test_data_is_given_up_after_the_time_that_the_kernel_names():
    """15 retries are 924.6 s, as the text of tcp_retries2 says."""
    assert nominal(of("linux_data_timeout", data_retries=15)) == pytest.approx(924.6)


def test_an_orphan_waits_in_fin_wait_2_for_the_time_that_is_set():
    """Beyond the length of TIME-WAIT it takes two timers."""
    assert of("linux_fin_wait_2", orphan_fin_wait_2_timeout=7) == Duration(7, 7, (7,))
    assert of("linux_fin_wait_2", orphan_fin_wait_2_timeout=90) == Duration(90, 90, (30, 60))
    assert of("fin_timeout_as_time_wait", orphan_fin_wait_2_timeout=7).text == "7 s"


def test_keepalive_probes_come_after_the_time_and_at_the_interval():
    """The last probe is given its interval too, before the connection is given up."""
    knobs = {"keepalive_time": 7200, "keepalive_interval": 75, "keepalive_probes": 9}
    assert of("linux_keepalive_time", **knobs).text == "7200 s"
    assert of("linux_keepalive_ladder", **knobs) == Intervals((75,) * 8)
    timeout = of("linux_keepalive_timeout", **knobs)
    assert timeout.text == "7875 s"
    assert timeout.timers == (7200, *(75,) * 9)


def test_ephemeral_ports_are_those_of_the_range():
    """Both ends belong to it."""
    ports = of("linux_ephemeral_ports", ephemeral_port_first=32768, ephemeral_port_last=60999)
    assert ports.text == "32768 to 60999"


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_needs_the_knobs_that_it_names_and_no_others(name):
    """With all that it needs it computes its kind; without any one of them it says which."""
    function = FUNCTIONS[name]
    needed = {knob: DEFAULTS[knob] for knob in function.needs}
    value = of(name, **needed)
    kinds = {Kind.LADDER: Intervals, Kind.DURATION: Duration}
    options = value.options if isinstance(value, AnyOf) else (value,)
    assert all(isinstance(option, kinds.get(function.kind, object)) for option in options)
    for knob in function.needs:
        rest = {key: number for key, number in needed.items() if key != knob}
        with pytest.raises(MissingKnobError, match=knob):
            of(name, **rest)
    assert set(depends_on(Computed(name, function.kind))) == {*function.needs, *function.may}


def test_when_an_outcome_comes_may_be_computed():
    """What is left to compute stands in `after`."""
    expected = Outcome(("ETIMEDOUT",), Computed("linux_connect_timeout", Kind.DURATION))
    assert resolve(expected, {"syn_retries": 6}).text == "ETIMEDOUT after 127 s"
    assert "syn_retries" in depends_on(expected)
