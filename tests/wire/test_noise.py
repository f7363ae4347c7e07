"""Noise meter: the worst that was seen since the measurement began."""

import pytest

from harness.wire.noise import NoiseMeter


def test_the_worst_heartbeat_is_kept():
    """One late heartbeat among many good ones is what counts."""
    noise = NoiseMeter()
    for at, late in ((1.0, 0.001), (2.0, 0.020), (3.0, 0.002)):
        noise.heartbeat(at, late)

    assert noise.worst == 0.020
    assert list(noise.samples()) == [(1.0, 0.001), (2.0, 0.020), (3.0, 0.002)]


def test_what_comes_early_is_not_noise():
    """A stamp just before the intended time is the two clocks' rounding."""
    noise = NoiseMeter()
    noise.heartbeat(1.0, -0.5)

    assert noise.worst == 0.0


def test_deliveries_are_measured_apart():
    """A frame that waited to be read says nothing about timers."""
    noise = NoiseMeter()
    noise.delivery(0.3)
    noise.delivery(0.1)

    assert (noise.worst, noise.worst_delivery) == (0.0, 0.3)


def test_short_delays_add_up_within_the_shortest_time_out():
    """Many of them let a time-out go off like a long one; those of long ago do not count."""
    noise = NoiseMeter()
    for at, delay in ((1.0, 0.05), (1.1, 0.04), (1.15, 0.0), (1.25, 0.03), (9.0, 0.06)):
        noise.held_up(at, delay)

    assert noise.worst == 0.06
    assert noise.worst_sum == pytest.approx(0.09)


def test_what_was_late_at_another_time_says_nothing_of_an_instant():
    """A stall counts for what fell into it, and for what came just before or after."""
    noise = NoiseMeter()
    noise.heartbeat(1.0, 0.3)
    noise.held_up(5.0, 0.2)

    assert noise.worst_around([0.5, 3.0, 7.0]) == 0.0
    assert noise.worst_around([0.95]) == noise.worst_around([1.35]) == 0.3
    assert noise.worst_around([4.9, 9.0]) == 0.2


def test_a_reset_begins_anew():
    """Each testcase answers for its own noise only."""
    noise = NoiseMeter()
    noise.heartbeat(1.0, 0.5)
    noise.delivery(0.5)
    noise.held_up(1.0, 0.5)
    noise.reset()

    assert (noise.worst, noise.worst_delivery, list(noise.samples())) == (0.0, 0.0, [])
    assert noise.worst_sum == 0.0
    assert noise.worst_around([1.0]) == 0.0
