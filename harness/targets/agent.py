"""Agent: socket calls inside a target, made on request and reported with the target's own clock.

This one file travels into containers and guests, so it needs the standard library only and stays
within the syntax of Python 3.8; that is also why it is longer than the other files. `python3
agent.py [DEVICE]` reads requests from its input and writes replies to its output, or does both on
the device (a serial port); when the input closes it ends at once, and all that it holds with it.
In process, the same is class `Agent`. Beside the file may lie `sock_diag.py`, for a faster and
surer state table.

The protocol: one JSON object a line, at most 1 MiB. Each request has exactly one reply, replies
come in any order, and several calls may be under way on one socket:

    {"id": 7, "op": "connect", "socket": 3, "address": "198.51.100.1", "port": 2017}
    {"id": 7, "value": null, "error": "ECONNREFUSED", "began": 81.2, "at": 81.3}

`error` is null or the name of an errno, `value` then explains it if there is more to say; `began`
and `at` are the seconds of CLOCK_MONOTONIC when the call was made and when it was over. `late`, if
it is there, is for how many seconds the agent was kept from running since its last reply. A line
that is no request is answered with `"id": null`, `"error": "EBADMSG"` and the reason as value. An
unknown operation is ENOSYS, a missing or wrong argument EINVAL. `octets` below are base64 texts,
sockets and processes are the agent's own numbers.

    hello                                  {"protocol", "pid", "system"}
    socket family                          its number; family is "ipv4" or "ipv6"
    bind socket port [address]             null; address: any
    listen socket [backlog=8]              null
    connect socket address port            null                                   may take long
    accept socket                          {"socket", "address", "port"}          may take long
    send socket data|text|size [urgent]    octets taken, also with an error       may take long
    receive socket [size] [urgent] [peek]  octets; "" is the end of file          may take long
    wait socket events                     the events that are there, any of      may take long
                                           POLLIN POLLOUT POLLPRI POLLRDHUP POLLERR POLLHUP
    finish socket                          octets read until the end of the file,     may take long
                                           upon which sending is shut down at once
    shutdown socket how                    null; how is "read", "write" or "both"
    close socket                           null; calls under way end with ECANCELED; takes long
                                           where SO_LINGER makes close() wait
    set socket option value                null; a number, a text, [on, seconds] of SO_LINGER, or
                                           octets of IP_OPTIONS and TCP_FASTOPEN_KEY
    get socket option                      as above
    ioctl socket request                   a number; request is SIOCINQ, SIOCOUTQ or SIOCATMARK
    name socket, peername socket           [address, port]
    info socket                            octets of struct tcp_info
    errors socket                          the error queue emptied: a list of {"error", "origin",
                                           "type", "code", "info", "offender"}
    spawn socket                           a process that holds the socket, which the agent closes
    kill process [signal="SIGKILL"]        its status once it is gone; null for SIGSTOP, SIGCONT
    exit process                           its status: 0
    sysctl name [value]                    the text that is in force, after writing `value`;
                                           net.socket.OPTION is with what sockets begin from now on
    sysctls names                          {name: the text that is in force}; null: not there
    table                                  rows: the fields of sock_diag.Row, without `info`
    counters                               {"TcpExtListenDrops": 0, …}, named as nstat does
    iptables family arguments              what it printed; EPROTONOSUPPORT: the kernel cannot
    link name up                           null; sets the interface up (true) or down (false)
    reset                                  null; all sockets and processes ended, calls under way
                                           forgotten; EBUSY while a close() lingers
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import fcntl
import importlib
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import ModuleType

    Reply = dict[str, Any]
    Request = dict[str, Any]

PROTOCOL = 1
LINE_LIMIT = 1 << 20
_RECEIVE_LIMIT = 1 << 19
_SEND_LIMIT = 1 << 26
_HELD_LIMIT = 4096
_OUTPUT_LIMIT = 1 << 20
_NOTABLE = 0.005

_FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_HOW = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}
_EVENTS = {
    "POLLIN": 0x001,
    "POLLPRI": 0x002,
    "POLLOUT": 0x004,
    "POLLERR": 0x008,
    "POLLHUP": 0x010,
    "POLLRDHUP": 0x2000,
}
# What may let a call of a queue make progress.
_READY = {
    "read": select.EPOLLIN | select.EPOLLRDHUP,
    "write": select.EPOLLOUT,
    None: select.EPOLLIN | select.EPOLLOUT | select.EPOLLPRI | select.EPOLLRDHUP,
}
_ORIGINS = {0: "none", 1: "local", 2: "icmp", 3: "icmp6"}
_STOPPING = ("SIGSTOP", "SIGCONT", "SIGTSTP")

# Numbers of Linux, for options that this Python does not know: by level, then by name.
_OPTIONS = {
    socket.SOL_SOCKET: {
        "SO_REUSEADDR": 2,
        "SO_TYPE": 3,
        "SO_ERROR": 4,
        "SO_DONTROUTE": 5,
        "SO_SNDBUF": 7,
        "SO_RCVBUF": 8,
        "SO_KEEPALIVE": 9,
        "SO_OOBINLINE": 10,
        "SO_PRIORITY": 12,
        "SO_LINGER": 13,
        "SO_REUSEPORT": 15,
        "SO_RCVLOWAT": 18,
        "SO_BINDTODEVICE": 25,
        "SO_ACCEPTCONN": 30,
        "SO_SNDBUFFORCE": 32,
        "SO_RCVBUFFORCE": 33,
        "SO_MARK": 36,
    },
    socket.IPPROTO_TCP: {
        "TCP_NODELAY": 1,
        "TCP_MAXSEG": 2,
        "TCP_CORK": 3,
        "TCP_KEEPIDLE": 4,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 6,
        "TCP_SYNCNT": 7,
        "TCP_LINGER2": 8,
        "TCP_DEFER_ACCEPT": 9,
        "TCP_WINDOW_CLAMP": 10,
        "TCP_QUICKACK": 12,
        "TCP_CONGESTION": 13,
        "TCP_THIN_LINEAR_TIMEOUTS": 16,
        "TCP_USER_TIMEOUT": 18,
        "TCP_FASTOPEN": 23,
        "TCP_TIMESTAMP": 24,
        "TCP_NOTSENT_LOWAT": 25,
        "TCP_FASTOPEN_CONNECT": 30,
        "TCP_FASTOPEN_NO_COOKIE": 34,
        "TCP_FASTOPEN_KEY": 33,
        "TCP_INQ": 36,
        "TCP_RTO_MAX_MS": 44,
        "TCP_RTO_MIN_US": 45,
        "TCP_DELACK_MAX_US": 46,
    },
    socket.IPPROTO_IP: {
        "IP_TOS": 1,
        "IP_TTL": 2,
        "IP_OPTIONS": 4,
        "IP_PKTOPTIONS": 9,
        "IP_MTU_DISCOVER": 10,
        "IP_RECVERR": 11,
        "IP_RECVTOS": 13,
        "IP_MTU": 14,
        "IP_FREEBIND": 15,
        "IP_TRANSPARENT": 19,
        "IP_MINTTL": 21,
        "IP_BIND_ADDRESS_NO_PORT": 24,
        "IP_LOCAL_PORT_RANGE": 51,
    },
    socket.IPPROTO_IPV6: {
        "IPV6_UNICAST_HOPS": 16,
        "IPV6_MTU_DISCOVER": 23,
        "IPV6_MTU": 24,
        "IPV6_RECVERR": 25,
        "IPV6_V6ONLY": 26,
        "IPV6_RECVTCLASS": 66,
        "IPV6_TCLASS": 67,
        "IPV6_MINHOPCOUNT": 73,
    },
}
OPTIONS = {
    name: (level, getattr(socket, name, number))
    for level, names in _OPTIONS.items()
    for name, number in names.items()
}
_TEXT_OPTIONS = ("TCP_CONGESTION", "SO_BINDTODEVICE")
_OCTET_OPTIONS = ("IP_OPTIONS", "IP_PKTOPTIONS", "TCP_FASTOPEN_KEY")
_REQUESTS = {"SIOCINQ": 0x541B, "SIOCOUTQ": 0x5411, "SIOCATMARK": 0x8905}
_LINGER = struct.Struct("@ii")
_INT = struct.Struct("@i")
_TCP_INFO = 11

# struct sock_extended_err of linux/errqueue.h; the offender's address follows it.
_EXTENDED_ERROR = struct.Struct("=IBBBBII")
_ERROR_MESSAGES = {
    (socket.IPPROTO_IP, _OPTIONS[socket.IPPROTO_IP]["IP_RECVERR"]),
    (socket.IPPROTO_IPV6, _OPTIONS[socket.IPPROTO_IPV6]["IPV6_RECVERR"]),
}

_SYSCTL = re.compile(r"net(\.[A-Za-z0-9_-]+)+")
_SYSCTL_LIMIT = 1 << 16
# For stacks whose timers are to be set by socket options only.
_BIRTH = "net.socket."
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_LOCK_FILE = "/run/xtables.lock"
# A device cannot be locked everywhere.
_OWN_LOCK_FILE = str(Path(globals().get("__file__", "agent")).with_name("xtables.lock"))
# The last of them stands where the rule was well written, and the stack refuses it.
_LACKS_NETFILTER = re.compile(r"(?i)insmod|not supported|can't initialize|fetch rule set|dmesg")

_STATES = {
    "01": "ESTABLISHED",
    "02": "SYN-SENT",
    "03": "SYN-RECEIVED",
    "04": "FIN-WAIT-1",
    "05": "FIN-WAIT-2",
    "06": "TIME-WAIT",
    "08": "CLOSE-WAIT",
    "09": "LAST-ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
    "0C": "SYN-RECEIVED",
}
_TIMERS = {
    0: "none",
    1: "retransmission",
    2: "keepalive",
    3: "time-wait",
    4: "window probe",
}
_USER_HZ = os.sysconf("SC_CLK_TCK")


class WrongArgumentError(Exception):
    """A request that lacks an argument, or has one that cannot be meant."""


class RefusedError(Exception):
    """A call that failed for a reason that has an errno's name and an explanation."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error


class Refusal(NamedTuple):
    """What the reader says of a line that is no request."""

    why: str


class LineReader:
    """Lines cut from a stream: each is a request or a refusal, and none ends the reader."""

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False

    def feed(self, octets: bytes) -> list[Request | Refusal]:
        """Take more octets of the stream; return what the lines that they complete say."""
        found: list[Request | Refusal] = []
        *whole, rest = octets.split(b"\n")
        for piece in whole:
            self._take(piece, found)
            if not self._skipping and self._rest.strip():
                found.append(_parsed(bytes(self._rest)))
            self._rest.clear()
            self._skipping = False
        self._take(rest, found)
        return found

    def end(self) -> list[Refusal]:
        """Say what is wrong with the end of the stream: a line that was not ended."""
        half = bool(self._rest.strip())
        self._rest.clear()
        return [Refusal("the input ended within a line")] if half else []

    def _take(self, piece: bytes, found: list[Request | Refusal]) -> None:
        if self._skipping:
            return
        if len(self._rest) + len(piece) > self._limit:
            found.append(Refusal(f"a line is longer than {self._limit} octets"))
            self._rest.clear()
            self._skipping = True
        else:
            self._rest += piece


def _parsed(line: bytes) -> Request | Refusal:
    try:
        request = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return Refusal(f"not JSON: {str(error)[:200]}")
    if not isinstance(request, dict):
        return Refusal("not an object")
    return request


class Call:
    """A call under way: `attempt` makes it again and raises BlockingIOError while it must wait.

    Calls of one `queue` ("read", "write") are served in their order, those without a queue apart.
    """

    __slots__ = ("attempt", "began", "name", "queue")

    def __init__(self, attempt: Callable[[], Any], queue: str | None) -> None:
        self.attempt = attempt
        self.queue = queue
        self.name = 0
        self.began = 0.0


class Held:
    """A socket that the agent holds, the calls under way on it, and the events watched for them."""

    __slots__ = ("armed", "calls", "family", "number", "socket")

    def __init__(self, number: int, held: socket.socket) -> None:
        self.number = number
        self.socket = held
        self.family = held.family
        self.calls: list[Call] = []
        self.armed = 0


class Sending:
    """A send() that goes on until all is taken; `sent` counts octets."""

    def __init__(self, held: socket.socket, data: bytes, flags: int) -> None:
        self._socket = held
        self._data = memoryview(data)
        self._flags = flags
        self.sent = 0

    def __call__(self) -> int:
        """Send what is left."""
        while True:
            self.sent += self._socket.send(self._data[self.sent :], self._flags)
            if self.sent == len(self._data):
                return self.sent


class Finishing:
    """A program that reads until the end of the file and then has no more to say."""

    def __init__(self, held: socket.socket) -> None:
        self._socket = held
        self._octets = 0

    def __call__(self) -> int:
        """Go on reading."""
        while octets := self._socket.recv(_RECEIVE_LIMIT):
            self._octets += len(octets)
        self._socket.shutdown(socket.SHUT_WR)
        return self._octets


class Connecting:
    """A connect() that is asked again until it is over.

    The second connect() fetches the error and leaves the socket as a blocking connect() does, so
    that it can be used again; SO_ERROR would not.
    """

    def __init__(self, held: socket.socket, address: tuple[str, int]) -> None:
        self._socket = held
        self._address = address
        self._under_way = False

    def __call__(self) -> None:
        """Ask once."""
        try:
            self._socket.connect(self._address)
        except OSError as error:
            if self._under_way and error.errno == errno.EISCONN:
                return
            self._under_way = True
            raise


class Agent:
    """The operations, on sockets that it holds.

    `enter` gives a context manager that puts the calling thread into the target's network
    namespace, `now` is the target's clock in seconds. Sockets that are not the kernel's are made by
    `make`, and `look` tells which of some events are there. The others are for tests: where /proc
    is, and what runs a command (as `subprocess.run`).
    """

    def __init__(
        self,
        enter: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
        now: Callable[[], float] = time.monotonic,
        *,
        make: Callable[[int], Any] | None = None,
        look: Callable[[Any, int], int] | None = None,
        proc: str = "/proc",
        run: Callable[..., Any] = subprocess.run,
    ) -> None:
        self._enter = enter
        self._now = now
        self._make = make or (lambda family: socket.socket(family, socket.SOCK_STREAM))
        self._look = look or _events
        self._proc = proc
        self._run = run
        self._held: dict[int, Held] = {}
        self._by_fileno: dict[int, Held] = {}
        self._birth: dict[str, int] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._next = 1
        self._epoll = select.epoll()
        self._over: list[Reply] = []
        self._bell, self._ring = os.pipe()
        os.set_blocking(self._bell, False)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._lingering = 0
        self._lingers = threading.Lock()

    def fileno(self) -> int:
        """Return a descriptor that is readable when a call under way can make progress."""
        return self._epoll.fileno()

    def handle(self, request: Request) -> list[Reply]:
        """Do what is asked; return the replies that are there now, its own or others'."""
        began = self._now()
        name = request.get("id")
        if type(name) is not int:
            return [self.refuse("a request without a number as its id")]
        operation = request.get("op")
        act = self._OPERATIONS.get(operation) if isinstance(operation, str) else None
        if act is None:
            return [self._reply(name, began, f"no operation {str(operation)[:40]!r}", "ENOSYS")]
        try:
            with self._enter() if operation in self._INSIDE else contextlib.nullcontext():
                value = act(self, request)
        except Exception as error:  # noqa: BLE001 - an agent outlives every request
            return [self._failure(name, began, error)]
        if isinstance(value, Call):
            value.name = name
            value.began = began
            held = self._held[request["socket"]]
            held.calls.append(value)
            return self._progress(held)
        if isinstance(value, list) and operation == "close":
            return self._close_replies(name, began, value)
        replies = [self._reply(name, began, value, None)]
        # What a call does to a socket may end others that are under way on it: shutdown().
        number = request.get("socket")
        touched = self._held.get(number) if type(number) is int else None
        return replies + (self._progress(touched) if touched else [])

    def poll(self) -> list[Reply]:
        """Return the replies of the calls that are over by now."""
        if self._epoll.closed:
            return []
        found: list[Reply] = []
        for fileno, _ in self._epoll.poll(0):
            if fileno == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
                while self._over:
                    found.append(self._over.pop(0))
            elif fileno in self._by_fileno:
                found += self._progress(self._by_fileno[fileno])
        return found

    def refuse(self, why: str) -> Reply:
        """Return the reply to what is no request."""
        return self._reply(None, self._now(), why, "EBADMSG")

    def close(self) -> None:
        """End all processes and abort all connections that the agent holds; no call blocks."""
        self._let_go()
        if not self._epoll.closed:
            self._epoll.close()
            os.close(self._bell)
            with self._lingers:
                self._silence()

    def _silence(self) -> None:
        """Let go of what rings the bell, once nobody lingers who would; the lock is held."""
        if self._epoll.closed and not self._lingering and self._ring >= 0:
            os.close(self._ring)
            self._ring = -1

    def _let_go(self) -> None:
        for process in self._processes.values():
            process.kill()
            _wait_for(process)
        self._processes.clear()
        for held in list(self._held.values()):
            with contextlib.suppress(OSError):
                # No orphan may be left that holds its namespace, and no close() may linger.
                held.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(1, 0))
            self._forget(held)
            held.socket.close()

    def _reply(self, name: int | None, began: float, value: Any, error: str | None) -> Reply:
        return {"id": name, "value": value, "error": error, "began": began, "at": self._now()}

    def _failure(self, name: int, began: float, error: Exception, value: Any = None) -> Reply:
        if isinstance(error, RefusedError):
            return self._reply(name, began, str(error), error.error)
        if isinstance(error, OSError) and error.errno is not None:
            return self._reply(name, began, value, errno.errorcode.get(error.errno, "EIO"))
        if isinstance(
            error, (WrongArgumentError, ValueError, OverflowError, TypeError, struct.error)
        ):
            return self._reply(name, began, str(error)[:200], "EINVAL")
        return self._reply(name, began, f"{type(error).__name__}: {error}"[:200], "EIO")

    def _progress(self, held: Held) -> list[Reply]:
        """Try every call that is first in its queue until it must wait."""
        replies = []
        blocked = set()
        for call in list(held.calls):
            if call.queue in blocked:
                continue
            try:
                reply = self._reply(call.name, call.began, call.attempt(), None)
            except BlockingIOError:
                blocked.add(call.queue or "")
                continue
            except Exception as error:  # noqa: BLE001 - an agent outlives every request
                sent = getattr(call.attempt, "sent", None)
                reply = self._failure(call.name, call.began, error, sent)
            held.calls.remove(call)
            replies.append(reply)
        self._arm(held)
        return replies

    def _arm(self, held: Held) -> None:
        """Have the epoll descriptor watch a socket for as long as a call is under way on it.

        Edge-triggered, since every call was tried until it had to wait: an error queue that
        nobody empties would otherwise keep the descriptor readable.
        """
        events = 0
        for call in held.calls:
            events |= _READY[call.queue]
        fileno = held.socket.fileno()
        if events == held.armed:
            return
        if not held.armed:
            self._by_fileno[fileno] = held
            self._epoll.register(fileno, events | select.EPOLLET)
        elif events:
            self._epoll.modify(fileno, events | select.EPOLLET)
        else:
            self._epoll.unregister(fileno)
            del self._by_fileno[fileno]
        held.armed = events

    def _hold(self, new: socket.socket) -> int:
        if len(self._held) >= _HELD_LIMIT:
            new.close()
            raise RefusedError("EMFILE", f"the agent holds {_HELD_LIMIT} sockets")
        new.setblocking(False)
        for option, value in self._birth.items():
            new.setsockopt(*OPTIONS[option], value)
        number = self._next
        self._next += 1
        self._held[number] = Held(number, new)
        return number

    def _forget(self, held: Held) -> list[Call]:
        calls = held.calls
        held.calls = []
        self._arm(held)
        del self._held[held.number]
        return calls

    def _socket(self, request: Request) -> Held:
        number = _integer(request, "socket")
        if number not in self._held:
            raise RefusedError("EBADF", f"no socket {number}")
        return self._held[number]

    def _hello(self, _: Request) -> Any:
        return {"protocol": PROTOCOL, "pid": os.getpid(), "system": list(os.uname())}

    def _new_socket(self, request: Request) -> Any:
        return self._hold(self._make(_choice(request, "family", _FAMILIES)))

    def _bind(self, request: Request) -> Any:
        held = self._socket(request)
        anywhere = "::" if held.family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - asked for
        held.socket.bind(_address(held, {"address": anywhere, **request}))

    def _listen(self, request: Request) -> Any:
        self._socket(request).socket.listen(_integer(request, "backlog", 8))

    def _connect(self, request: Request) -> Any:
        held = self._socket(request)
        return Call(Connecting(held.socket, _address(held, request)), "write")

    def _accept(self, request: Request) -> Any:
        listener = self._socket(request).socket

        def attempt() -> Any:
            accepted, name = listener.accept()
            return {"socket": self._hold(accepted), "address": name[0], "port": name[1]}

        return Call(attempt, "read")

    def _send(self, request: Request) -> Any:
        held = self._socket(request)
        flags = socket.MSG_NOSIGNAL | (socket.MSG_OOB if request.get("urgent") else 0)
        return Call(Sending(held.socket, _payload(request), flags), "write")

    def _receive(self, request: Request) -> Any:
        held = self._socket(request).socket
        size = _integer(request, "size", 65536)
        if not 0 < size <= _RECEIVE_LIMIT:
            raise WrongArgumentError(f"size is not within 1 and {_RECEIVE_LIMIT}")
        urgent = bool(request.get("urgent"))
        flags = (socket.MSG_OOB if urgent else 0) | (socket.MSG_PEEK if request.get("peek") else 0)
        return Call(lambda: _text(held.recv(size, flags)), None if urgent else "read")

    def _finish(self, request: Request) -> Any:
        """Read until the end of the file, and send the own FIN before anybody is asked."""
        return Call(Finishing(self._socket(request).socket), "read")

    def _wait(self, request: Request) -> Any:
        held = self._socket(request).socket
        names = request.get("events")
        if not isinstance(names, list) or not names or not all(name in _EVENTS for name in names):
            raise WrongArgumentError(f"events is not a list of {', '.join(_EVENTS)}")
        wanted = sum({_EVENTS[name] for name in names})

        def attempt() -> Any:
            found = self._look(held, wanted)
            if not found:
                raise BlockingIOError
            return [name for name, bit in _EVENTS.items() if found & bit]

        return Call(attempt, None)

    def _shutdown(self, request: Request) -> Any:
        self._socket(request).socket.shutdown(_choice(request, "how", _HOW))

    def _close(self, request: Request) -> Any:
        """Close a socket and return the calls that this ends, itself last if it lingers."""
        held = self._socket(request)
        lingers, seconds = _LINGER.unpack(
            held.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.size)
        )
        calls = self._forget(held)
        if not lingers or not seconds:
            held.socket.close()
            return calls
        # close() waits here even on a non-blocking socket: it may not hold up the agent.
        with self._lingers:
            self._lingering += 1
        waiting = Call(held.socket.close, None)
        waiting.name = request["id"]
        waiting.began = self._now()
        threading.Thread(target=self._linger, args=(waiting,), daemon=True).start()
        return [*calls, waiting]

    def _close_replies(self, name: int, began: float, calls: list[Call]) -> list[Reply]:
        ended = [call for call in calls if call.name != name]
        replies = [
            self._reply(call.name, call.began, getattr(call.attempt, "sent", None), "ECANCELED")
            for call in ended
        ]
        lingers = len(ended) < len(calls)
        return replies if lingers else [self._reply(name, began, None, None), *replies]

    def _linger(self, call: Call) -> None:
        try:
            call.attempt()
            reply = self._reply(call.name, call.began, None, None)
        except OSError as error:
            reply = self._failure(call.name, call.began, error)
        # This thread made this call only: all that it was held up counts.
        self._over.append({**reply, **_lateness(_held_up())})
        with self._lingers:
            self._lingering -= 1
            with contextlib.suppress(OSError):
                os.write(self._ring, b"!")
            self._silence()

    def _set(self, request: Request) -> Any:
        held = self._socket(request).socket
        name, level, number = _option(request)
        value = request.get("value")
        if name == "SO_LINGER":
            if not isinstance(value, list) or len(value) != 2:
                raise WrongArgumentError("SO_LINGER takes [on, seconds]")
            held.setsockopt(level, number, _LINGER.pack(*value))
        elif name in _TEXT_OPTIONS:
            if not isinstance(value, str):
                raise WrongArgumentError(f"{name} takes a text")
            held.setsockopt(level, number, value.encode())
        elif name in _OCTET_OPTIONS:
            held.setsockopt(level, number, _payload({"data": request.get("value")}))
        else:
            held.setsockopt(level, number, _integer(request, "value"))
            if level == socket.IPPROTO_TCP:
                # A stack may take an option that it does not have: asking for it fails.
                held.getsockopt(level, number)

    def _get(self, request: Request) -> Any:
        held = self._socket(request).socket
        name, level, number = _option(request)
        if name == "SO_LINGER":
            return list(_LINGER.unpack(held.getsockopt(level, number, _LINGER.size)))
        if name in _TEXT_OPTIONS:
            return held.getsockopt(level, number, 64).rstrip(b"\0").decode(errors="replace")
        if name in _OCTET_OPTIONS:
            return _text(held.getsockopt(level, number, 256))
        return held.getsockopt(level, number)

    def _ioctl(self, request: Request) -> Any:
        held = self._socket(request).socket
        answer = fcntl.ioctl(held, _choice(request, "request", _REQUESTS), _INT.pack(0))
        return _INT.unpack(answer)[0]

    def _name(self, request: Request) -> Any:
        return list(self._socket(request).socket.getsockname()[:2])

    def _peername(self, request: Request) -> Any:
        return list(self._socket(request).socket.getpeername()[:2])

    def _info(self, request: Request) -> Any:
        held = self._socket(request).socket
        return _text(held.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1024))

    def _errors(self, request: Request) -> Any:
        held = self._socket(request).socket
        found: list[Any] = []
        while True:
            try:
                _, messages, flags, _ = held.recvmsg(1, 1024, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                return found
            if not flags & socket.MSG_ERRQUEUE:
                raise RefusedError("ENOPROTOOPT", "the stack has no error queue")
            found += [
                _extended(data)
                for level, kind, data in messages
                if (level, kind) in _ERROR_MESSAGES and len(data) >= _EXTENDED_ERROR.size
            ]

    def _spawn(self, request: Request) -> Any:
        held = self._socket(request)
        # It ends by itself when its input closes, so it cannot outlive the agent.
        program = [sys.executable, "-I", "-S", "-c", "import sys; sys.stdin.buffer.read()"]
        process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[held.socket.fileno()],
            start_new_session=True,
        )
        calls = self._forget(held)
        held.socket.close()
        for call in calls:
            self._over.append(self._reply(call.name, call.began, None, "ECANCELED"))
        if calls:
            os.write(self._ring, b"!")
        self._processes[process.pid] = process
        return process.pid

    def _process(self, request: Request) -> subprocess.Popen[bytes]:
        number = _integer(request, "process")
        if number not in self._processes:
            raise RefusedError("ESRCH", f"no process {number}")
        return self._processes[number]

    def _kill(self, request: Request) -> Any:
        process = self._process(request)
        name = request.get("signal", "SIGKILL")
        if not isinstance(name, str) or name not in signal.Signals.__members__:
            raise WrongArgumentError("signal is not the name of a signal")
        process.send_signal(signal.Signals[name])
        return None if name in _STOPPING else self._ended(process)

    def _exit(self, request: Request) -> Any:
        process = self._process(request)
        assert process.stdin
        process.stdin.close()
        return self._ended(process)

    def _ended(self, process: subprocess.Popen[bytes]) -> int:
        status = _wait_for(process)
        del self._processes[process.pid]
        return status

    def _sysctl(self, request: Request) -> Any:
        name = _sysctl_name(request.get("name"))
        if "value" in request:
            self._put(name, request["value"])
        return self._in_force(name)

    def _sysctls(self, request: Request) -> Any:
        names = request.get("names")
        if not isinstance(names, list) or len(names) > _HELD_LIMIT:
            raise WrongArgumentError("names is no list of sysctls")
        found: dict[str, str | None] = dict.fromkeys(map(_sysctl_name, names))
        for name in found:
            with contextlib.suppress(OSError, RefusedError):
                found[name] = self._in_force(name)
        return found

    def _in_force(self, name: str) -> str:
        if name.startswith(_BIRTH):
            return str(self._at_birth(name[len(_BIRTH) :]))
        descriptor = os.open(self._sysctl_path(name), os.O_RDONLY)
        try:
            return os.read(descriptor, _SYSCTL_LIMIT).decode("ascii").strip()
        finally:
            os.close(descriptor)

    def _put(self, name: str, value: Any) -> None:
        if not isinstance(value, (int, str)):
            raise WrongArgumentError("value is neither a number nor a text")
        if name.startswith(_BIRTH):
            self._at_birth(name[len(_BIRTH) :], int(value))
        else:
            Path(self._sysctl_path(name)).write_text(str(value), encoding="ascii")

    def _sysctl_path(self, name: str) -> str:
        return f"{self._proc}/sys/{name.replace('.', '/')}"

    def _at_birth(self, option: str, value: int | None = None) -> int:
        """Return, after setting it, the value of an option with which sockets begin."""
        if option not in OPTIONS:
            raise RefusedError("ENOENT", f"no option {option[:40]}")
        level, number = OPTIONS[option]
        with contextlib.closing(self._make(socket.AF_INET)) as fresh:
            if value is not None:
                fresh.setsockopt(level, number, value)
                self._birth[option] = value
            return self._birth.get(option, fresh.getsockopt(level, number))

    def _table(self, _: Request) -> Any:
        diagnosis = _sock_diag() if self._proc == "/proc" else None
        if diagnosis:
            with contextlib.suppress(OSError):
                rows = [row._asdict() for row in diagnosis.dump()]
                return [{key: row[key] for key in row if key != "info"} for row in rows]
        found = []
        for name in ("tcp", "tcp6"):
            with contextlib.suppress(FileNotFoundError):
                found += [parse_row(line) for line in self._net(name).splitlines()[1:]]
        return found

    def _counters(self, _: Request) -> Any:
        found: dict[str, int] = {}
        for name in ("snmp", "netstat"):
            with contextlib.suppress(FileNotFoundError):
                found.update(parse_counters(self._net(name)))
        with contextlib.suppress(FileNotFoundError):
            pairs = (line.split() for line in self._net("snmp6").splitlines())
            found.update((pair[0], int(pair[1])) for pair in pairs if len(pair) == 2)
        if not found:
            raise RefusedError("ENOENT", "no counters in /proc/net")
        return found

    def _net(self, name: str) -> str:
        """Read a file of /proc/net as the calling thread's namespace has it."""
        path = Path(self._proc, "thread-self", "net", name)
        if not path.exists():
            path = Path(self._proc, "self", "net", name)
        return path.read_text(encoding="ascii")

    def _iptables(self, request: Request) -> Any:
        program = _choice(request, "family", {"ipv4": "iptables", "ipv6": "ip6tables"})
        arguments = request.get("arguments")
        if not isinstance(arguments, list) or not all(isinstance(word, str) for word in arguments):
            raise WrongArgumentError("arguments is not a list of texts")
        done = self._filter([program, "-w", *arguments])
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        if done.returncode and _LACKS_NETFILTER.search(said):
            # A stack may know the older of the two interfaces only.
            with contextlib.suppress(FileNotFoundError):
                older = self._filter([f"{program}-legacy", "-w", *arguments], _OWN_LOCK_FILE)
                done, said = older, (older.stderr or older.stdout).decode(errors="replace").strip()
        if done.returncode:
            raise RefusedError(_firewall_error(said), said[:500])
        return done.stdout.decode(errors="replace")

    def _filter(self, command: list[str], lock: str | None = None) -> Any:
        environment = dict(os.environ, LC_ALL="C")
        environment["PATH"] = environment.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
        if not os.access(_LOCK_FILE, os.W_OK) and not os.access("/run", os.W_OK):
            # The lock guards the host's tables; a namespace of one's own needs none.
            environment["XTABLES_LOCKFILE"] = lock or os.devnull
        return self._run(
            command,
            capture_output=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=10,
        )

    def _link(self, request: Request) -> Any:
        name = request.get("name")
        up = request.get("up")
        if not isinstance(name, str) or not _INTERFACE.fullmatch(name) or type(up) is not bool:
            raise WrongArgumentError("link takes the name of an interface, and up: true or false")
        get, put, flag = 0x8913, 0x8914, 1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
        asked = struct.Struct("@16sh22x")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            answer = fcntl.ioctl(control, get, asked.pack(name.encode(), 0))
            flags = asked.unpack(answer)[1]
            flags = flags | flag if up else flags & ~flag
            fcntl.ioctl(control, put, asked.pack(name.encode(), flags))

    def _reset(self, _: Request) -> Any:
        if self._lingering:
            raise RefusedError("EBUSY", "a close() lingers")
        self._let_go()
        self._over.clear()
        self._birth.clear()
        self._next = 1

    _OPERATIONS: ClassVar[dict[str, Callable[[Agent, Request], Any]]] = {
        "hello": _hello,
        "socket": _new_socket,
        "bind": _bind,
        "listen": _listen,
        "connect": _connect,
        "accept": _accept,
        "send": _send,
        "receive": _receive,
        "finish": _finish,
        "wait": _wait,
        "shutdown": _shutdown,
        "close": _close,
        "set": _set,
        "get": _get,
        "ioctl": _ioctl,
        "name": _name,
        "peername": _peername,
        "info": _info,
        "errors": _errors,
        "spawn": _spawn,
        "kill": _kill,
        "exit": _exit,
        "sysctl": _sysctl,
        "sysctls": _sysctls,
        "table": _table,
        "counters": _counters,
        "iptables": _iptables,
        "link": _link,
        "reset": _reset,
    }
    _INSIDE = ("socket", "spawn", "sysctl", "sysctls", "table", "counters", "iptables", "link")


def _events(held: socket.socket, wanted: int) -> int:
    """Ask the kernel which of some events are there on a socket."""
    poller = select.poll()
    poller.register(held.fileno(), wanted)
    return sum(found for _, found in poller.poll(0))


def _sysctl_name(name: Any) -> str:
    if not isinstance(name, str) or not _SYSCTL.fullmatch(name):
        raise WrongArgumentError("name is not that of a sysctl below net")
    return name


def _integer(request: Request, name: str, default: int | None = None) -> int:
    value = request.get(name, default)
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, int):
        raise WrongArgumentError(f"{name} is not a whole number")
    return value


def _choice(request: Request, name: str, choices: dict[str, Any]) -> Any:
    value = request.get(name)
    if not isinstance(value, str) or value not in choices:
        raise WrongArgumentError(f"{name} is none of {', '.join(choices)}")
    return choices[value]


def _address(held: Held, request: Request) -> tuple[str, int]:
    """Read address and port; never a name, which something would have to be asked about."""
    address = request.get("address")
    port = _integer(request, "port")
    try:
        socket.inet_pton(held.family, address)  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError):
        raise WrongArgumentError("address is not one of the socket's family") from None
    if not 0 <= port <= 65535:
        raise WrongArgumentError("port is not within 0 and 65535")
    assert isinstance(address, str)
    return address, port


def _payload(request: Request) -> bytes:
    """Read what to send: octets, a text, or so many letters, "abc…zabc…"."""
    if "data" in request:
        try:
            return base64.b64decode(request["data"], validate=True)
        except (TypeError, binascii.Error, ValueError):
            raise WrongArgumentError("data is not base64") from None
    if isinstance(request.get("text"), str):
        return str(request["text"]).encode()
    size = _integer(request, "size")
    if not 0 <= size <= _SEND_LIMIT:
        raise WrongArgumentError(f"size is not within 0 and {_SEND_LIMIT}")
    letters = b"abcdefghijklmnopqrstuvwxyz"
    return (letters * (size // len(letters) + 1))[:size]


def _option(request: Request) -> tuple[str, int, int]:
    name = request.get("option")
    if not isinstance(name, str):
        raise WrongArgumentError("option is not a text")
    if name not in OPTIONS:
        raise RefusedError("ENOPROTOOPT", f"no option {name[:40]}")
    return (name, *OPTIONS[name])


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _extended(data: bytes) -> dict[str, Any]:
    number, origin, kind, code, _, info, _ = _EXTENDED_ERROR.unpack_from(data)
    name = data[_EXTENDED_ERROR.size :]
    family = int.from_bytes(name[:2], sys.byteorder)
    offender = None
    if family == socket.AF_INET and len(name) >= 8:
        offender = socket.inet_ntop(family, name[4:8])
    elif family == socket.AF_INET6 and len(name) >= 24:
        offender = socket.inet_ntop(family, name[8:24])
    return {
        "error": errno.errorcode.get(number, str(number)),
        "origin": _ORIGINS.get(origin, str(origin)),
        "type": kind,
        "code": code,
        "info": info,
        "offender": offender,
    }


def _wait_for(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process that was told to end; no signal can be refused for ever."""
    try:
        return process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(timeout=2)
    finally:
        if process.stdin:
            process.stdin.close()


def _firewall_error(said: str) -> str:
    if "Permission denied" in said or "not permitted" in said or "must be root" in said:
        return "EPERM"
    return "EPROTONOSUPPORT" if _LACKS_NETFILTER.search(said) else "EINVAL"


def _sock_diag() -> ModuleType | None:
    # It may not be there, or be too new for this Python; /proc is read then.
    with contextlib.suppress(Exception):
        return importlib.import_module(f"{__package__}.sock_diag" if __package__ else "sock_diag")
    return None


def parse_row(line: str) -> dict[str, Any]:
    """Read one line of /proc/net/tcp or tcp6 into the fields of sock_diag.Row."""
    words = line.split()
    local, remote = _endpoint(words[1]), _endpoint(words[2])
    timer, expires = words[5].split(":")
    send, receive = words[4].split(":")
    return {
        "family": "ipv6" if ":" in local[0] + remote[0] else "ipv4",
        "state": _STATES.get(words[3], "CLOSED"),
        "local_address": local[0],
        "local_port": local[1],
        "remote_address": remote[0],
        "remote_port": remote[1],
        "timer": _TIMERS.get(int(timer, 16), f"timer {timer}"),
        "expires": int(expires, 16) * 1000 // _USER_HZ,
        "retransmits": int(words[6], 16),
        "receive_queue": int(receive, 16),
        "send_queue": int(send, 16),
        "uid": int(words[7]),
        "inode": int(words[9]),
    }


def _endpoint(text: str) -> tuple[str, int]:
    address, port = text.split(":")
    # The kernel prints each word of the address as a number of its own byte order.
    words = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    octets = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    if len(octets) == 16 and octets.startswith(bytes(10) + b"\xff\xff"):
        octets = octets[12:]
    family = socket.AF_INET if len(octets) == 4 else socket.AF_INET6
    return socket.inet_ntop(family, octets), int(port, 16)


def parse_counters(text: str) -> dict[str, int]:
    """Read /proc/net/snmp or netstat: pairs of lines, the names and then their values."""
    found: dict[str, int] = {}
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2]):  # noqa: B905 - Python 3.8 knows no strict
        prefix, *keys = names.split()
        for key, value in zip(keys, values.split()[1:]):  # noqa: B905 - as above
            found[prefix.rstrip(":") + key] = int(value)
    return found


class Program:
    """An agent, or what does as one, on a pair of descriptors, until its input closes."""

    def __init__(self, source: int, sink: int, agent: Any) -> None:
        self._source = source
        self._sink = sink
        self._agent = agent
        self._reader = LineReader()
        self._output = bytearray()
        self._held_up = _held_up()
        os.set_blocking(sink, False)

    def run(self) -> None:
        """Serve until the input closes, then give the last replies a moment to leave."""
        while self._step():
            pass
        self._answer([self._agent.refuse(refusal.why) for refusal in self._reader.end()])
        deadline = time.monotonic() + 0.3
        while self._output and time.monotonic() < deadline:
            poller = select.poll()
            poller.register(self._sink, select.POLLOUT)
            poller.poll(100)
            if not self._flush():
                break

    def _step(self) -> bool:
        poller = select.poll()
        # An output that nobody reads stops the input, but not the watch for its end.
        full = len(self._output) > _OUTPUT_LIMIT
        poller.register(self._source, 0 if full else select.POLLIN)
        poller.register(self._agent.fileno(), select.POLLIN)
        if self._output and self._sink != self._source:
            poller.register(self._sink, select.POLLOUT)
        elif self._output:
            poller.modify(self._source, select.POLLOUT | (0 if full else select.POLLIN))
        for fileno, events in poller.poll():
            if fileno == self._agent.fileno():
                self._answer(self._agent.poll())
            elif fileno == self._source and events & ~select.POLLOUT and not self._read(events):
                return False
        return self._flush()

    def _read(self, events: int) -> bool:
        if not events & select.POLLIN:
            return False
        try:
            octets = os.read(self._source, 65536)
        except BlockingIOError:
            return True
        except OSError:
            return False
        for said in self._reader.feed(octets):
            if isinstance(said, Refusal):
                self._answer([self._agent.refuse(said.why)])
            else:
                self._answer(self._agent.handle(said))
        return bool(octets)

    def _answer(self, replies: Sequence[Reply]) -> None:
        if not replies:
            return
        before, self._held_up = self._held_up, _held_up()
        told = _lateness(self._held_up - before)
        for reply in replies:
            self._output += json.dumps({**told, **reply}).encode() + b"\n"

    def _flush(self) -> bool:
        try:
            while self._output:
                del self._output[: os.write(self._sink, self._output[:65536])]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True


def _lateness(late: float) -> Reply:
    """Return what a reply says of how long it was held up, if that is worth saying."""
    return {"late": late} if late > _NOTABLE else {}


def _held_up() -> float:
    """Return the seconds that this thread has spent ready to run while others ran; 0 if unknown."""
    try:
        counts = Path("/proc/thread-self/schedstat").read_text(encoding="ascii")
        return int(counts.split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _die_with_parent() -> None:
    """Ask Linux for the end of this process when its parent's thread ends (PR_SET_PDEATHSIG)."""
    # A small Python may lack ctypes; the end of the input ends the program anyway.
    with contextlib.suppress(ImportError, OSError, AttributeError):
        importlib.import_module("ctypes").CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


def main(arguments: Sequence[str]) -> None:
    """Serve standard input and output, or the device that is named."""
    # Who presses Ctrl-C means the harness, which ends this program by closing its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    source, sink = 0, 1
    if arguments:
        source = sink = os.open(arguments[0], os.O_RDWR | os.O_NOCTTY)
    if os.isatty(source):
        tty.setraw(source)
    agent = Agent()
    try:
        Program(source, sink, agent).run()
    finally:
        agent.close()


if __name__ == "__main__":
    main(sys.argv[1:])
