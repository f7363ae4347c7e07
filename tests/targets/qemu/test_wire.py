"""Wire: how a machine's time passes, and what stops it."""

import base64

import pytest

from harness.errors import HarnessError
from harness.targets.qemu.wire import LOOK, REACTION, Wire
from harness.targets.wheel import Wheel

COST = 0.0002


class FakeMachine:
    """A guest whose stack sends a frame at each of these instants, and answers what is asked."""

    def __init__(self, *instants, values=None):
        self.now = 100.0
        self.instants = list(instants)
        self.values = values or {}
        self.wishes = []

    def exchange(self, wish, *, lasting=0.0):
        self.wishes.append((wish, lasting))
        captured = [[self.now, True, frame] for frame in wish["frames"]]
        replies = []
        for host, request in wish["requests"]:
            value = request.get("value", self.values.get(request["op"]))
            reply = {"id": request["id"], "value": value, "error": None}
            replies.append([host, reply | {"began": self.now, "at": self.now + COST}])
            self.now += COST
        until = wish["until"] or self.now
        if self.instants and self.instants[0] <= until and not replies:
            stamp = self.instants.pop(0)
            captured.append([stamp, False, base64.b64encode(b"frame").decode()])
            self.now = stamp + COST
        else:
            self.now = max(self.now, until)
        return {"now": self.now, "captured": captured, "replies": replies, "lost": 0, "error": None}


def row(timer, expires):
    ends = ("local_address", "local_port", "remote_address", "remote_port")
    return {**dict.fromkeys(ends, 1), "timer": timer, "expires": expires}


def wire(machine, **sysctls):
    return Wire(machine, machine.now, sysctls=[sysctls], wheels=[Wheel(0.004, None)], name="test")


def test_a_wait_is_one_step_however_long():
    """Two hours of silence are asked for at once, with the wall time that they may cost."""
    machine = FakeMachine()
    line = wire(machine)
    line.clock.wait(7300.0)
    assert line.clock.now() == 7300.0
    assert [lasting for _, lasting in machine.wishes] == [7200.0]


@pytest.mark.parametrize("instant", [100.0001, 101.0, 7299.9])
def test_a_wait_ends_at_the_frame_that_came(instant):
    """Far from any documented instant as well as near one the peer reacts within the bound."""
    line = wire(FakeMachine(instant, instant + 0.001))
    line.clock.wait(7300.0)
    frame = line.link.poll()
    assert (frame.stamp, frame.sent, frame.octets) == (instant, False, b"frame")
    assert line.clock.now() - frame.stamp < REACTION
    assert line.link.poll() is None


def test_what_is_sent_arrives_before_time_passes():
    """It is on the wire when the next step begins, and waiting for nothing lets it through."""
    machine = FakeMachine()
    line = wire(machine)
    line.link.send(b"one")
    line.clock.wait(line.clock.now())
    assert line.clock.now() == 100.0
    assert (line.link.poll().octets, line.link.poll()) == (b"one", None)
    line.clock.wait(line.clock.now())
    assert len(machine.wishes) == 1


def test_a_wait_without_a_deadline_is_an_error():
    """Nothing would have to end it."""
    with pytest.raises(HarnessError, match="without deadline"):
        wire(FakeMachine()).clock.wait(float("inf"))


def test_what_only_an_event_changes_need_not_be_looked_at():
    """Between two waits nothing was asked: there is no reason to look before an event."""
    line = wire(FakeMachine())
    assert line.clock.quiet_until() == float("inf")
    line.channels[0].request("hello")
    assert line.clock.quiet_until() == float("inf")


def test_a_table_says_when_its_first_timer_ends():
    """Nothing can leave its state before that; afterwards one has to look."""
    rows = [row("time-wait", 30_000), row("none", 0)]
    line = wire(FakeMachine(values={"table": rows}))
    line.channels[0].request("table")
    assert line.clock.quiet_until() == 130.0
    line.clock.wait(130.0)
    assert line.clock.quiet_until() == float("inf")


def test_what_may_change_at_any_time_is_looked_at_as_often_as_asked():
    """A counter has no timer that could be seen."""
    line = wire(FakeMachine(values={"table": [], "counters": {}}))
    line.channels[0].request("table")
    line.channels[0].request("counters")
    assert line.clock.quiet_until() <= line.clock.now()


def test_a_table_without_timers_is_looked_at_again_all_the_same():
    """One look that misses a row is not believed: there must be a second."""
    for table in ([], [row("keepalive", 7_200_000)]):
        line = wire(FakeMachine(values={"table": table}))
        line.channels[0].request("table")
        assert line.clock.quiet_until() == 100.0 + LOOK


def test_a_sysctl_that_is_known_is_not_asked_again():
    """What the agent wrote is known, too, and what the kernel lacks."""
    machine = FakeMachine()
    line = wire(machine, **{"net.a": "1", "net.absent": None})
    names = ["net.a", "net.absent"]
    known = {"net.a": "1", "net.absent": None}
    assert line.channels[0].request("sysctls", names=names).value == known
    assert not machine.wishes
    line.channels[0].request("sysctl", name="net.a", value="2")
    assert line.channels[0].request("sysctls", names=names[:1]).value == {"net.a": "2"}
    assert len(machine.wishes) == 1
    line.channels[0].request("sysctls", names=["net.b"])
    assert len(machine.wishes) == 2


def test_at_one_instant_nobody_looks_twice():
    """Whatever is done, sent or waited for makes the next look a new one."""
    machine = FakeMachine(values={"table": []})
    line = wire(machine)
    channel = line.channels[0]
    acts = (
        lambda: None,
        lambda: channel.request("shutdown", socket=1),
        lambda: line.link.send(b"frame"),
        lambda: line.clock.wait(line.clock.now() + 1.0),
    )
    looks = []
    for act in acts:
        act()
        before = len(machine.wishes)
        assert [channel.request("table").value for _ in range(3)] == [[], [], []]
        looks.append(len(machine.wishes) - before)
    assert looks == [1, 1, 1, 1]


def test_what_is_gathered_is_one_exchange():
    """The replies are there afterwards."""
    machine = FakeMachine()
    line = wire(machine)
    with line.gathered():
        replies = [
            line.channels[0].request("sysctl", name=n, value="3") for n in ("net.a", "net.b")
        ]
        assert not any(reply.finished() for reply in replies)
    assert [reply.value for reply in replies] == ["3", "3"]
    assert len(machine.wishes) == 1
    assert line.channels[0].request("sysctls", names=["net.b"]).value == {"net.b": "3"}


def test_between_two_stacks_the_harness_sends_nothing():
    """Who watches takes no part."""
    machine = FakeMachine()
    line = Wire(machine, machine.now, sysctls=[{}, {}], wheels=[], name="test")
    line.link.send(b"frame")
    line.clock.wait(101.0)
    assert machine.wishes[0][0]["frames"] == []


def test_heartbeats_beat_while_the_clock_waits():
    """Each at its time, until it is ended."""
    line = wire(FakeMachine())
    seen = []
    end = line.clock.every(10.0, seen.append)
    while line.clock.now() < 125.0:
        line.clock.wait(125.0)
    end()
    line.clock.wait(200.0)
    assert seen == [110.0, 120.0]


def test_an_answer_that_is_none_is_our_fault():
    """It never becomes a verdict."""
    machine = FakeMachine()
    line = wire(machine)
    machine.exchange = lambda *_, **__: {"now": 1.0}
    with pytest.raises(HarnessError, match="what is no answer"):
        line.clock.wait(101.0)
