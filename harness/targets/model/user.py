"""User: the operations of the agent on the model's sockets, by the agent's names.

The protocol is that of `harness.targets.agent`; here no octets travel.
"""

import base64
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.endpoint import Endpoint
from harness.states import State
from harness.targets.model import information, options, table
from harness.targets.model.filter import UnreadableRuleError
from harness.targets.model.interface import Interface
from harness.targets.model.sockets import ANY, Blocked, Socket, failed
from harness.targets.model.stack import Stack
from harness.wire.memory import DELAY

LOOK = 3 * DELAY
"""Seconds that a look at the stack takes."""

_AT_ONCE = 65536
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_STOPPING = ("SIGSTOP", "SIGCONT", "SIGTSTP")
_KILLED = {"SIGKILL": -9, "SIGTERM": -15, "SIGINT": -2}


@dataclass(slots=True, eq=False)
class ModelReply:
    """One request and what became of it. Times are the virtual clock's, seconds."""

    began: float
    ended: float | None = None
    value: Any = None
    error: str | None = None

    def finished(self) -> bool:
        """Tell whether the call is over."""
        return self.ended is not None


@dataclass(slots=True, eq=False)
class Pending:
    """A call under way, and what tries to end it: it raises Blocked as long as it cannot."""

    reply: ModelReply
    socket: int
    attempt: Callable[[], Any]


class Sending:
    """A send() that goes on until all is taken; `sent` counts octets."""

    def __init__(self, socket: Socket, data: bytes, *, urgent: bool) -> None:
        self._socket = socket
        self._data = data
        self._urgent = urgent
        self.sent = 0

    def __call__(self) -> int:
        """Send what is left."""
        while True:
            self.sent += self._socket.send(self._data[self.sent :], urgent=self._urgent)
            if self.sent == len(self._data):
                return self.sent


@dataclass(slots=True, eq=False)
class User:
    """The program on one host: its sockets, its processes, and a look at the stack.

    `read_sysctl` and `write_sysctl` are those of the host, by name.
    """

    stack: Stack
    interface: Interface
    read_sysctl: Callable[[str], str | None]
    write_sysctl: Callable[[str, str], None]
    _sockets: dict[int, Socket] = field(default_factory=dict)
    _processes: dict[int, Socket] = field(default_factory=dict)
    _pending: list[Pending] = field(default_factory=list)
    _next: int = 1

    def __post_init__(self) -> None:
        self.stack.changed = self.progress

    def request(self, operation: str, **arguments: Any) -> ModelReply:
        """Do what is asked, or begin to; completion comes while the clock waits."""
        reply = ModelReply(self.stack.clock.now())
        act = getattr(self, f"_do_{operation}", None)
        if act is None:
            return self._end(reply, error="ENOSYS")
        try:
            found = act(**arguments)
        except OSError as error:
            return self._end(reply, error=errno.errorcode[error.errno or errno.EIO])
        except UnreadableRuleError as error:
            return self._end(reply, str(error), "EPROTONOSUPPORT")
        except (TypeError, ValueError, KeyError) as error:
            return self._end(reply, f"{type(error).__name__}: {error}", "EINVAL")
        if callable(found):
            self._pending.append(Pending(reply, arguments.get("socket", 0), found))
        else:
            self._end(reply, found)
        self.progress()
        return reply

    def progress(self) -> None:
        """Try every call under way; those of one socket in their order."""
        for pending in list(self._pending):
            try:
                value = pending.attempt()
            except Blocked:
                continue
            except OSError as error:
                name = errno.errorcode[error.errno or errno.EIO]
                self._end(pending.reply, getattr(pending.attempt, "sent", None), name)
            else:
                self._end(pending.reply, value)
            if pending in self._pending:
                self._pending.remove(pending)

    def _end(self, reply: ModelReply, value: Any = None, error: str | None = None) -> ModelReply:
        reply.ended = self.stack.clock.now()
        reply.value, reply.error = value, error
        return reply

    def _hold(self, socket: Socket) -> int:
        number, self._next = self._next, self._next + 1
        self._sockets[number] = socket
        return number

    def _socket(self, number: int) -> Socket:
        if number not in self._sockets:
            raise failed("EBADF")
        return self._sockets[number]

    def _do_hello(self) -> Any:
        return {"protocol": 1, "pid": 0, "system": ["model"]}

    def _do_socket(self, family: str) -> Any:
        if family not in self.stack.addresses:
            raise failed("EAFNOSUPPORT")
        return self._hold(Socket(self.stack, family))

    def _do_bind(self, socket: int, port: int, address: str | None = None) -> Any:
        found = self._socket(socket)
        others = [*self._sockets.values(), *self._processes.values()]
        where = ANY[found.family] if address is None else address
        found.bind(port, where, [each for each in others if each is not found])

    def _do_listen(self, socket: int, backlog: int = 8) -> Any:
        self._socket(socket).listen(backlog)

    def _do_connect(self, socket: int, address: str, port: int) -> Any:
        return self._socket(socket).connect(Endpoint(address, port))

    def _do_accept(self, socket: int) -> Any:
        listening = self._socket(socket)

        def attempt() -> Any:
            accepted = listening.accept()
            assert accepted.connection is not None
            remote = accepted.connection.remote
            return {"socket": self._hold(accepted), "address": remote.address, "port": remote.port}

        return attempt

    def _do_send(
        self,
        socket: int,
        data: str | None = None,
        text: str | None = None,
        size: int = 0,
        *,
        urgent: bool = False,
    ) -> Any:
        octets = (_LETTERS * (size // len(_LETTERS) + 1))[:size]
        if data is not None:
            octets = base64.b64decode(data, validate=True)
        elif text is not None:
            octets = text.encode()
        return Sending(self._socket(socket), octets, urgent=urgent)

    def _do_receive(
        self, socket: int, size: int = 65536, *, urgent: bool = False, peek: bool = False
    ) -> Any:
        found = self._socket(socket)
        return lambda: _text(found.receive(size, urgent=urgent, peek=peek))

    def _do_finish(self, socket: int) -> Any:
        found = self._socket(socket)
        octets = 0

        def attempt() -> int:
            nonlocal octets
            while read := found.receive(_AT_ONCE, urgent=False, peek=False):
                octets += len(read)
            found.shutdown("write")
            return octets

        return attempt

    def _do_wait(self, socket: int, events: list[str]) -> Any:
        found = self._socket(socket)
        return lambda: found.events(events)

    def _do_shutdown(self, socket: int, how: str) -> Any:
        self._socket(socket).shutdown(how)

    def _do_close(self, socket: int) -> Any:
        closing = self._socket(socket)
        del self._sockets[socket]
        self._cancel(socket)
        return closing.close()

    def _cancel(self, socket: int) -> None:
        """End the calls that are under way on a socket."""
        for pending in [each for each in self._pending if each.socket == socket]:
            self._pending.remove(pending)
            self._end(pending.reply, getattr(pending.attempt, "sent", None), "ECANCELED")

    def _do_set(self, socket: int, option: str, value: Any) -> Any:
        found = self._socket(socket)
        if option not in options.OPTIONS:
            raise failed("ENOPROTOOPT")
        if option == "SO_LINGER":
            found.options[option] = (int(value[0]), int(value[1]))
            return
        if option == "TCP_CONGESTION":
            if value != options.RENO:
                raise failed("ENOENT")
            return
        if option in options.ABOVE_ZERO and int(value) < 1:
            raise failed("EINVAL")
        found.options[option] = int(value)
        found.changed_option(option)

    def _do_get(self, socket: int, option: str) -> Any:
        found = self._socket(socket)
        if option not in options.OPTIONS:
            raise failed("ENOPROTOOPT")
        if option == "SO_ERROR":
            return found.take_error()
        if option == "SO_ACCEPTCONN":
            return int(found.listener is not None)
        if option == "TCP_MAXSEG" and found.connection is not None:
            return found.connection.mss
        value = found.options.get(option, options.OPTIONS[option])
        if value is None:
            value = int(getattr(self.stack.parameters, options.PARAMETERS[option]))
        return list(value) if isinstance(value, tuple) else value

    def _do_name(self, socket: int) -> Any:
        found = self._socket(socket)
        if found.connection is not None:
            return [found.connection.local.address, found.connection.local.port]
        return [found.local.address, found.local.port] if found.local else [ANY[found.family], 0]

    def _do_peername(self, socket: int) -> Any:
        c = self._socket(socket).connection
        if c is None or c.state in (State.CLOSED, State.SYN_SENT):
            raise failed("ENOTCONN")
        return [c.remote.address, c.remote.port]

    def _do_info(self, socket: int) -> Any:
        c = self._socket(socket).connection
        if c is None:
            raise failed("ENOTCONN")
        return _text(information.packed(c))

    def _do_errors(self, socket: int) -> Any:
        self._socket(socket)
        raise failed("ENOPROTOOPT")

    def _do_spawn(self, socket: int) -> Any:
        held = self._socket(socket)
        self._cancel(socket)
        del self._sockets[socket]
        self._processes[socket] = held
        return socket

    def _do_kill(self, process: int, signal: str = "SIGKILL") -> Any:
        if process not in self._processes:
            raise failed("ESRCH")
        if signal in _STOPPING:
            return None
        self._processes.pop(process).close()
        return _KILLED.get(signal, -1)

    def _do_exit(self, process: int) -> Any:
        if process not in self._processes:
            raise failed("ESRCH")
        self._processes.pop(process).close()
        return 0

    def _do_sysctl(self, name: str, value: str | int | None = None) -> Any:
        if self.read_sysctl(name) is None:
            raise failed("ENOENT")
        if value is not None:
            self.write_sysctl(name, str(value))
        return self.read_sysctl(name)

    def _do_sysctls(self, names: Sequence[str]) -> Any:
        return {name: self.read_sysctl(name) for name in names}

    def _do_table(self) -> Any:
        return self._later(lambda: table.rows(self.stack))

    def _later(self, look: Callable[[], Any]) -> Callable[[], Any]:
        """Look when all has arrived that is under way on the link: asking takes its time."""
        due = self.stack.clock.now() + LOOK
        self.stack.clock.at(due, self.progress)

        def attempt() -> Any:
            if self.stack.clock.now() < due:
                raise Blocked
            return look()

        return attempt

    def _do_counters(self) -> Any:
        return self._later(lambda: dict(self.stack.counters))

    def _do_iptables(self, family: str, arguments: list[str]) -> Any:
        return self.interface.filters[family].command(arguments)

    def _do_link(self, name: str, *, up: bool) -> Any:
        del name
        self.interface.up = up


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
