import ast
import base64
import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.targets import agent as module
from harness.targets.agent import Agent, LineReader, Refusal
from tests.targets.agents import agent, fuzz, talk


@pytest.fixture(name="held")
def _held(tmp_path):
    held = agent(tmp_path)
    yield held
    held.close()


@pytest.fixture(name="program")
def _program():
    command = [sys.executable, str(module.__file__)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        yield program
        program.kill()


def ask(held, op, **arguments):
    """Return the only reply to a request."""
    [reply] = held.handle({"id": 1, "op": op, **arguments})
    assert reply["id"] == 1
    return reply


def value(held, op, **arguments):
    """Return what a request that succeeds returns."""
    reply = ask(held, op, **arguments)
    assert reply["error"] is None, reply
    return reply["value"]


def error(held, op, **arguments):
    """Return the error of a request."""
    return ask(held, op, **arguments)["error"]


def octets(reply):
    return base64.b64decode(reply["value"])


def pair(held):
    return [value(held, "socket", family="ipv4") for _ in range(2)]


def test_a_call_that_must_wait_is_answered_when_it_ends(held):
    """receive() has no reply until octets arrive; then the agent's descriptor is readable."""
    one, other = pair(held)
    assert held.handle({"id": 7, "op": "receive", "socket": one}) == []
    assert not select.select([held.fileno()], [], [], 0)[0]
    assert value(held, "send", socket=other, text="hello") == 5
    assert select.select([held.fileno()], [], [], 1)[0]
    [reply] = held.poll()
    assert (reply["id"], octets(reply), reply["error"]) == (7, b"hello", None)
    assert reply["began"] < reply["at"]
    assert held.poll() == []


def test_calls_on_one_socket_are_served_in_their_order(held):
    """Two receive() share what comes as two callers would, and a send() waits beside them."""
    one, other = pair(held)
    for name in (7, 8):
        assert held.handle({"id": name, "op": "receive", "socket": one, "size": 2}) == []
    assert held.handle({"id": 9, "op": "send", "socket": one, "size": 1 << 21}) == []
    value(held, "send", socket=other, text="abcd")
    assert [(reply["id"], octets(reply)) for reply in held.poll()] == [(7, b"ab"), (8, b"cd")]
    taken = 0
    replies = []
    while not replies:
        taken += len(octets(ask(held, "receive", socket=other, size=1 << 19)))
        replies = held.poll()
    assert [(reply["id"], reply["value"]) for reply in replies] == [(9, 1 << 21)]
    assert taken <= 1 << 21


def test_the_end_of_the_file_is_no_octets(held):
    """After the far end's shutdown() receive() returns nothing, and send() there fails."""
    one, other = pair(held)
    held.handle({"id": 7, "op": "receive", "socket": one})
    assert value(held, "shutdown", socket=other, how="write") is None
    [reply] = held.poll()
    assert (reply["value"], reply["error"]) == ("", None)
    assert error(held, "send", socket=other, text="x") == "EPIPE"


def test_an_own_shutdown_ends_a_waiting_receive(held):
    """shutdown(read) returns together with the receive() that it ends."""
    one, _ = pair(held)
    held.handle({"id": 7, "op": "receive", "socket": one})
    replies = held.handle({"id": 8, "op": "shutdown", "socket": one, "how": "read"})
    assert [(reply["id"], reply["value"]) for reply in replies] == [(8, None), (7, "")]


def test_waiting_for_events(held):
    """wait() returns the events that are there, once one is that was asked for."""
    one, other = pair(held)
    assert held.handle({"id": 7, "op": "wait", "socket": one, "events": ["POLLRDHUP"]}) == []
    value(held, "send", socket=other, text="x")
    assert held.poll() == []
    value(held, "shutdown", socket=other, how="write")
    [reply] = held.poll()
    assert reply["value"] == ["POLLRDHUP"]


def test_close_answers_what_was_under_way(held):
    """Every request has a reply, even when its socket is closed meanwhile."""
    one, _ = pair(held)
    held.handle({"id": 7, "op": "receive", "socket": one})
    replies = held.handle({"id": 8, "op": "close", "socket": one})
    assert {reply["id"]: reply["error"] for reply in replies} == {7: "ECANCELED", 8: None}
    assert error(held, "close", socket=one) == "EBADF"


def test_a_lingering_close_does_not_hold_the_agent_up(held):
    """close() with SO_LINGER set is made apart, and its reply comes like any other's."""
    one, _ = pair(held)
    value(held, "set", socket=one, option="SO_LINGER", value=[1, 5])
    assert held.handle({"id": 7, "op": "close", "socket": one}) == []
    assert select.select([held.fileno()], [], [], 1)[0]
    assert [(reply["id"], reply["error"]) for reply in held.poll()] == [(7, None)]


def test_a_child_holds_a_socket_until_it_is_killed(held):
    """The far end sees the end of the file when the child dies, not when the agent lets go."""
    one, other = pair(held)
    child = value(held, "spawn", socket=other)
    assert error(held, "name", socket=other) == "EBADF"
    assert held.handle({"id": 7, "op": "receive", "socket": one}) == []
    assert value(held, "kill", process=child, signal="SIGSTOP") is None
    assert held.poll() == []
    assert value(held, "kill", process=child) == -signal.SIGKILL
    [reply] = held.poll()
    assert reply["value"] == ""
    assert error(held, "kill", process=child) == "ESRCH"


def test_a_child_exits_when_asked(held):
    """exit lets the child end by itself."""
    one, other = pair(held)
    child = value(held, "spawn", socket=other)
    assert value(held, "exit", process=child) == 0
    assert value(held, "receive", socket=one) == ""


def test_closing_the_agent_ends_everything(tmp_path):
    """close() leaves neither socket nor process, and may be called again."""
    held = agent(tmp_path)
    one, other = pair(held)
    child = value(held, "spawn", socket=other)
    held.handle({"id": 7, "op": "receive", "socket": one})
    held.close()
    held.close()
    assert held.poll() == []
    assert not Path(f"/proc/{child}").exists()


def test_ioctls_are_asked_by_name():
    """What is queued is counted; an ioctl of another name is refused."""
    held = Agent()
    number = value(held, "socket", family="ipv4")
    for request in ("SIOCINQ", "SIOCOUTQ", "SIOCATMARK"):
        assert value(held, "ioctl", socket=number, request=request) == 0
    assert error(held, "ioctl", socket=number, request="SIOCGIFCONF") == "EINVAL"
    held.close()


def test_options_whose_value_is_octets():
    """Options that are structures travel as octets, and nothing else is taken for them."""
    held = Agent()
    number = value(held, "socket", family="ipv4")
    assert octets(ask(held, "get", socket=number, option="IP_OPTIONS")) == b""
    nops = base64.b64encode(bytes([1, 1, 1, 0])).decode()
    value(held, "set", socket=number, option="IP_OPTIONS", value=nops)
    assert octets(ask(held, "get", socket=number, option="IP_OPTIONS")) == bytes([1, 1, 1, 0])
    assert error(held, "set", socket=number, option="IP_OPTIONS", value=5) == "EINVAL"
    held.close()


def test_options_of_an_unconnected_socket():
    """Options are set and read by name, in the form that each has."""
    held = Agent()
    number = value(held, "socket", family="ipv6")
    for option, setting in (
        ("TCP_NODELAY", 1),
        ("TCP_LINGER2", 4),
        ("TCP_USER_TIMEOUT", 5000),
        ("SO_LINGER", [1, 7]),
        ("TCP_CONGESTION", "reno"),
        ("IPV6_UNICAST_HOPS", 33),
    ):
        assert value(held, "set", socket=number, option=option, value=setting) is None
        assert value(held, "get", socket=number, option=option) == setting
    assert error(held, "set", socket=number, option="TCP_NODELAI", value=1) == "ENOPROTOOPT"
    assert error(held, "set", socket=number, option="TCP_MAXSEG", value=-1) == "EINVAL"
    assert error(held, "set", socket=number, option="SO_LINGER", value=["a", 1]) == "EINVAL"
    assert error(held, "receive", socket=number) == "ENOTCONN"
    assert error(held, "peername", socket=number) == "ENOTCONN"
    assert value(held, "errors", socket=number) == []
    assert len(base64.b64decode(value(held, "info", socket=number))) >= 104
    held.close()


def test_only_what_needs_the_namespace_enters_it(tmp_path):
    """The calling thread stands in the namespace while a socket is made, and not afterwards."""
    entered = []

    @contextlib.contextmanager
    def enter():
        entered.append(True)
        yield
        entered.append(False)

    made = []

    def make(_):
        made.append(entered[-1])
        return socket.socket()

    held = Agent(enter, make=make, proc=str(tmp_path))
    value(held, "socket", family="ipv4")
    assert (made, entered) == ([True], [True, False])
    error(held, "receive", socket=1)
    assert entered == [True, False]
    error(held, "table")
    assert entered == [True, False, True, False]
    held.close()


def test_times_are_those_of_the_clock_that_was_given(tmp_path):
    """`began` and `at` come from the target's clock."""
    instants = iter(range(100, 200))
    held = Agent(now=lambda: next(instants), proc=str(tmp_path))
    reply = ask(held, "hello")
    assert (reply["began"], reply["at"]) == (100, 101)
    held.close()


def test_knobs_are_read_and_written(held, tmp_path):
    """sysctl returns what is in force; nothing outside of net can be reached."""
    assert value(held, "sysctl", name="net.ipv4.tcp_fin_timeout") == "60"
    assert value(held, "sysctl", name="net.ipv4.tcp_fin_timeout", value=7) == "7"
    assert (tmp_path / "sys/net/ipv4/tcp_fin_timeout").read_text() == "7"
    assert error(held, "sysctl", name="net.ipv4.nothing") == "ENOENT"
    names = ["net.ipv4.tcp_fin_timeout", "net.ipv4.nothing", "net.socket.TCP_NOTHING"]
    found = value(held, "sysctls", names=names)
    assert found == dict(zip(names, ("7", None, None), strict=True))
    for name in ("kernel.hostname", "net", "net.ipv4..", "net.ipv4/../../x", "net.ipv4.a\n", None):
        assert error(held, "sysctl", name=name) == "EINVAL"
        assert error(held, "sysctls", names=[*names, name]) == "EINVAL"
    assert error(held, "sysctls", names="net.ipv4.tcp_fin_timeout") == "EINVAL"


def test_the_table_is_read_from_proc_where_netlink_is_refused(held):
    """Rows of /proc/net/tcp and tcp6 have the fields of sock_diag.Row."""
    rows = value(held, "table")
    assert [(row["family"], row["state"]) for row in rows] == [
        ("ipv4", "LISTEN"),
        ("ipv4", "ESTABLISHED"),
        ("ipv4", "TIME-WAIT"),
        ("ipv6", "CLOSE-WAIT"),
        ("ipv4", "SYN-RECEIVED"),
    ]
    if sys.byteorder == "little":
        assert rows[1] == {
            "family": "ipv4",
            "state": "ESTABLISHED",
            "local_address": "198.51.100.2",
            "local_port": 2017,
            "remote_address": "198.51.100.1",
            "remote_port": 40017,
            "timer": "keepalive",
            "expires": 1000,
            "retransmits": 3,
            "receive_queue": 7,
            "send_queue": 5,
            "uid": 1000,
            "inode": 4712,
        }
        assert rows[3]["local_address"] == "2001:db8::2"
        assert rows[4]["remote_address"] == "198.51.100.1"


def test_counters_are_named_as_nstat_does(held):
    """The files of /proc/net are one flat mapping."""
    assert value(held, "counters") == {
        "TcpRtoAlgorithm": 1,
        "TcpActiveOpens": 12,
        "TcpExtSyncookiesSent": 3,
        "TcpExtListenDrops": -1,
        "IpExtInNoRoutes": 0,
        "Ip6InReceives": 4,
    }


def test_iptables_tells_why_it_refuses(held):
    """A rule that iptables does not take is EINVAL, with its words."""
    assert value(held, "iptables", family="ipv4", arguments=["-S"]) == "-P INPUT ACCEPT\n"
    reply = ask(held, "iptables", family="ipv6", arguments=["-A", "BAD"])
    assert (reply["error"], reply["value"]) == ("EINVAL", "bad rule")
    assert error(held, "iptables", family="ipv4", arguments="-S") == "EINVAL"


def test_lines_are_cut_from_any_pieces():
    """A reader does not care how the stream is cut."""
    stream = b'{"id": 1}\n\n  \n[1]\nnoise\n{"id": 2}\n{"half'
    for size in (1, 2, 3, 7, 100):
        reader = LineReader()
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        said = [each for piece in pieces for each in reader.feed(piece)]
        assert [each for each in said if isinstance(each, dict)] == [{"id": 1}, {"id": 2}]
        assert [each.why.split(":")[0] for each in said if isinstance(each, Refusal)] == [
            "not an object",
            "not JSON",
        ]
        assert reader.end() == [Refusal("the input ended within a line")]
        assert reader.end() == []


def test_a_line_that_is_too_long_is_refused_once():
    """The rest of such a line is skipped, and the next line is read again."""
    reader = LineReader(limit=10)
    assert [*reader.feed(b"x" * 11), *reader.feed(b"y" * 50)] == [
        Refusal("a line is longer than 10 octets")
    ]
    assert reader.feed(b"z\n[2\n{}\n")[1:] == [{}]


def test_no_line_ends_the_agent(tmp_path):
    """Each of 2,000 hostile lines has one reply, or is a call under way."""
    ends = fuzz(tmp_path, 2000)
    assert {"None", "EBADMSG", "EINVAL", "EBADF", "ENOSYS", "EPIPE"} <= ends.keys()
    assert "EIO" not in ends


def test_the_file_keeps_to_the_syntax_of_old_pythons():
    """Guests and containers bring their own Python."""
    ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_the_program_answers_and_ends_with_its_input(program):
    """Everything that the program holds ends within a second of its input."""
    replies = talk(
        program,
        {"id": 1, "op": "hello"},
        {"id": 2, "op": "socket", "family": "ipv4"},
        {"id": 3, "op": "spawn", "socket": 1},
        {"op": "hello"},
    )
    assert [(reply["id"], reply["error"]) for reply in replies] == [
        (1, None),
        (2, None),
        (3, None),
        (None, "EBADMSG"),
    ]
    assert abs(float(replies[0]["at"]) - time.monotonic()) < 5
    program.send_signal(signal.SIGINT)
    assert talk(program, {"id": 4, "op": "hello"})[0]["error"] is None
    program.stdin.write(b'{"half')
    closed = time.monotonic()
    program.stdin.close()
    assert json.loads(program.stdout.read())["value"] == "the input ended within a line"
    assert program.wait(timeout=10) == 0
    assert time.monotonic() - closed < 1
    assert not Path(f"/proc/{replies[2]['value']}").exists()


def test_the_program_ends_although_nobody_reads_its_replies(program):
    """A full output stops the reading of more, but neither the watch on the input nor the end."""
    line = b'{"id": 1, "op": "nonsense"}\n' * 100
    written = 0
    os.set_blocking(program.stdin.fileno(), False)
    while select.select([], [program.stdin], [], 0.2)[1] and written < 1 << 22:
        written += os.write(program.stdin.fileno(), line)
    assert written < 1 << 22
    program.stdin.close()
    assert program.wait(timeout=10) == 0


class Stub:
    """A socket whose connect() takes until it is told otherwise."""

    family = socket.AF_INET

    def __init__(self):
        self.connected = False
        self.sent = b""
        self._ends = socket.socketpair()

    def fileno(self):
        return self._ends[0].fileno()

    def setblocking(self, _):
        pass

    def setsockopt(self, *_):
        pass

    def connect(self, _):
        if not self.connected:
            raise BlockingIOError(errno.EINPROGRESS, "")
        raise OSError(errno.EISCONN, "")

    def send(self, data, _):
        self.sent += data
        return len(data)

    def close(self):
        for end in self._ends:
            end.close()


def test_a_send_waits_for_the_connect_before_it():
    """Calls that write are made in their order, and connect() is asked again how it ended."""
    stub = Stub()
    held = Agent(make=lambda _: stub)
    value(held, "socket", family="ipv4")
    address = {"address": "198.51.100.1", "port": 2017}
    assert held.handle({"id": 7, "op": "connect", "socket": 1, **address}) == []
    assert held.handle({"id": 8, "op": "send", "socket": 1, "text": "hello"}) == []
    held.poll()
    assert stub.sent == b""
    stub.connected = True
    replies = held.handle({"id": 9, "op": "connect", "socket": 1, **address})
    assert [(each["id"], each["error"]) for each in replies] == [
        (7, None),
        (8, None),
        (9, "EISCONN"),
    ]
    assert stub.sent == b"hello"
    held.close()


def test_iptables_of_the_older_kind_serve_where_the_stack_knows_no_newer():
    """Where nftables are not supported, the same words go to the older program."""
    asked = []

    def run(command, **_):
        asked.append(command)
        lacks = not command[0].endswith("-legacy")
        said = b"iptables: Failed to initialize nft: Protocol not supported" if lacks else b""
        return SimpleNamespace(returncode=int(lacks), stdout=b"", stderr=said)

    held = Agent(run=run)
    try:
        assert value(held, "iptables", family="ipv4", arguments=["-S"]) == ""
    finally:
        held.close()
    assert asked == [["iptables", "-w", "-S"], ["iptables-legacy", "-w", "-S"]]


def test_sockets_begin_with_the_options_that_are_wanted_of_all():
    """A setting below net.socket is an option of every socket from then on."""
    held = Agent()
    try:
        name = "net.socket.TCP_KEEPIDLE"
        usual = value(held, "sysctl", name=name)
        assert value(held, "sysctl", name=name, value="77") == "77"
        listening = value(held, "socket", family="ipv4")
        assert value(held, "get", socket=listening, option="TCP_KEEPIDLE") == 77
        assert error(held, "sysctl", name="net.socket.TCP_NOTHING") == "ENOENT"
        assert error(held, "sysctl", name=name, value="-1") == "EINVAL"
        value(held, "reset")
        assert value(held, "sysctl", name=name) == usual
    finally:
        held.close()


def test_a_socket_is_finished_at_the_end_of_the_file(held):
    """All is read, and sending is shut down before anybody is asked."""
    one, other = pair(held)
    assert held.handle({"id": 7, "op": "finish", "socket": one}) == []
    value(held, "send", socket=other, text="hello")
    assert held.poll() == []
    value(held, "shutdown", socket=other, how="write")
    assert select.select([held.fileno()], [], [], 1)[0]
    [reply] = held.poll()
    assert (reply["id"], reply["value"], reply["error"]) == (7, 5, None)
    assert octets(ask(held, "receive", socket=other)) == b""


def test_an_agent_that_ends_while_a_close_returns_lets_go_of_all_once():
    """Whoever comes last closes what rings the bell, the agent or the call's thread."""
    agent = Agent()
    agent._lingering = 1
    lingering = module.Call(lambda: None, None)
    epoll = agent._epoll

    class Slow:
        """An epoll that takes so long to close that the lingering call returns meanwhile."""

        closed = False

        def close(self):
            epoll.close()
            self.closed = True
            agent._linger(lingering)

    agent._epoll = Slow()
    agent.close()
    assert agent._ring == -1
    agent.close()
