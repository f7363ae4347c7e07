"""LwIP: its sockets in the agent's hands, and its lists as a state table; without the library."""

import ctypes
import errno
import os
import select
import socket
import struct

import pytest

from harness.targets.lwip import driver, table
from harness.targets.lwip.agent import LwipAgent
from harness.targets.lwip.sockets import LwipSocket

HEAD = struct.Struct("@20sB3x20sB3x4xPPIBxHH")


class Library:
    """A library in which nothing is ready until a test says so."""

    def __init__(self):
        self.ready = 0
        self.error = 0
        self.options = {}

    def socket(self, _):
        return 7

    def connect(self, *_):
        raise BlockingIOError(errno.EINPROGRESS, "in progress")

    def receive(self, *_):
        if not self.ready:
            raise BlockingIOError(errno.EAGAIN, "not yet")
        return b"abc"

    def poll(self, _, events, *_wait):
        return self.ready & events

    def option(self, _, level, option, *_size):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return struct.pack("@i", self.error)
        raise OSError(errno.ENOPROTOOPT, "no such option")

    def set_option(self, _, level, option, value):
        self.options[level, option] = value

    def path(self):
        return "/lib/liblwip.so.0"


def ask(agent, operation, **arguments):
    """Ask for an operation that ends at once."""
    (reply,) = agent.handle({"id": 1, "op": operation, **arguments})
    return reply["value"], reply["error"]


def chain(*entries):
    """Return the structures of a list in memory, the first first."""
    buffers = []
    following = 0
    for kind, local, remote, state, ports in reversed(entries):
        octets = HEAD.pack(local, kind, remote, kind, following, 0, state, 64, *ports)
        buffers.insert(0, ctypes.create_string_buffer(octets, len(octets)))
        following = ctypes.addressof(buffers[0])
    return buffers


def test_a_list_becomes_rows():
    """Addresses of both families, ports and states are read; a listener has no far end."""
    four, six = socket.inet_aton("198.51.100.2"), socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    held = chain(
        (0, four, socket.inet_aton("198.51.100.1"), 4, (2017, 40017)),
        (6, six, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 10, (2018, 40018)),
        (46, bytes(20), b"\xff" * 20, 1, (2019, 65535)),
    )
    rows = table.listed(ctypes.addressof(held[0]))
    assert [(row["family"], row["state"], row["local_port"]) for row in rows] == [
        ("ipv4", "ESTABLISHED", 2017),
        ("ipv6", "TIME-WAIT", 2018),
        ("ipv6", "LISTEN", 2019),
    ]
    assert [(row["remote_address"], row["remote_port"]) for row in rows] == [
        ("198.51.100.1", 40017),
        ("2001:db8::1", 40018),
        ("::", 0),
    ]


def test_an_empty_list_has_no_rows():
    """The library's pointer is null then."""
    assert table.listed(None) == []


@pytest.mark.parametrize(("number", "name"), [(0, None), (errno.ECONNABORTED, "ECONNABORTED")])
def test_a_connect_tells_what_became_of_it(number, name):
    """It is under way until the library says that the socket is writable; then SO_ERROR counts."""
    library = Library()
    agent = LwipAgent(library, readable=False)
    assert ask(agent, "socket", family="ipv4") == (1, None)
    assert (
        agent.handle(
            {"id": 2, "op": "connect", "socket": 1, "address": "198.51.100.1", "port": 2017}
        )
        == []
    )
    library.ready, library.error = select.POLLOUT, number
    assert select.select([agent.fileno()], [], [], 5.0)[0]
    replies = agent.poll() or agent.poll()
    assert [(reply["id"], reply["error"]) for reply in replies] == [(2, name)]


def test_a_socket_rings_when_its_call_may_go_on():
    """A receive that had to wait is made again when the library has something."""
    library = Library()
    one = LwipSocket(library, socket.AF_INET)
    with pytest.raises(BlockingIOError):
        one.recv(100)
    library.ready = select.POLLIN
    assert select.select([one.fileno()], [], [], 5.0)[0]
    assert one.recv(100) == b"abc"
    os.close(one.fileno())


@pytest.mark.parametrize("operation", ["spawn", "sysctl", "counters", "iptables", "link", "ioctl"])
def test_what_the_library_has_no_call_for_is_said_to_be_missing(operation):
    """ENOSYS makes a testcase unsupported."""
    assert ask(LwipAgent(Library(), readable=False), operation)[1] == "ENOSYS"


def test_a_table_that_cannot_be_read_is_missing():
    """The layout is tried when the stack starts, and never believed unseen."""
    assert ask(LwipAgent(Library(), readable=False), "table")[1] == "ENOSYS"


def test_its_congestion_control_can_be_asked_for_by_name():
    """There is one only: another cannot be chosen."""
    agent = LwipAgent(Library(), readable=False)
    ask(agent, "socket", family="ipv4")
    about = {"socket": 1, "option": "TCP_CONGESTION"}
    assert ask(agent, "set", **about, value="reno") == (None, None)
    assert ask(agent, "set", **about, value="cubic") == (None, "ENOENT")
    assert ask(agent, "get", **about) == ("reno", None)


def test_a_missing_library_has_a_remedy(monkeypatch):
    """One line says what to install."""

    def absent(name):
        raise OSError(f"{name}: no such file")

    monkeypatch.setattr(driver.ctypes, "CDLL", absent)
    assert driver.LwipDriver.missing() == "liblwip.so.0 is not installed: apt-get install liblwip0"
