import math

import pytest

from harness.errors import HarnessError
from harness.wire.link import Frame
from harness.wire.memory import VirtualClock, memory_pair
from tests.wire.hosts import drained, pair


def test_time_passes_only_by_waiting():
    """A virtual clock goes to the deadline when nothing happens before."""
    clock = VirtualClock(5.0)
    assert (clock.virtual, clock.now()) == (True, 5.0)
    clock.wait(7.5)
    assert clock.now() == 7.5
    clock.wait(3.0)
    assert clock.now() == 7.5


def test_waiting_ends_at_the_first_event():
    """wait returns at each instant at which something happens, and at the deadline at last."""
    clock = VirtualClock()
    happened = []
    for time in (2.0, 1.0, 3.0):
        clock.at(time, lambda time=time: happened.append((time, clock.now())))
    instants = []
    while clock.now() < 2.5:
        clock.wait(2.5)
        instants.append(clock.now())
    assert instants == [1.0, 2.0, 2.5]
    assert happened == [(1.0, 1.0), (2.0, 2.0)]


def test_events_of_one_instant_happen_in_the_order_they_were_made():
    """Events at one time happen together, first made first."""
    clock = VirtualClock()
    happened = []
    for name in "abc":
        clock.at(1.0, lambda name=name: happened.append(name))
    clock.wait(1.0)
    assert happened == ["a", "b", "c"]


def test_an_event_may_make_events_without_holding_the_clock():
    """What an event makes for its own instant happens in the next wait."""
    clock = VirtualClock()
    count = []

    def again():
        count.append(clock.now())
        clock.at(clock.now(), again)

    clock.at(0.5, again)
    clock.wait(1.0)
    clock.wait(1.0)
    assert count == [0.5, 0.5]


def test_an_event_due_in_the_past_happens_now():
    """Time never goes back."""
    clock = VirtualClock(9.0)
    happened = []
    clock.at(1.0, lambda: happened.append(clock.now()))
    clock.wait(20.0)
    assert (happened, clock.now()) == ([9.0], 9.0)


def test_a_cancelled_event_neither_happens_nor_ends_a_wait():
    """Cancelling an event is as if it had never been made."""
    clock = VirtualClock()
    happened = []
    first = clock.at(1.0, lambda: happened.append("first"))
    second = clock.at(2.0, lambda: happened.append("second"))
    clock.at(2.0, second.cancel).cancel()
    clock.at(3.0, lambda: happened.append("third"))
    first.cancel()
    second.cancel()
    clock.wait(9.0)
    assert (happened, clock.now()) == (["third"], 3.0)


def test_an_event_may_cancel_another_of_its_instant():
    """What is cancelled while an instant happens does not happen."""
    clock = VirtualClock()
    happened = []
    events = []
    clock.at(1.0, lambda: [event.cancel() for event in events])
    events.append(clock.at(1.0, lambda: happened.append("late")))
    clock.wait(1.0)
    assert happened == []


def test_a_wait_that_nothing_would_end_is_our_fault():
    """A wait without deadline and events does not hang."""
    clock = VirtualClock()
    with pytest.raises(HarnessError, match="without deadline"):
        clock.wait(math.inf)
    clock.at(1.0, lambda: None)
    clock.wait(math.inf)
    assert clock.now() == 1.0


def test_a_frame_arrives_after_the_delay_and_is_captured_at_both_ends():
    """The sender sees its frame at once, the receiver when it arrives."""
    clock, near, far = pair(delay=0.25)
    near.send(b"there")
    assert drained(near) == [Frame(0.0, True, b"there")]
    assert far.poll() is None
    clock.wait(1.0)
    assert clock.now() == 0.25
    assert drained(far) == [Frame(0.25, False, b"there")]
    far.send(b"back")
    clock.wait(1.0)
    assert drained(near) == [Frame(0.5, False, b"back")]
    assert (near.lost, far.lost, near.clock) == (0, 0, clock)


def test_frames_are_captured_in_the_order_of_the_wire():
    """Both directions stand in one capture, by time."""
    clock, near, far = pair(delay=0.5)
    near.send(b"1")
    far.send(b"2")
    clock.wait(0.5)
    near.send(b"3")
    assert [frame.octets for frame in drained(near)] == [b"1", b"2", b"3"]
    assert [frame.octets for frame in drained(far)] == [b"2", b"1"]


def test_a_stack_at_an_end_is_told_of_each_arrival():
    """A listener answers within the clock's wait, without being polled by anyone."""
    clock, near, far = pair(delay=0.1)
    far.listen(lambda: [far.send(b"re " + it.octets) for it in drained(far) if not it.sent])
    near.send(b"x")
    clock.wait(1.0)
    clock.wait(1.0)
    assert drained(near)[-1] == Frame(0.2, False, b"re x")


def test_a_closed_end_is_silent_and_deaf():
    """Nothing is sent or captured after close; a second close does nothing."""
    clock = VirtualClock()
    near, far = memory_pair(clock)
    near.send(b"on its way")
    far.close()
    far.close()
    far.send(b"too late")
    clock.wait(1.0)
    assert drained(far) == []
    assert [frame.octets for frame in drained(near)] == [b"on its way"]
