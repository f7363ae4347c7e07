"""The bench: where waiting happens, on clocks that know the future and on those that do not."""

import dataclasses

import pytest

from harness.peer.bench import Bench
from harness.peer.timeline import Timeline
from harness.segment import codec
from harness.segment.datagram import Datagram, IcmpMessage, OtherPayload
from harness.states import State
from harness.wire.memory import VirtualClock
from harness.wire.real import RealClock
from harness.wire.station import Arrival
from tests.peer.scene import established, scene, timeline
from tests.wire.hosts import FAMILIES, STATION, TARGET


def foreseeing(**rest):
    """Set the stage on a clock that knows when something will happen."""
    made = established(**rest)
    del made.clock.quiet_until
    assert isinstance(made.clock, VirtualClock)
    return made


def test_waiting_ends_with_the_condition_or_the_deadline():
    """It is told which; a condition that holds already takes no time."""
    made = scene()
    assert made.bench.wait(lambda: True, 5.0)
    assert made.clock.now() == 0.0
    assert not made.bench.wait(lambda: False, 5.0)
    assert made.clock.now() == 5.0
    assert not made.bench.wait(lambda: False, 5.0)


@pytest.mark.parametrize("poll", [None, 0.02])
def test_a_frame_ends_a_wait_for_it(poll):
    """What has arrived is handed to its peer before the condition is looked at."""
    made = established()
    made.far.say("R 1:1(0)", after=1.0)
    start = made.clock.now()
    assert made.bench.wait(lambda: made.peer.passed_segments() > 3, start + 9.0, poll=poll)
    assert made.clock.now() == pytest.approx(start + 1.01)


def test_a_clock_that_foresees_spares_the_looks():
    """Where nothing can happen nobody looks; around what happens the looks are as dense."""
    state = [State.TIME_WAIT]
    looks = []

    def table(*_):
        looks.append(made.clock.now())
        return state[0]

    made = foreseeing(state_of=table)
    start = made.clock.now()
    made.clock.at(start + 60.0, lambda: state.__setitem__(0, State.CLOSED))
    assert made.peer.target_leaves(State.TIME_WAIT, since=start) == pytest.approx((59.98, 60.0))
    assert len(looks) < 8


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fence_without_an_answer_takes_a_second(family):
    """It is told whether the target has answered."""
    made = scene(family)
    assert made.bench.fence() is not None
    made.far.echo = False
    before = made.clock.now()
    assert made.bench.fence() is None
    assert made.clock.now() == pytest.approx(before + 1.0)


def test_a_fence_stands_behind_what_waited_for_a_mac():
    """Who asked for a MAC meanwhile has something to say that the first answer overtook."""
    made = scene()
    reply = made.far.reply
    heard = []

    def asks_first(message):
        heard.append(message.rest)
        made.bench.station.answered += len(heard) == 1
        reply(message)

    made.far.reply = asks_first
    assert made.bench.fence() is not None
    assert len(heard) == 2
    assert made.bench.fence() is not None
    assert len(heard) == 3


def test_what_is_neither_tcp_nor_icmp_is_not_seen():
    """Other datagrams, and echo requests of the harness, leave no trace in the timeline."""
    made = scene()
    made.far.put(OtherPayload(17, b"anything"))
    made.bench.fence()
    assert timeline(made) == []
    assert not made.bench.pump()


def test_datagrams_are_taken_for_what_they_carry():
    """One that is handed over by mistake is left aside, not misread."""
    made = established()
    (datagram,) = made.peer.datagrams
    other = dataclasses.replace(datagram, content=OtherPayload(17, b""))
    before = timeline(made)
    made.bench._icmp(1.0, False, datagram)
    made.bench._route(1.0, False, other)
    made.bench._icmp(1.0, True, dataclasses.replace(datagram, content=codec.IcmpMessage(3, 3)))
    assert (timeline(made), list(made.bench.icmp)) == (before, [])


class Slow:
    """A station in real time whose target answers an echo so many seconds later."""

    answered = 0

    def __init__(self, delays):
        self.clock = RealClock()
        self._delays = iter(delays)
        self._arrivals = []

    def send(self, datagram):
        asked = datagram.icmp
        reply = IcmpMessage(0, 0, rest=asked.rest, quoted=asked.quoted)
        stamp = self.clock.now() + next(self._delays)
        self._arrivals.append(Arrival(stamp, False, Datagram("b", "a", reply)))

    def poll(self):
        return self._arrivals.pop() if self._arrivals else None


def test_an_echo_that_took_long_tells_that_frames_are_late():
    """The kernel may be late with a frame while nobody is kept from running."""
    station = Slow([0.005, 0.015, 0.305])
    addresses = (STATION["ipv4"], TARGET["ipv4"])
    bench = Bench(station, Timeline(), addresses, observed=None)
    bench.fence()
    bench.fence()
    assert station.clock.noise.worst == 0.0
    bench.fence()
    assert station.clock.noise.worst == pytest.approx(0.3, abs=0.01)
    station.clock.close()
