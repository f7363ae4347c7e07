"""User: the operations of the agent on host sockets, whose far end is libslirp.

The user of libslirp is a program on the host: its sockets are the kernel's, on the loopback of a
namespace of their own. What they say of addresses is translated to what is on the link. What only
the kernel would do (options of its TCP, for one) is refused: it says nothing of the stack.
"""

import contextlib
import errno
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.targets.agent import Agent
from harness.targets.slirp.library import Slirp
from harness.targets.slirp.table import Connections, ends, row

Request = dict[str, Any]
Reply = dict[str, Any]

_FIRST_FORWARD = 61_000
_LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}
_ANY = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 - the user's word
_ABSENT = ("sysctl", "sysctls", "counters", "iptables", "link", "reset")
_OF_THE_KERNEL = ("info", "errors", "ioctl")
_SET = ("SO_REUSEADDR", "SO_LINGER", "SO_OOBINLINE")
_GET = (*_SET, "SO_ERROR", "SO_ACCEPTCONN", "SO_TYPE")
# Jacobson's of 1990, with fast recovery, and there is no other.
CONGESTION_CONTROL = "reno"
_UNDER_WAY = ("SYN-SENT", "SYN-RECEIVED")


@dataclass(slots=True)
class _Connecting:
    """A connect() whose host socket is connected, while the stack still opens."""

    name: int
    began: float
    socket: int
    seen: bool = False


@dataclass(slots=True)
class User:
    """The program on the host. `now` is the stack's clock in seconds, `places` where who is."""

    slirp: Slirp
    places: Mapping[str, str]
    now: Callable[[], float]
    forwards: dict[int, tuple[str, int]] = field(default_factory=dict)
    _agent: Agent = field(init=False)
    _connections: Connections = field(init=False)
    _families: dict[int, str] = field(default_factory=dict)
    _remotes: dict[int, tuple[str, int]] = field(default_factory=dict)
    _asked: dict[int, Request] = field(default_factory=dict)
    _connecting: list[_Connecting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._agent = Agent(now=self.now, make=_stream)
        self._connections = Connections(self.places, self.forwards)

    def handle(self, request: Request) -> list[Reply]:
        """Do what is asked, or begin to; return the replies that are there now."""
        operation, began = str(request.get("op")), self.now()
        if operation in _ABSENT:
            return [self._reply(request, began, f"libslirp has no {operation}", "ENOSYS")]
        if request.get("option") == "TCP_CONGESTION":
            same = operation == "get" or request.get("value") == CONGESTION_CONTROL
            return [self._reply(request, began, CONGESTION_CONTROL, None if same else "ENOENT")]
        if operation in _OF_THE_KERNEL or not self._has(request):
            return [self._reply(request, began, None, "ENOPROTOOPT")]
        if operation == "table":
            return [self._reply(request, began, self._table())]
        if operation == "peername" and self._pending(request.get("socket")):
            return [self._reply(request, began, None, "ENOTCONN")]
        return self._of_the_host(request, began)

    def _of_the_host(self, request: Request, began: float) -> list[Reply]:
        """Hand a call to the host's sockets, with its addresses translated."""
        try:
            translated = self._outward(request)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "EADDRNOTAVAIL")
            return [self._reply(request, began, None, name)]
        self._asked[request["id"]] = request
        cancelled = self._closing(request) if request["op"] in ("close", "spawn") else []
        return [*cancelled, *self._inward(self._agent.handle(translated))]

    def poll(self) -> list[Reply]:
        """Return the replies of the calls that are over by now."""
        replies = self._inward(self._agent.poll())
        if self._connecting:
            states = self._by_port()
            for each in tuple(self._connecting):
                replies += self._opened(each, states)
        return replies

    def close(self) -> None:
        """Let go of all sockets."""
        self._agent.close()

    def _has(self, request: Request) -> bool:
        option = request.get("option")
        if request["op"] == "get":
            return option in _GET
        if request["op"] == "set" and option == "SO_LINGER":
            # An abort is told to the stack; how long close() waits would be the kernel's.
            value = request.get("value")
            return isinstance(value, list) and len(value) == 2 and not (value[0] and value[1])
        return request["op"] != "set" or option in _SET

    def _outward(self, request: Request) -> Request:
        """Translate addresses of the link to the host's; OSError for one that nobody has."""
        family = self._families.get(request.get("socket", 0), "ipv4")
        if request["op"] == "bind":
            address = request.get("address", _ANY[family])
            ours = address in (_ANY[family], self.places[family])
            return {**request, "address": _LOOPBACK[family] if ours else address}
        if request["op"] == "connect":
            guest = request.get("address"), request.get("port")
            return {**request, "address": _LOOPBACK[family], "port": self._forward(family, guest)}
        return request

    def _forward(self, family: str, guest: tuple[Any, Any]) -> int:
        """Return the port of the host that is forwarded to the peer's endpoint."""
        for port, (address, there) in self.forwards.items():
            if (address, there) == guest:
                return port
        port = _FIRST_FORWARD + len(self.forwards)
        self.slirp.forward((_LOOPBACK[family], port), guest)
        self.forwards[port] = guest
        return port

    def _inward(self, replies: list[Reply]) -> list[Reply]:
        found = []
        for reply in replies:
            request = self._asked.pop(reply["id"], None)
            if request is None or reply["error"] is not None:
                found.append(reply)
            elif request["op"] == "connect":
                self._remotes[request["socket"]] = request["address"], request["port"]
                self._connecting.append(_Connecting(reply["id"], reply["began"], request["socket"]))
            else:
                found.append({**reply, "value": self._translated(request, reply["value"])})
        return found

    def _translated(self, request: Request, value: Any) -> Any:
        number = request.get("socket", 0)
        family = self._families.get(number, "ipv4")
        match request["op"]:
            case "socket":
                self._families[value] = request["family"]
            case "name" if value[0] == _LOOPBACK[family]:
                return [self.places[family], value[1]]
            case "peername":
                return list(self._remotes.get(number, value))
            case "accept":
                accepted = value["socket"]
                self._families[accepted] = family
                self._remotes[accepted] = self._far_end((value["address"], value["port"]))
                address, port = self._remotes[accepted]
                return {"socket": accepted, "address": address, "port": port}
        return value

    def _far_end(self, host: tuple[str, int]) -> tuple[str, int]:
        """Return the endpoint on the link of the connection with this end on the host."""
        for each, descriptor in self._connections.rows(self.slirp.connections()):
            if ends(descriptor)[0] == host:
                return each["remote_address"], each["remote_port"]
        return host

    def _table(self) -> list[Reply]:
        rows = [each for each, _ in self._connections.rows(self.slirp.connections())]
        for each in self._agent.handle({"id": 0, "op": "table"})[0]["value"]:
            if each["state"] == "LISTEN" and each["local_port"] not in self.forwards:
                family = each["family"]
                local = self.places[family], each["local_port"]
                rows.append(row(family, "LISTEN", local, (_ANY[family], 0)))
        return rows

    def _by_port(self) -> dict[tuple[int, tuple[str, int]], str]:
        return {
            (each["local_port"], (each["remote_address"], each["remote_port"])): each["state"]
            for each, _ in self._connections.rows(self.slirp.connections())
        }

    def _opened(
        self, each: _Connecting, states: dict[tuple[int, tuple[str, int]], str]
    ) -> list[Reply]:
        port = self._ask("name", each.socket)[1]
        state = states.get((port, self._remotes[each.socket]))
        each.seen = each.seen or state is not None
        if state in _UNDER_WAY or not each.seen:
            return []
        self._connecting.remove(each)
        error = None
        if state is None:
            # All that libslirp tells its user is the end of the stream.
            with contextlib.suppress(OSError):
                error = errno.errorcode.get(self._ask("get", each.socket, option="SO_ERROR"))
            error = error or "ECONNABORTED"
        return [self._reply({"id": each.name}, each.began, None, error)]

    def _ask(self, operation: str, number: int, **more: Any) -> Any:
        request = {"id": 0, "op": operation, "socket": number, **more}
        return self._agent.handle(request)[0]["value"]

    def _pending(self, number: Any) -> bool:
        return any(each.socket == number for each in self._connecting)

    def _closing(self, request: Request) -> list[Reply]:
        ended = [each for each in self._connecting if each.socket == request.get("socket")]
        self._connecting = [each for each in self._connecting if each not in ended]
        return [self._reply({"id": each.name}, each.began, None, "ECANCELED") for each in ended]

    def _reply(self, request: Request, began: float, value: Any, error: str | None = None) -> Reply:
        return {
            "id": request.get("id"),
            "value": value,
            "error": error,
            "began": began,
            "at": self.now(),
        }


def _stream(family: int) -> socket.socket:
    """Make a socket that holds nothing back: what is sent when is the stack's affair."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
