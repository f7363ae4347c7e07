"""How late a timer wheel lets timers be, and what is foreseen of them."""

import math
import random

import pytest

from harness.targets.wheel import Wheel, granule

TICK = 0.004
ZERO = 300.0 - TICK * (1 << 27)


@pytest.mark.parametrize(
    ("ticks", "late"),
    [
        (1, 1),
        (62, 1),
        (63, 8),
        (503, 8),
        (504, 64),
        (4031, 64),
        (4032, 512),
        (32255, 512),
        (32256, 4096),
    ],
)
@pytest.mark.parametrize("tick", [0.001, 0.004, 0.01])
def test_a_timer_wheel_is_coarser_by_eight_at_each_level(ticks, late, tick):
    """Level n takes what is shorter than 63 * 8^n ticks; the granule is 8^n ticks."""
    middle = (ticks + 0.5) * tick if ticks not in {63, 504, 4032, 32256} else ticks * tick + 1e-9
    assert granule(middle, tick) == pytest.approx(late * tick)


class Timer:
    """A timer of a kernel whose count of ticks was 0 at `ZERO`, as its state table shows it."""

    def __init__(self, armed, length):
        # A tick has begun when a timer is set, and the count is of whole ones.
        count = math.floor((armed - ZERO) / TICK)
        due = count + round(length / TICK)
        bucket = round(granule(length, TICK) / TICK)
        self.due = ZERO + due * TICK
        self.end = ZERO + (due // bucket + 1) * bucket * TICK

    def row(self, at, name="retransmission"):
        ends = ("local_address", "local_port", "remote_address", "remote_port")
        left = max(0, round((self.due - at) / TICK)) * TICK
        return {**dict.fromkeys(ends, 1), "timer": name, "expires": round(left * 1000)}


def lengths(chance, count):
    return [math.exp(chance.uniform(math.log(0.02), math.log(7200))) for _ in range(count)]


def test_no_timer_ends_before_what_is_foreseen():
    """Whenever it is looked at, and however often."""
    chance = random.Random(1)
    for length in lengths(chance, 300):
        armed = chance.uniform(1, 1e4)
        timer, wheel = Timer(armed, length), Wheel(TICK, ZERO)
        looks = sorted(chance.uniform(armed, timer.end) for _ in range(20))
        for at in looks:
            assert wheel.quiet_until(at, [timer.row(at)]) <= timer.end


def test_few_looks_find_the_end_of_a_timer_that_was_seen_from_its_beginning():
    """Waiting until what is foreseen, then looking 20 ms later each time, is enough."""
    chance = random.Random(2)
    looks = 0
    for length in lengths(chance, 300):
        armed = at = chance.uniform(1, 1e4)
        timer, wheel = Timer(armed, length), Wheel(TICK, ZERO)
        while at < timer.end:
            at = max(at + 0.02, wheel.quiet_until(at, [timer.row(at)]) - 0.02)
            looks += 1
        assert at < timer.end + 0.02
    assert looks < 5 * 300


def test_a_timer_that_was_set_anew_is_foreseen_anew():
    """Whether it was seen when that happened or after it is overdue."""
    wheel = Wheel(TICK, ZERO)
    first = Timer(10.0, 26.112)
    for at in (10.1, first.end - 0.1):
        wheel.quiet_until(at, [first.row(at)])
    second = Timer(first.end, 0.2)
    assert wheel.quiet_until(first.end + 0.05, [second.row(first.end + 0.05)]) <= second.end
    late = second.end - TICK / 2
    assert wheel.quiet_until(late, [second.row(late)]) <= second.end
    third = Timer(second.end, 0.2)
    unseen = third.due + TICK / 2
    assert wheel.quiet_until(unseen, [third.row(unseen)]) <= third.end


def test_without_a_known_count_a_timer_may_end_when_it_is_due():
    """Then there is no telling where its bucket ends."""
    timer = Timer(10.0, 60.0)
    wheel = Wheel(TICK, None)
    assert wheel.quiet_until(20.0, [timer.row(20.0)]) == pytest.approx(timer.due, abs=TICK)
    assert wheel.quiet_until(timer.due + 0.1, [timer.row(timer.due + 0.1)]) <= timer.due + 0.1


def test_a_row_without_a_timer_says_nothing():
    """It stays as it is until something happens."""
    row = Timer(10.0, 60.0).row(20.0, name="none")
    assert Wheel(TICK, ZERO).quiet_until(20.0, [row]) == math.inf
