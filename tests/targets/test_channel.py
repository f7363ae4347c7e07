import contextlib
import json
import os
import random
import time

import pytest

from harness.errors import HarnessError
from harness.targets.channel import AgentChannel, StreamChannel, answered
from harness.wire.memory import VirtualClock
from harness.wire.real import RealClock


class FrozenClock:
    """A real clock that stands still until somebody waits."""

    virtual = False

    def __init__(self):
        self.time = 100.0

    def now(self):
        return self.time

    def wait(self, deadline):
        self.time = deadline


@pytest.fixture(name="clock")
def _clock():
    clock = RealClock()
    yield clock
    clock.close()


@pytest.fixture(name="stream")
def _stream(clock):
    """Return a channel, and where its agent reads and writes."""
    from_agent, agent_writes = os.pipe()
    agent_reads, to_agent = os.pipe()
    channel = StreamChannel(from_agent, to_agent, clock, name="guest")
    yield channel, agent_reads, agent_writes
    channel.close()
    for descriptor in (agent_reads, agent_writes):
        try:
            os.close(descriptor)
        except OSError:
            assert descriptor == agent_writes


def good(name, **more):
    return {"id": name, "value": None, "error": None, "began": 100.0, "at": 100.5, **more}


def test_a_reply_that_is_there_at_once_is_taken():
    """A call that does not block is over when request() returns."""
    channel = AgentChannel(lambda request: [good(request["id"], value=request)], FrozenClock())
    reply = channel.request("bind", socket=3, port=2017)
    assert reply.finished()
    assert reply.value == {"id": 1, "op": "bind", "socket": 3, "port": 2017}
    assert (reply.began, reply.ended, reply.error) == (100.0, 100.5, None)


def test_replies_come_in_any_order():
    """A reply belongs to the request whose id it has."""
    channel = AgentChannel(lambda _: [], FrozenClock())
    first, second = channel.request("connect"), channel.request("accept")
    channel.feed(good(2, value=5))
    assert (first.finished(), second.finished(), second.value) == (False, True, 5)
    channel.feed(good(1, error="ECONNREFUSED"))
    assert (first.finished(), first.error) == (True, "ECONNREFUSED")


def test_times_are_mapped_to_the_clock_of_the_link():
    """A guest's seconds become the link's; a reply without `began` began when it was asked."""
    channel = AgentChannel(lambda _: [], FrozenClock(), to_link=lambda stamp: stamp + 90)
    first, second = channel.request("connect"), channel.request("connect")
    channel.feed(good(1, began=10.25, at=11.0))
    channel.feed({"id": 2, "error": None, "at": 12.0})
    assert (first.began, first.ended) == (100.25, 101.0)
    assert (second.began, second.ended, second.value) == (100.0, 102.0, None)


LIES = {
    "no object": [good(1)],
    "a text": "ok",
    "nothing": None,
    "no id": {"error": None, "at": 100.0},
    "an unknown id": good(2),
    "a text as id": good("1"),
    "truth as id": good(True),
    "a list as id": good([1]),
    "an error that is no name": good(1, error="it failed"),
    "a number as error": good(1, error=111),
    "no time": {"id": 1, "value": None, "error": None},
    "a text as time": good(1, at="100"),
    "no number as time": good(1, at=float("nan")),
    "endless time": good(1, at=float("inf")),
    "immense time": good(1, at=10**400),
    "another clock": good(1, began=1e9, at=1e9),
    "the past": good(1, began=2.0, at=3.0),
    "an end before the beginning": good(1, began=104.0, at=98.0),
    "a misunderstanding": {"id": None, "error": "EBADMSG", "value": "not an object", "at": 100.0},
    "a huge reply": good(99, value="x" * 1_000_000),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_is_our_error_and_stays_one(lie):
    """What is no proper reply is a short HarnessError, at once and at every further use."""
    channel = AgentChannel(lambda _: [], FrozenClock(), name="guest")
    reply = channel.request("connect")
    with pytest.raises(HarnessError, match="the agent of guest") as error:
        channel.feed(lie)
    assert len(str(error.value)) < 300
    for use in (reply.finished, lambda: channel.request("hello"), lambda: channel.feed(good(1))):
        with pytest.raises(HarnessError, match="the agent of guest"):
            use()
    assert (reply.ended, reply.error, reply.value) == (None, None, None)


def test_a_second_reply_is_a_lie():
    """An id is answered once."""
    channel = AgentChannel(lambda request: [good(request["id"])] * 2, FrozenClock())
    with pytest.raises(HarnessError, match="answered what was not asked"):
        channel.request("hello")


def test_in_virtual_time_a_reply_may_be_ahead():
    """While a virtual clock is being advanced, a target's stamps run ahead of it."""
    channel = AgentChannel(lambda _: [], VirtualClock())
    reply = channel.request("connect")
    channel.feed(good(1, began=0.0, at=127.0))
    assert reply.ended == 127.0


def test_an_agent_that_was_kept_from_running_is_noise(clock):
    """It may have noticed late that a call was over; what is no time is refused."""
    channel = AgentChannel(lambda _: [], clock)
    for _ in range(2):
        channel.request("connect")
    now = clock.now()
    channel.feed(good(1, began=now, at=now, late=0.07))
    assert clock.noise.worst == 0.07
    with pytest.raises(HarnessError, match="sent no time as 'late'"):
        channel.feed(good(2, began=now, at=now, late=-1))


def test_a_call_that_is_made_late_is_noise(clock):
    """The agent knows nothing of what keeps it before it is told to run: the disk, the host."""
    channel = AgentChannel(lambda _: [], clock)
    for name, (took, noise) in enumerate(((0.01, 0.0), (0.3, 0.3)), start=1):
        reply = channel.request("connect")
        at = reply.began + took
        channel.feed(good(name, began=at, at=at))
        assert clock.noise.worst == pytest.approx(noise)


def test_truth_is_no_time():
    """JSON's true is not one second."""
    channel = AgentChannel(lambda _: [], VirtualClock())
    channel.request("connect")
    with pytest.raises(HarnessError, match="sent no time"):
        channel.feed(good(1, began=0.0, at=True))


def test_silence_is_our_error():
    """Nobody waits for an agent for longer than the patience."""
    clock = FrozenClock()
    channel = AgentChannel(lambda _: [], clock)
    with pytest.raises(HarnessError, match="the agent of guest does not answer"):
        answered(channel.request("hello"), clock, name="guest")
    assert clock.time == 110.0


def test_a_stream_is_read_while_the_clock_waits(stream, clock):
    """Replies are found in any pieces, and the request went out as one line."""
    channel, agent_reads, agent_writes = stream
    reply = channel.request("connect", socket=3)
    assert json.loads(os.read(agent_reads, 1000)) == {"socket": 3, "id": 1, "op": "connect"}
    line = json.dumps(good(1, began=clock.now(), at=clock.now(), value=7)).encode() + b"\n"
    for piece in (line[:9], line[9:-1], line[-1:]):
        assert not reply.finished()
        os.write(agent_writes, piece)
        clock.wait(clock.now() + 0.01)
    assert (reply.finished(), reply.value) == (True, 7)


@pytest.mark.parametrize("line", [b"Killed\n", b"{\n", b"\xff\xfe\n", b"[[" * 9000 + b"\n", b"5\n"])
def test_noise_on_a_stream_is_our_error(stream, clock, line):
    """Whatever else an agent prints breaks the channel, and is quoted."""
    channel, _, agent_writes = stream
    reply = channel.request("connect")
    os.write(agent_writes, line)
    with pytest.raises(HarnessError, match="the agent of guest") as error:
        clock.wait(clock.now() + 1)
    assert len(str(error.value)) < 300
    with pytest.raises(HarnessError):
        reply.finished()


def test_a_line_without_an_end_is_our_error(stream, clock, monkeypatch):
    """An agent cannot fill the harness's memory."""
    monkeypatch.setattr("harness.targets.channel._LINE_LIMIT", 1000)
    channel, _, agent_writes = stream
    channel.request("connect")
    os.write(agent_writes, b"x" * 1001)
    with pytest.raises(HarnessError, match="a line without an end: xxx"):
        clock.wait(clock.now() + 1)


def test_the_end_of_an_agent_is_our_error(stream, clock):
    """A stream that ends is noticed at once, even while a call is under way."""
    channel, agent_reads, agent_writes = stream
    reply = channel.request("connect")
    os.write(agent_writes, b"Segmentation fault")
    os.close(agent_writes)
    with pytest.raises(HarnessError, match="the agent of guest has ended: Segmentation"):
        clock.wait(clock.now() + 1)
    with pytest.raises(HarnessError, match="has ended"):
        reply.finished()
    os.read(agent_reads, 1000)


def test_an_agent_that_does_not_read_is_our_error(stream, monkeypatch):
    """A full pipe holds the harness up for no longer than the patience."""
    monkeypatch.setattr("harness.targets.channel.PATIENCE", 0.05)
    channel, _, _ = stream
    with pytest.raises(HarnessError, match="does not read"):
        channel.request("send", data="x" * (1 << 20))


def test_an_agent_with_a_clock_of_its_own_is_synchronised(stream, clock):
    """The offset between the clocks is known to half a round trip."""
    channel, agent_reads, agent_writes = stream

    def answer():
        request = json.loads(os.read(agent_reads, 1000))
        now = time.monotonic() - 1000
        said = good(request["id"], began=now, at=now)
        os.write(agent_writes, json.dumps(said).encode() + b"\n")

    end = clock.every(0.001, lambda _: answer())
    bound = channel.synchronise(samples=3)
    end()
    assert 0 < bound < 0.5
    reply = channel.request("hello")
    answer()
    answered(reply, clock, name="guest")
    assert abs(reply.ended - clock.now()) <= bound + 0.1


def test_no_stream_of_octets_hangs_or_surprises(clock):
    """Seeded noise ends in HarnessError or in nothing, and never in another exception."""
    source = random.Random(2017)
    replies = [json.dumps(good(1, value=each)).encode() for each in (1, None, "x", [1], {"a": 2})]
    for _ in range(300):
        from_agent, agent_writes = os.pipe()
        agent_reads, to_agent = os.pipe()
        channel = StreamChannel(from_agent, to_agent, clock)
        channel.request("connect")
        octets = bytearray(source.choice(replies) + b"\n")
        for _ in range(source.randrange(4)):
            octets[source.randrange(len(octets))] = source.randrange(256)
        os.write(agent_writes, octets)
        with contextlib.suppress(HarnessError):
            clock.wait(clock.now() + 0.005)
        channel.close()
        for descriptor in (agent_writes, agent_reads):
            os.close(descriptor)
