"""Flood: so many SYNs a second while the testcase waits, from nobody's addresses."""

import ipaddress

import pytest

from harness.peer.flood import PERIOD, Flood
from harness.peer.timeline import Timeline
from harness.wire.station import FORGED
from tests.peer.scene import DELAY, scene, timeline
from tests.wire.hosts import FAMILIES, TARGET

SYN = "S 0:0(0) <mss 1460>"


class HeldUp:
    """A clock of a machine that does not always get round to what is due."""

    def __init__(self):
        self.time = 0.0
        self.due = []

    def now(self):
        return self.time

    def every(self, period, callback):
        self.due.append((period, callback))
        return self.due.clear

    def on(self, seconds):
        """Let so much time go by, and only then do what is due, once."""
        self.time += seconds
        for _, callback in self.due:
            callback(self.time)


class Counted:
    """A volley of which the link takes all, or no more than so many at a time."""

    def __init__(self, most=None):
        self.most = most
        self.fired = []

    def fire(self, count):
        self.fired.append(count if self.most is None else min(count, self.most))
        return self.fired[-1]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_flood_flows_while_the_testcase_waits(family):
    """Its SYNs go to the port of the target, each from another source, until the block ends."""
    made = scene(family=family)
    with made.peer.flood(SYN, rate=1000.0) as flood:
        made.peer.wait(0.5)
    made.peer.wait(2 * DELAY)
    assert flood.sent == pytest.approx(500, abs=1000 * PERIOD)
    came = made.far.datagrams
    assert len(came) == flood.sent
    assert {(one.destination, one.segment.destination_port) for one in came} == {
        (TARGET[family], 2017)
    }
    assert all(ipaddress.ip_address(one.source) in FORGED[family] for one in came)
    assert len({(one.source, one.segment.source_port) for one in came}) == len(came)
    assert {one.segment.flags for one in came} == {came[0].segment.flags}
    assert {one.segment.options for one in came} == {came[0].segment.options}


def test_a_timeline_says_when_a_flood_was_on():
    """Its SYNs are not told one by one, but how many they were is."""
    made = scene()
    clock, told = HeldUp(), made.bench.timeline
    with Flood(clock, Counted(), 2000.0, told):
        clock.on(PERIOD)
    assert timeline(made) == [
        "< a flood begins, 2,000 SYNs a second",
        "< the flood ends after 10 SYNs",
    ]


def test_a_slow_flood_keeps_its_rate():
    """What a period has no whole SYN for is owed to the next."""
    clock, volley = HeldUp(), Counted()
    with Flood(clock, volley, 0.5 / PERIOD, Timeline()) as flood:
        for _ in range(8):
            clock.on(PERIOD)
    assert sum(volley.fired) == flood.sent == 4
    assert max(volley.fired) == 1


def test_a_flood_makes_up_for_little_when_the_machine_was_held_up():
    """It goes on at its rate, and does not send in one burst what should have gone long ago."""
    clock, volley = HeldUp(), Counted()
    with Flood(clock, volley, 10 / PERIOD, Timeline()):
        clock.on(3 * PERIOD)
        clock.on(1000 * PERIOD)
        clock.on(PERIOD)
    assert volley.fired[0] == pytest.approx(30, abs=1)
    assert volley.fired[1] < 1000
    assert volley.fired[2] == pytest.approx(10, abs=1)


def test_a_flood_counts_what_the_link_took():
    """A link may take less than it is given."""
    clock = HeldUp()
    with Flood(clock, Counted(most=3), 10 / PERIOD, Timeline()) as flood:
        clock.on(PERIOD)
        clock.on(PERIOD)
    assert flood.sent == 6


def test_nothing_is_sent_before_and_after():
    """A flood lasts as long as its block."""
    clock, volley = HeldUp(), Counted()
    flood = Flood(clock, volley, 10 / PERIOD, Timeline())
    clock.on(PERIOD)
    with flood:
        pass
    clock.on(PERIOD)
    assert volley.fired == []
