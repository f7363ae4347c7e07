"""The observer: it watches two stacks on one link, and takes no part."""

import dataclasses
from types import SimpleNamespace

import pytest

from harness.errors import Inconclusive
from harness.peer.observer import Observer, StateLog
from harness.peer.timeline import Timeline
from harness.segment import codec
from harness.segment.datagram import Datagram, IcmpMessage
from harness.segment.notation import parse_segment, write
from harness.segment.segment import Flags, Sack
from harness.segment.sequence import add
from harness.states import State
from harness.wire.memory import memory_pair
from tests.peer.scene import clock_without_foresight
from tests.wire.hosts import STATION, STATION_MAC, TARGET, TARGET_MAC

CLIENT = SimpleNamespace(address=STATION["ipv4"])
SERVER = SimpleNamespace(address=TARGET["ipv4"])
ISS = {"client": 0xFFFF_FFFF, "server": 0xFFFF_FFF0}
HANDSHAKE = (("client", "S 0:0(0)"), ("server", "S. 0:0(0) ack 1"), ("client", ". 1:1(0) ack 1"))
GONE, OPEN, WAITS = State.CLOSED, State.ESTABLISHED, State.TIME_WAIT


class Stage:
    """A link that two hosts talk on, by script, and the observer of it."""

    def __init__(self, *, limit=60.0):
        self.clock = clock_without_foresight()
        self.captured, self.far = memory_pair(self.clock, delay=0.0)
        self.timeline = Timeline()
        ends = {"client": CLIENT.address, "server": SERVER.address}
        self.wire = Observer(self.captured, self.timeline, **ends, limit=limit)
        self.iss = dict(ISS)

    def put(self, who, content, at):
        ends = (CLIENT.address, SERVER.address)
        datagram = Datagram(*(ends if who == "client" else ends[::-1]), content)
        octets = codec.encode_frame(STATION_MAC, TARGET_MAC, datagram)
        self.clock.at(at, lambda: self.far.send(octets))

    def says(self, who, text, *, at=0.0, port=50000):
        """Let one host send a segment, relative numbers, at an instant."""
        other = "server" if who == "client" else "client"
        segment = parse_segment(text)
        mine, its = self.iss[who], self.iss[other]
        ports = (port, 2017) if who == "client" else (2017, port)
        segment = dataclasses.replace(
            segment,
            source_port=ports[0],
            destination_port=ports[1],
            seq=add(segment.seq, mine),
            ack=add(segment.ack, its) if segment.flags & Flags.ACK else 0,
            options=tuple(
                Sack(tuple((add(a, its), add(b, its)) for a, b in option.blocks))
                if isinstance(option, Sack)
                else option
                for option in segment.options
            ),
        )
        self.put(who, segment, at)

    def handshake(self, *, at=0.0, port=50000):
        for place, (who, text) in enumerate(HANDSHAKE):
            self.says(who, text, at=at + place / 10, port=port)

    def lines(self):
        return [f"{event.direction} {event.text}" for event in self.timeline]


def test_both_sides_begin_at_zero():
    """Numbers are relative to the sender's SYN, acknowledgements and SACK blocks to the other's."""
    stage = Stage()
    stage.handshake()
    stage.says("client", "P. 1:11(10) ack 1", at=1.0)
    stage.says("server", ". 1:1(0) ack 1 <nop,nop,sack 5:7>", at=1.1)
    stage.wire.wait(2.0)
    assert stage.lines() == [
        "< S 0:0(0)",
        "> S. 0:0(0) ack 1",
        "< . 1:1(0) ack 1",
        "< P. 1:11(10) ack 1",
        "> . 1:1(0) ack 1 <nop,nop,sack 5:7>",
    ]
    assert [passed.by for passed in stage.wire.passed[:2]] == [CLIENT.address, SERVER.address]
    assert [passed.at for passed in stage.wire.passed[:3]] == pytest.approx([0.0, 0.1, 0.2])
    assert stage.wire.flags() == "S,S.,.,P.,."
    assert stage.wire.flags(since=3) == "P.,."
    assert stage.wire.now == 2.0


def test_connections_have_books_of_their_own():
    """Two connections on one link are told apart by their ports."""
    stage = Stage()
    stage.handshake()
    stage.wire.wait(1.0)
    stage.iss = {"client": 1000, "server": 2000}
    stage.handshake(at=2.0, port=50001)
    stage.wire.wait(2.0)
    assert stage.wire.flags() == "S,S.,.,S,S.,."
    assert [write(p.segment, brief=True) for p in stage.wire.passed[3:]] == [
        text for _, text in HANDSHAKE
    ]


def test_a_port_that_is_used_again_begins_anew():
    """Both sides of the second connection begin at 0, as those of the first did."""
    stage = Stage()
    stage.handshake()
    stage.wire.wait(1.0)
    stage.iss = {"client": 1000, "server": 2000}
    stage.handshake(at=2.0)
    stage.wire.wait(2.0)
    assert [write(p.segment, brief=True) for p in stage.wire.passed[3:]] == [
        text for _, text in HANDSHAKE
    ]


def test_syns_that_cross_keep_both_books():
    """The client's SYN may pass after the server's (RFC 9293 section 3.5)."""
    stage = Stage()
    stage.says("server", "S 0:0(0)", at=0.0)
    stage.says("client", "S 0:0(0)", at=0.1)
    stage.says("server", "S. 0:0(0) ack 1", at=0.2)
    stage.says("client", "S. 0:0(0) ack 1", at=0.3)
    stage.wire.wait(1.0)
    assert [line[2:] for line in stage.lines()] == ["S 0:0(0)"] * 2 + ["S. 0:0(0) ack 1"] * 2


def test_what_is_no_segment_is_left_aside():
    """ICMP, and frames that are nothing, are not among the segments."""
    stage = Stage()
    stage.put("server", IcmpMessage(3, 3), 0.0)
    stage.far.send(b"\0" * 5)
    stage.wire.wait(1.0)
    assert (stage.wire.passed, stage.lines()) == ((), [])


def test_segments_are_collected_until_something_is_so():
    """The ladder has those of one side that fit, from the beginning, by their stamps."""
    stage = Stage()
    for at in (1.0, 2.0, 4.0):
        stage.says("client", "S 0:0(0)", at=at)
        stage.says("server", "S 0:0(0)", at=at)
    ladder = stage.wire.collect("S 0:0(0)", by=CLIENT, until=lambda: stage.clock.now() >= 5.0)
    assert ladder.stamps == (1.0, 2.0, 4.0)
    assert stage.clock.now() == pytest.approx(5.0, abs=0.03)
    assert stage.wire.fitting("R", by=CLIENT).segments == ()


def test_segments_are_collected_for_a_time():
    """What passes later is not waited for."""
    stage = Stage()
    for at in (1.0, 3.0):
        stage.says("server", "R 1:1(0)", at=at)
    assert len(stage.wire.collect("R", by=SERVER, until=2.0).stamps) == 1
    assert stage.clock.now() == pytest.approx(2.0)


def test_patience_ends_collecting():
    """A condition that never holds is inconclusive, and says how long was waited."""
    stage = Stage(limit=7.0)
    with pytest.raises(Inconclusive, match="still going on after 7 s of patience"):
        stage.wire.collect("S", by=CLIENT, until=lambda: False)


def test_a_segment_of_one_side_is_expected():
    """One that passed before is found at once; the first that fits is returned; silence is told."""
    stage = Stage()
    stage.handshake()
    stage.says("client", "F. 1:1(0) ack 1", at=3.0)
    assert stage.wire.expect("S.", by=SERVER).at == pytest.approx(0.1)
    assert stage.wire.expect("F.", by=CLIENT, within=4.0).at == 3.0
    with pytest.raises(Inconclusive, match=r"^F\. did not pass within 2 s"):
        stage.wire.expect("F.", by=CLIENT, within=2.0, since=len(stage.wire.passed))
    with pytest.raises(Inconclusive, match=r"^F\. did not pass within 2 s"):
        stage.wire.expect("F.", by=SERVER, within=2.0)
    assert stage.clock.now() == pytest.approx(7.0)


def test_what_comes_after_an_instant():
    """The first segment of one side that is later, or none so far."""
    stage = Stage()
    stage.handshake()
    stage.wire.wait(1.0)
    assert write(stage.wire.after(0.0, by=CLIENT), brief=True) == ". 1:1(0) ack 1"
    assert stage.wire.after(0.1, by=SERVER) is None


def test_waiting_tells_whether_the_condition_came_to_hold():
    """Within a time, or the patience of the run."""
    stage = Stage(limit=3.0)
    assert stage.wire.wait_until(lambda: stage.clock.now() > 1.0)
    assert not stage.wire.wait_until(lambda: False, within=0.5)
    assert not stage.wire.wait_until(lambda: False)
    assert stage.clock.now() == pytest.approx(4.5, abs=0.03)


def looked(*states):
    """Return a log of looks, one each second, of 10 ms each."""
    clock = clock_without_foresight()
    left = list(states)

    def sight():
        clock.wait(clock.now() + 0.01)
        return left.pop(0)

    log = StateLog(sight, clock)
    for _ in states:
        log.look()
        clock.wait(clock.now() + 0.99)
    return log


def test_every_wait_looks_at_the_states():
    """A watched state is seen as soon as anything is waited for, and at once to begin with."""
    stage = Stage()
    now = [OPEN]
    log = stage.wire.watch(lambda: now[0])
    assert log.seen == [OPEN]
    stage.clock.at(1.0, lambda: now.__setitem__(0, WAITS))
    stage.clock.at(2.0, lambda: now.__setitem__(0, GONE))
    assert stage.wire.wait_until(lambda: log.in_state(GONE))
    assert log.seen == [OPEN, WAITS, GONE]
    low, high = log.lasted(WAITS)
    assert low <= 1.0 <= high
    assert log.lasted(WAITS, since=1.0) == pytest.approx((0.98, 1.0), abs=0.021)


@pytest.mark.parametrize(
    ("looks", "seen"),
    [
        ([OPEN, OPEN, WAITS], [OPEN, WAITS]),
        ([OPEN, GONE, OPEN, WAITS], [OPEN, WAITS]),
        ([OPEN, GONE, GONE], [OPEN, GONE]),
        ([OPEN, GONE], [OPEN]),
        ([GONE, OPEN], [OPEN]),
        ([GONE], [GONE]),
        ([GONE, GONE, OPEN, GONE, GONE, GONE], [GONE, OPEN, GONE]),
    ],
)
def test_one_look_that_misses_the_row_is_not_believed(looks, seen):
    """A state table may be read while it changes; two looks in a row do not both miss."""
    assert looked(*looks).seen == seen


@pytest.mark.parametrize(
    ("looks", "holds"),
    [([GONE], False), ([OPEN, GONE], False), ([OPEN, GONE, GONE], True), ([], False)],
)
def test_a_state_is_entered_when_two_looks_saw_it(looks, holds):
    """The last two looks count."""
    assert looked(*looks).in_state(GONE) is holds


def test_how_long_a_state_lasted_has_bounds():
    """From the first look to the last that saw it, and to the end of the one that did not."""
    log = looked(OPEN, WAITS, WAITS, GONE, GONE)
    assert log.lasted(WAITS) == pytest.approx((1.0, 2.01))
    assert log.lasted(WAITS, since=0.5) == pytest.approx((1.5, 2.51))
    assert log.lasted(OPEN) == pytest.approx((0.0, 1.01))


def test_a_state_that_still_lasts_is_bounded_by_now():
    """It may end at any moment."""
    log = looked(OPEN, WAITS)
    assert log.lasted(WAITS, since=0.0) == pytest.approx((1.0, 2.0))


def test_a_state_that_was_never_seen_lasted_for_no_time_that_can_be_told():
    """It may have come and gone between two looks."""
    with pytest.raises(Inconclusive, match="CLOSE-WAIT was never seen"):
        looked(OPEN, GONE, GONE).lasted(State.CLOSE_WAIT)
