"""Sockets: the API of the model's user, with the meaning that POSIX and Linux give it."""

import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from harness.endpoint import Endpoint
from harness.states import State
from harness.targets.model import calls, timeouts
from harness.targets.model.connection import Connection
from harness.targets.model.listener import Listener
from harness.targets.model.stack import Stack

ANY = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 - what the API calls any address
_REUSE_AFTER = 1.0
"""Seconds after which a timestamp has moved on, so that TIME-WAIT may be taken over."""

OPENING = frozenset({State.SYN_SENT, State.SYN_RECEIVED})


class Blocked(Exception):  # noqa: N818 - not an error: the call waits
    """A call cannot go on yet."""


def failed(name: str) -> OSError:
    """Return the error of an errno's name."""
    return OSError(getattr(errno, name), name)


@dataclass(slots=True, eq=False)
class Socket:
    """One socket; `local` is None until it is bound."""

    stack: Stack
    family: str
    options: dict[str, Any] = field(default_factory=dict)
    local: Endpoint | None = None
    connection: Connection | None = None
    listener: Listener | None = None
    spent: bool = False

    def bind(self, port: int, address: str, others: list["Socket"]) -> None:
        """Take a port of an address; OSError if it is taken."""
        if self.local is not None or self.connection is not None:
            raise failed("EINVAL")
        if address not in (ANY[self.family], self.stack.addresses[self.family]):
            raise failed("EADDRNOTAVAIL")
        if port == 0:
            taken = {each.local.port for each in others if each.local}
            free = (p for p in ephemeral_ports(self.stack) if p not in taken)
            port = next(free, 0)
            if port == 0:
                raise failed("EADDRINUSE")
        elif self._taken(port, address, others):
            raise failed("EADDRINUSE")
        self.local = Endpoint(address, port)

    def listen(self, backlog: int) -> None:
        """Let others connect."""
        if self.connection is not None:
            raise failed("EINVAL")
        if self.listener is not None:
            self.listener.backlog = backlog
            return
        if self.local is None:
            self.bind(0, ANY[self.family], [])
        assert self.local is not None
        address = None if self.local.address == ANY[self.family] else self.local.address
        if any(
            other.port == self.local.port
            and other.family == self.family
            and (other.address is None or address in (None, other.address))
            for other in self.stack.listeners
        ):
            raise failed("EADDRINUSE")
        self.listener = Listener(
            self.stack, self.local.port, self.family, address, backlog, self.options
        )
        self.stack.listeners.append(self.listener)

    def connect(self, remote: Endpoint) -> Callable[[], None]:
        """OPEN actively; return what tells whether it is over."""
        if self.listener is not None:
            raise failed("EISCONN")
        if self.connection is not None:
            opening = self.connection.state in OPENING
            raise failed("EALREADY" if opening else "EISCONN")
        if self.spent and self.stack.parameters.connect_only_once:
            raise failed("EINVAL")
        if not self.stack.may_be_peer(remote.address):
            raise failed("ENETUNREACH")
        c = Connection(self.stack, self._chosen(remote), remote, self.options)
        self.connection = c
        self.stack.remember(c)
        calls.active_open(c)
        return self._connected

    def _connected(self) -> None:
        c = self.connection
        if c is None or c.state in OPENING:
            raise Blocked
        if c.closed and c.error:
            self.connection, self.spent = None, True
            raise failed(c.error)

    def accept(self) -> "Socket":
        """Take the next connection."""
        if self.listener is None:
            raise failed("EINVAL")
        if not self.listener.queue:
            raise Blocked
        c = self.listener.queue.popleft()
        c.options = dict(c.options)
        return Socket(self.stack, self.family, c.options, c.local, c)

    def send(self, data: bytes, *, urgent: bool) -> int:
        """SEND as much as there is room for."""
        c = self._connection("EPIPE")
        self._raise_error(c)
        if c.state in OPENING:
            raise Blocked
        if c.closed or calls.sendable(c):
            raise failed("EPIPE")
        if data and not c.room:
            raise Blocked
        return calls.send(c, data, urgent=urgent)

    def receive(self, size: int, *, urgent: bool, peek: bool) -> bytes:
        """RECEIVE what has come, at most so many octets."""
        c = self._connection("ENOTCONN")
        if urgent:
            if not c.urgent and c.rcv_up is not None:
                raise Blocked
            if not c.urgent:
                raise failed("EINVAL")
            data, c.urgent = c.urgent, c.urgent if peek else b""
            return data
        if c.received:
            data = bytes(c.received[:size])
            if not peek:
                del c.received[:size]
                calls.taken(c)
            return data
        self._raise_error(c)
        if c.fin_received or c.read_shut:
            return b""
        raise Blocked

    def shutdown(self, how: str) -> None:
        """Stop one direction or both."""
        c = self._connection("ENOTCONN")
        if c.state in (State.CLOSED, State.SYN_SENT):
            raise failed("ENOTCONN")
        if how != "write":
            c.read_shut = True
        if how != "read" and not c.fin_queued:
            calls.close(c)

    def close(self) -> Callable[[], None] | None:
        """Let go of it; return what tells when SO_LINGER no longer makes it wait."""
        if self.listener is not None:
            self.stack.listeners.remove(self.listener)
            self.listener.close()
        c = self.connection
        if c is None or c.closed:
            return None
        lingers, seconds = self.options.get("SO_LINGER", (0, 0))
        if lingers and not seconds:
            c.orphan = True
            calls.abort(c)
            return None
        calls.release(c)
        if not lingers or c.closed:
            return None
        deadline = self.stack.clock.now() + seconds
        self.stack.timer(lambda: None).start(seconds)

        def over() -> None:
            waiting = c.buffer or not c.fin_acknowledged
            if not c.closed and waiting and self.stack.clock.now() < deadline:
                raise Blocked

        return over

    def events(self, wanted: list[str]) -> list[str]:
        """Return the events that are there, of those wanted, and errors and hang-ups."""
        c = self.connection
        if c is None:
            found = ["POLLIN"] if self.listener and self.listener.queue else []
            found = found if self.listener else ["POLLOUT", "POLLHUP"]
        else:
            closed = c.closed
            readable = bool(c.received) or c.fin_received or c.read_shut or c.error is not None
            writable = closed or (c.state not in OPENING and (c.fin_queued or c.room > 0))
            there = {
                "POLLIN": readable,
                "POLLPRI": bool(c.urgent) or c.rcv_up is not None,
                "POLLOUT": writable,
                "POLLERR": c.error is not None,
                "POLLHUP": closed or (c.fin_received and c.fin_queued),
                "POLLRDHUP": c.fin_received or c.read_shut,
            }
            found = [name for name, holds in there.items() if holds]
        found = [name for name in found if name in wanted or name in ("POLLERR", "POLLHUP")]
        if not found:
            raise Blocked
        return found

    def changed_option(self, name: str) -> None:
        """Let an option that was set have its effect on the connection that there is."""
        c = self.connection
        if c is not None and name in ("SO_KEEPALIVE", "TCP_KEEPIDLE"):
            c.timers.keepalive.stop()
            timeouts.keep_alive(c)
        elif c is not None and name == "TCP_NODELAY":
            calls.taken(c)

    def take_error(self) -> int:
        """Return the pending error's number, and forget it: SO_ERROR."""
        c = self.connection
        if c is None or c.error is None:
            return 0
        found, c.error = c.error, None
        return int(getattr(errno, found))

    def _connection(self, error: str) -> Connection:
        if self.connection is None:
            raise failed(error)
        return self.connection

    def _raise_error(self, c: Connection) -> None:
        if c.error is not None:
            error, c.error = c.error, None
            raise failed(error)

    def _taken(self, port: int, address: str, others: list["Socket"]) -> bool:
        """Tell whether a port is in the way: a socket's, or a connection's that has none."""
        reuse = bool(self.options.get("SO_REUSEADDR"))
        for other in others:
            here = other.local
            if here is None or here.port != port or other.family != self.family:
                continue
            if address != here.address and ANY[self.family] not in (address, here.address):
                continue
            if not (reuse and other.options.get("SO_REUSEADDR")) or other.listener is not None:
                return True
        both = self.stack.parameters.reuse_needs_both
        return any(
            c.local.port == port
            and self.stack.family(c.local) == self.family
            and c.holds_port
            and not (reuse and (not both or c.options.get("SO_REUSEADDR")))
            for c in self.stack.connections.values()
        )

    def _chosen(self, remote: Endpoint) -> Endpoint:
        """Return the local end of a connection to be; OSError if there is none left."""
        address = self.stack.addresses[self.family]
        if self.local is not None:
            local = Endpoint(address, self.local.port)
            if not self._free(local, remote):
                raise failed("EADDRNOTAVAIL")
            return local
        for port in ephemeral_ports(self.stack):
            if self._free(Endpoint(address, port), remote):
                self.local = Endpoint(address, port)
                return self.local
        raise failed("EADDRNOTAVAIL")

    def _free(self, local: Endpoint, remote: Endpoint) -> bool:
        """Tell whether a pair of ends is free; one in TIME-WAIT may be taken over."""
        c = self.stack.connections.get((local, remote))
        if c is None:
            return True
        old = c.now - c.ts_recent_at > _REUSE_AFTER and c.timestamps
        if c.state is not State.TIME_WAIT or c.parameters.time_wait_reuse != 1 or not old:
            return False
        c.delete()
        return True


def ephemeral_ports(stack: Stack) -> Iterator[int]:
    """Return the ephemeral ports, beginning at one that is hard to guess (RFC 6056)."""
    first, last = stack.parameters.ephemeral_port_first, stack.parameters.ephemeral_port_last
    count = last - first + 1
    begin = random.randrange(count)
    return (first + (begin + step) % count for step in range(count))
