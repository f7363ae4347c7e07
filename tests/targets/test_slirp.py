"""Slirp: lock-step with a stack in another process, its table, its user; without the library."""

import base64
import json
import socket
import threading

import pytest

from harness.errors import Inconclusive
from harness.targets.slirp import driver
from harness.targets.slirp.driver import LOOK, Stack
from harness.targets.slirp.table import Connections
from harness.targets.slirp.user import User
from harness.wire.memory import DELAY, VirtualClock, memory_pair

PLACES = {"ipv4": "198.51.100.2", "ipv6": "2001:db8::2", "guest6": "2001:db8::1"}

ANY = ".".join("0000")

TEXT = """  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[HOST_FORWARD]   -1       127.0.0.1 61000    198.51.100.1 40017     0     0
  TCP[SYN_SENT]       -1       127.0.0.1 61000    198.51.100.1 40017     0     0
  TCP[TIME_WAIT]      -1    198.51.100.1 40018    198.51.100.2  2017     3     5
  TCP[SYN_RCVD]       -1               * 40019    198.51.100.2  2017     0     0
  UDP[236 sec]        -1    198.51.100.1 40020    198.51.100.2    53     0     0
"""


class Child:
    """A process in a thread: it answers each step with what `answer` makes of it."""

    def __init__(self, answer):
        self.stream, theirs = socket.socketpair()
        self.steps = []
        self.thread = threading.Thread(target=self._serve, args=(theirs, answer), daemon=True)
        self.thread.start()

    def _serve(self, theirs, answer):
        with theirs, theirs.makefile("rwb") as lines:
            for line in lines:
                self.steps.append(json.loads(line))
                said = answer(self.steps[-1])
                if said is None:
                    return
                lines.write(json.dumps(said).encode() + b"\n")
                lines.flush()

    def why(self):
        return "assertion failed | ended by SIGABRT"


class Forwarding:
    """A library that notes forwards, and has the connections of a text."""

    def __init__(self, text=""):
        self.text = text
        self.made = []

    def forward(self, host, guest):
        self.made.append((host, guest))

    def connections(self):
        return self.text


def idle(step, *, after=1000.0):
    return {"frames": [], "replies": [], "wake": step["now"] + after}


@pytest.fixture
def world():
    """Return a function that makes a clock, a link, and a stack at its far end."""
    made = []

    def make(answer):
        clock = VirtualClock(10.0)
        near, far = memory_pair(clock)
        child = Child(answer)
        stack = Stack(clock, far, child)
        made.append((stack, child))
        return clock, near, child, stack

    yield make
    for stack, child in made:
        stack.close()
        child.stream.close()
        child.thread.join(5.0)


def test_a_frame_is_a_step_at_its_arrival_and_its_answer_comes_back(world):
    """What the stack sends at an instant leaves at that instant."""

    def echo(step):
        return {**idle(step), "frames": step.get("frames", [])}

    clock, near, child, _ = world(echo)
    near.send(b"frame")
    clock.wait(20.0)
    clock.wait(20.0)
    assert [(step["now"], step["frames"]) for step in child.steps] == [
        (pytest.approx(10.0 + DELAY), [base64.b64encode(b"frame").decode()])
    ]
    came = [near.poll(), near.poll()]
    assert [(one.sent, one.octets) for one in came] == [(True, b"frame"), (False, b"frame")]
    assert came[1].stamp == pytest.approx(10.0 + 2 * DELAY)


def test_a_time_that_was_set_stays_when_something_comes_in_between(world):
    """The slow timer ticks when it was to, however often the stack is looked at before."""
    clock, near, child, stack = world(lambda step: idle(step, after=0.5))
    stack._step({})
    clock.wait(10.3)
    near.send(b"frame")
    while clock.now() < 11.2:
        clock.wait(11.2)
    times = [round(step["now"], 3) for step in child.steps]
    assert times == [10.0, 10.3, 10.5, 11.0]


def test_a_look_at_the_table_sees_what_was_sent_before(world):
    """Asking takes longer than a frame takes to arrive."""

    def answer(step):
        if "request" not in step:
            return idle(step)
        reply = {"id": step["request"]["id"], "value": [], "error": None}
        return {**idle(step), "replies": [{**reply, "began": step["now"], "at": step["now"]}]}

    clock, near, child, stack = world(answer)
    near.send(b"frame")
    reply = stack.request("table")
    while not reply.finished():
        clock.wait(20.0)
    assert reply.ended == pytest.approx(10.0 + LOOK)
    assert [("frames" in step, "request" in step) for step in child.steps] == [
        (True, False),
        (False, True),
    ]


def test_a_stack_that_dies_is_inconclusive_with_its_last_words(world):
    """The reason is what its process printed last."""
    clock, near, _, stack = world(lambda _: None)
    near.send(b"frame")
    with pytest.raises(Inconclusive, match="assertion failed"):
        clock.wait(20.0)
    with pytest.raises(Inconclusive, match="SIGABRT"):
        stack.request("hello")


def test_the_library_s_text_becomes_rows():
    """Forwards, and what is no TCP, are left out; a forwarded connection has its peer's place."""
    connections = Connections(PLACES, {61000: ("198.51.100.1", 40017)})
    rows = [row for row, _ in connections.rows(TEXT)]
    assert [(row["state"], row["local_port"], row["remote_port"]) for row in rows] == [
        ("SYN-SENT", 0, 40017),
        ("TIME-WAIT", 2017, 40018),
        ("SYN-RECEIVED", 2017, 40019),
    ]
    assert [row["remote_address"] for row in rows] == ["198.51.100.1", "198.51.100.1", ANY]
    assert (rows[1]["receive_queue"], rows[1]["send_queue"]) == (3, 5)


def ask(user, operation, **arguments):
    (reply,) = user.handle({"id": 1, "op": operation, **arguments})
    return reply["value"], reply["error"]


@pytest.fixture
def user():
    """Return a user of a library without connections."""
    made = User(Forwarding(), PLACES, lambda: 10.0)
    yield made
    made.close()


def test_what_only_the_kernel_would_do_is_refused(user):
    """An option of the host's TCP says nothing of the stack."""
    number, _ = ask(user, "socket", family="ipv4")
    assert ask(user, "set", socket=number, option="TCP_NODELAY", value=1)[1] == "ENOPROTOOPT"
    assert ask(user, "get", socket=number, option="TCP_MAXSEG")[1] == "ENOPROTOOPT"
    assert ask(user, "info", socket=number)[1] == "ENOPROTOOPT"
    assert ask(user, "set", socket=number, option="SO_LINGER", value=[1, 5])[1] == "ENOPROTOOPT"
    assert ask(user, "set", socket=number, option="SO_LINGER", value=[1, 0]) == (None, None)
    assert ask(user, "sysctl", name="net.ipv4.tcp_sack")[1] == "ENOSYS"


def test_a_socket_s_name_is_the_stack_s_on_the_link(user):
    """The user is on the host's loopback, and is told of the link."""
    number, _ = ask(user, "socket", family="ipv4")
    assert ask(user, "bind", socket=number, port=0) == (None, None)
    (address, port), _ = ask(user, "name", socket=number)
    assert address == "198.51.100.2"
    assert port > 0


def test_a_missing_library_has_a_remedy(monkeypatch):
    """One line says what to install."""

    def absent(name):
        raise OSError(f"{name}: no such file")

    monkeypatch.setattr(driver.ctypes, "CDLL", absent)
    remedy = "libslirp.so.0 is not installed: apt-get install libslirp0"
    assert driver.SlirpDriver.missing() == remedy
