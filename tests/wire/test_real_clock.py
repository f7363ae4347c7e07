"""Real clock: waiting for time and for descriptors."""

import os
import time

import pytest

from harness.errors import Unsupported
from harness.wire import real
from harness.wire.clock import BOUND, check_patience, looked, next_look
from harness.wire.memory import VirtualClock
from harness.wire.real import RealClock


@pytest.fixture
def clock():
    clock = RealClock()
    yield clock
    clock.close()


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_waiting_ends_at_the_deadline(clock):
    """A wait for nothing takes as long as it was told, and not much longer."""
    began = clock.now()
    clock.wait(began + 0.02)

    assert 0.02 <= clock.now() - began < 0.5


def test_a_deadline_that_is_over_is_no_wait(clock):
    """Looking whether something happened costs no time."""
    began = time.monotonic()
    clock.wait(began - 1.0)

    assert time.monotonic() - began < 0.02


def test_a_descriptor_that_is_readable_ends_the_wait(clock, pipe):
    """What happens is served while the clock waits, and at once."""
    taken = []
    clock.watch(pipe[0], lambda: taken.append(os.read(pipe[0], 9)))
    os.write(pipe[1], b"x")
    began = clock.now()
    clock.wait(began + 5.0)

    assert taken == [b"x"]
    assert clock.now() - began < 1.0


def test_a_descriptor_is_served_after_the_deadline_too(clock, pipe):
    """A caller that never has time to wait still learns what happened."""
    taken = []
    clock.watch(pipe[0], lambda: taken.append(os.read(pipe[0], 9)))
    os.write(pipe[1], b"x")
    clock.wait(clock.now() - 1.0)

    assert taken == [b"x"]


def test_a_callback_may_say_that_nothing_happened(clock, pipe):
    """A heartbeat that comes back wakes nobody."""

    def take() -> bool:
        os.read(pipe[0], 9)
        return False

    clock.watch(pipe[0], take)
    os.write(pipe[1], b"x")
    began = clock.now()
    clock.wait(began + 0.03)

    assert clock.now() - began >= 0.03


def test_an_unwatched_descriptor_is_left_alone(clock, pipe):
    """What is readable but nobody's wakes nobody; a second unwatch is no error."""
    clock.watch(pipe[0], lambda: pytest.fail("it was called"))
    os.write(pipe[1], b"x")
    clock.unwatch(pipe[0])
    clock.unwatch(pipe[0])
    clock.wait(clock.now() + 0.01)


def test_a_callback_may_unwatch_another(clock, pipe):
    """Two descriptors become readable together, and the first callback closes the second."""
    other = os.pipe()
    served = []

    def serve(own: int, rival: int) -> None:
        served.append(own)
        os.read(own, 9)
        clock.unwatch(rival)

    clock.watch(pipe[0], lambda: serve(pipe[0], other[0]))
    clock.watch(other[0], lambda: serve(other[0], pipe[0]))
    os.write(pipe[1], b"x")
    os.write(other[1], b"x")
    clock.wait(clock.now() + 1.0)
    for end in other:
        os.close(end)

    assert len(served) == 1


def test_heartbeats_come_while_the_clock_waits(clock):
    """Each is told the time it was meant for, and the meter how late it came."""
    intended = []
    end = clock.every(0.01, intended.append)
    began = clock.now()
    while len(intended) < 3 and clock.now() < began + 10.0:
        clock.wait(clock.now() + 0.02)
    end()
    end()
    beats = len(intended)
    clock.wait(clock.now() + 0.03)

    assert len(intended) == beats >= 3
    assert intended == sorted(intended)
    assert began + 0.009 < intended[0] <= intended[-1] < clock.now()
    assert len(list(clock.noise.samples())) >= beats


def test_a_heartbeat_that_fell_due_while_nobody_waited_is_not_late(clock, monkeypatch):
    """The harness was busy; the machine was not slow."""
    clock.every(0.01, lambda _: None)
    busy_until = time.monotonic() + 0.2
    while time.monotonic() < busy_until:
        pass
    monkeypatch.setattr(real, "held_up", lambda: 0.0)
    clock.forget_noise()
    clock.wait(clock.now() + 0.005)

    assert clock.noise.worst < 0.15


def test_time_in_which_the_harness_could_not_run_is_noise(clock):
    """Between two waits, what counts is how long the thread did not run, whatever kept it."""
    clock.wait(clock.now())
    time.sleep(0.05)
    clock.wait(clock.now())

    assert clock.noise.worst >= 0.05
    assert clock.noise.worst_sum >= clock.noise.worst


def test_time_in_which_the_harness_computes_is_no_noise(monkeypatch):
    """Nobody keeps a thread from running that runs."""
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "thread_time", lambda: 7.0)
    before = real.stood_still()
    monkeypatch.setattr(time, "monotonic", lambda: 103.0)
    monkeypatch.setattr(time, "thread_time", lambda: 9.0)

    assert real.stood_still() - before == 1.0


def test_a_wait_that_ends_late_is_noise(clock, pipe, monkeypatch):
    """What happened while nobody could look counts, and not how long nothing happened."""
    ready = iter([1.0, 1.25])
    monkeypatch.setattr(real, "held_up", lambda: next(ready))
    clock.watch(pipe[0], lambda: os.read(pipe[0], 9))
    os.write(pipe[1], b"x")
    clock.wait(clock.now() + 1.0)

    assert clock.noise.worst == pytest.approx(0.25)


def test_what_was_late_before_is_forgotten(clock):
    """While a world is made nothing is observed that could come late."""
    clock.wait(clock.now())
    time.sleep(0.05)
    clock.forget_noise()
    clock.wait(clock.now())

    assert clock.noise.worst < 0.05


def test_the_kernel_counts_how_long_this_thread_was_held_up():
    """The count never falls."""
    first = real.held_up()
    assert 0.0 <= first <= real.held_up()


def test_a_slow_callback_makes_the_next_heartbeat_late(clock, pipe):
    """Whatever holds the waiting thread up is noise."""

    def hold_up() -> bool:
        os.read(pipe[0], 9)
        busy_until = time.monotonic() + 0.1
        while time.monotonic() < busy_until:
            pass
        return False

    clock.every(0.03, lambda _: None)
    clock.watch(pipe[0], hold_up)
    os.write(pipe[1], b"x")
    end = clock.now() + 10.0
    while clock.noise.worst < 0.06 and clock.now() < end:
        clock.wait(clock.now() + 0.12)

    assert clock.noise.worst > 0.06


def test_a_wait_that_an_event_ends_has_its_heartbeats_all_the_same(clock, pipe):
    """A machine that stood still and had something to tell when it went on stood still."""

    def stand_still() -> None:
        os.read(pipe[0], 9)
        time.sleep(0.1)

    clock.every(0.03, lambda _: None)
    clock.watch(pipe[0], stand_still)
    os.write(pipe[1], b"x")
    clock.wait(clock.now() + 1.0)

    assert clock.noise.worst > 0.06


def test_the_next_look_is_spared_only_where_all_is_said_to_stay_and_nothing_happened(clock, pipe):
    """The soonest of what was looked at counts, and an event makes the looks dense again."""
    assert next_look(clock, 0.02) == pytest.approx(clock.now() + 0.02, abs=0.01)
    until = clock.now() + 30.0
    looked(clock, until + 9.0)
    looked(clock, until)
    assert next_look(clock, 0.02) == until - 0.02
    clock.wait(clock.now())
    assert next_look(clock, 0.02) == until - 0.02
    clock.wait(clock.now() + 0.001)
    assert next_look(clock, 0.02) < until - 1.0

    clock.watch(pipe[0], lambda: os.read(pipe[0], 9))
    os.write(pipe[1], b"x")
    clock.wait(clock.now() + 5.0)
    looked(clock, until)
    assert next_look(clock, 0.02) < until - 1.0
    clock.wait(clock.now() + real.SETTLED * 1.1)
    looked(clock, until)
    assert next_look(clock, 0.02) == until - 0.02


def test_a_wait_beyond_the_patience_is_unsupported_where_it_costs_time(clock):
    """At once, and not when the patience is over."""
    check_patience(clock, clock.now() + 300.0, 300.0)
    check_patience(clock, clock.now() + BOUND, 1.0)
    with pytest.raises(Unsupported, match="10800 s may have to be waited for, beyond --patience"):
        check_patience(clock, clock.now() + 10_800.0, 300.0)
    virtual = VirtualClock()
    check_patience(virtual, virtual.now() + 10_800.0, 300.0)
