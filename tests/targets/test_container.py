"""Container: its stream, and what is believed of it."""

import json
import os
import socket
import struct
from types import SimpleNamespace

import pytest

from harness.errors import HarnessError, Inconclusive
from harness.targets.channel import StreamChannel, answered
from harness.targets.container import ContainerChannel, Demultiplexer
from harness.wire.real import RealClock


def frame(kind, octets):
    return struct.pack(">BxxxI", kind, len(octets)) + octets


@pytest.fixture(name="clock")
def _clock():
    clock = RealClock()
    yield clock
    clock.close()


@pytest.fixture(name="link")
def _link(clock):
    """Return a channel to a container that is played by the test, and its far end."""
    ours, theirs = socket.socketpair()
    container = SimpleNamespace(marked="", counters=lambda: {"TcpActiveOpens": 0})
    stream = StreamChannel(
        os.dup(ours.fileno()),
        os.dup(ours.fileno()),
        clock,
        name="docker",
        unframe=Demultiplexer(),
        lost=lambda why: Inconclusive(f"{why}: the engine has ended"),
    )
    channel = ContainerChannel(container, stream, clock)
    ours.close()
    yield channel, theirs, container
    channel.close()
    theirs.close()


def test_frames_are_put_together_wherever_they_were_cut():
    """Output comes whole, however the stream is cut, and error output is kept apart."""
    whole = frame(1, b'{"id": 1') + frame(2, b"Traceback\n") + frame(1, b"}\n") + frame(1, b"")
    for size in range(1, len(whole)):
        demultiplexer = Demultiplexer()
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        assert b"".join(map(demultiplexer, pieces)) == b'{"id": 1}\n'
        assert demultiplexer.said == "Traceback"


def test_error_output_is_kept_only_as_far_as_a_reader_needs_it():
    """A container that floods its error output does not fill the harness's memory."""
    demultiplexer = Demultiplexer()
    for _ in range(100):
        demultiplexer(frame(2, b"x" * 1000))
    assert len(demultiplexer.said) == 4000


@pytest.mark.parametrize(
    "said",
    [
        frame(1, b"garbage\n"),
        frame(1, b"\xff\xfe\n"),
        frame(1, b"[]\n"),
        frame(1, b'{"id": 7, "value": 1, "error": null, "at": 1.0}\n'),
        frame(1, b'{"id": 1, "value": 1, "error": 5, "at": 1.0}\n'),
        frame(1, b'{"id": 1, "value": 1, "error": null}\n'),
        frame(1, b'{"id": 1, "value": 1, "error": null, "at": 1e300}\n'),
        frame(1, b'{"id": 1, "value": 1, "error": null, "at": "now"}\n'),
        frame(1, b'{"id": null, "error": "EBADMSG", "value": "what?", "at": 1.0}\n'),
        frame(1, b"[" * 100_000 + b"\n"),
        frame(9, b"no frame"),
        b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
    ],
)
def test_what_a_lying_container_says_is_never_believed(link, clock, said):
    """Whatever is no proper reply is the harness's error, never a value."""
    channel, theirs, _ = link
    reply = channel.request("hello")
    theirs.sendall(said)
    with pytest.raises(HarnessError):
        answered(reply, clock, name="docker", within=1)
    assert reply.ended is None


def test_a_line_without_an_end_is_not_kept(link, clock):
    """A huge reply ends the channel before it fills the memory."""
    channel, theirs, _ = link
    reply = channel.request("hello")
    theirs.setblocking(False)
    piece = memoryview(frame(1, b"a" * (1 << 20)))

    def flood():
        for _ in range(40):
            rest = piece
            while rest:
                try:
                    rest = rest[theirs.send(rest) :]
                except BlockingIOError:
                    clock.wait(clock.now() + 0.001)

    with pytest.raises(HarnessError, match="without an end"):
        flood()
    assert not reply.value


def test_a_silent_container_is_not_waited_for(link, clock):
    """Silence ends as the harness's error, at the time that was given."""
    channel, _, _ = link
    with pytest.raises(HarnessError, match="does not answer"):
        answered(channel.request("hello"), clock, name="docker", within=0.05)


def test_an_engine_that_ends_makes_a_testcase_inconclusive(link, clock):
    """The end of the stream is nobody's deviation, and every further use says the same."""
    channel, theirs, _ = link
    reply = channel.request("hello")
    theirs.shutdown(socket.SHUT_RDWR)
    with pytest.raises(Inconclusive, match="the engine has ended"):
        answered(reply, clock, name="docker", within=1)
    with pytest.raises(Inconclusive, match="the engine has ended"):
        channel.request("hello")


def test_a_container_that_cannot_be_reset_is_marked(link):
    """A container whose agent lies when it is reset is not used again."""
    channel, theirs, container = link
    theirs.sendall(frame(1, b"nonsense\n"))
    channel.reset()
    assert "not JSON" in container.marked


def test_a_container_that_was_reset_is_not_marked(link, clock):
    """Resetting takes one request, and leaves no mark when it is answered."""
    channel, theirs, container = link
    said = {"id": 1, "value": None, "error": None, "at": clock.now()}
    theirs.sendall(frame(1, json.dumps(said).encode() + b"\n"))
    channel.reset()
    assert json.loads(theirs.recv(100))["op"] == "reset"
    assert container.marked == ""


def test_a_firewall_marks_its_container(link):
    """What iptables leaves behind cannot be wiped: the next testcase has another container."""
    channel, _, container = link
    channel.request("iptables", family="ipv4", arguments=["-S"])
    assert container.marked == "a firewall"


def test_counters_are_asked_from_outside(link):
    """What a container may not do itself does not cost a round trip to its agent."""
    channel, theirs, _ = link
    reply = channel.request("counters")
    assert reply.finished()
    assert reply.value == {"TcpActiveOpens": 0}
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_only_sysctls_of_a_network_namespace_can_be_set(link):
    """A wrong name is answered with an errno, as the agent would, and touches nothing."""
    channel, _, _ = link
    assert channel.request("sysctl", name="kernel.hostname", value="x").error == "EINVAL"
    assert channel.request("sysctl", name="net..x").error == "EINVAL"
