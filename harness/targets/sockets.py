"""Sockets: the socket interface of a target, as testcases use it."""

import base64
import errno
import ipaddress
import struct
from typing import Any

from harness.endpoint import Endpoint
from harness.errors import HarnessError, Inconclusive, Unsupported
from harness.targets import sock_diag
from harness.targets.calls import Call, Desk
from harness.targets.driver import Capability

# A testcase names the option of IPv4; these are the same of IPv6.
_OF_IPV6 = {
    "IP_MINTTL": "IPV6_MINHOPCOUNT",
    "IP_MTU": "IPV6_MTU",
    "IP_MTU_DISCOVER": "IPV6_MTU_DISCOVER",
    "IP_RECVERR": "IPV6_RECVERR",
    "IP_RECVTOS": "IPV6_RECVTCLASS",
    "IP_TOS": "IPV6_TCLASS",
    "IP_TTL": "IPV6_UNICAST_HOPS",
}

# A close() waits for the other side only where SO_LINGER says so; that is left under way.
_CLOSING = 0.2

# struct cmsghdr, what messages are aligned to, and the level and type of IP_TOS.
_MESSAGE = struct.Struct("@Nii")
_MESSAGE_ALIGNMENT = struct.calcsize("@N")
_TOS = (0, 1)


class Socket:
    """A socket inside the target. What its calls return is the testcase's to look at."""

    def __init__(self, desk: Desk, number: int, family: str) -> None:
        self._desk = desk
        self._number = number
        self._family = family

    def bind(self, port: int, address: str | None = None) -> Call:
        """Bind to a port (0: any) of one address, or of all."""
        where = {} if address is None else {"address": address}
        return self._do("bind", f"bind({port})", port=port, **where)

    def listen(self, backlog: int = 8) -> Call:
        """Let others connect."""
        return self._do("listen", f"listen({backlog})", backlog=backlog)

    def accept(self) -> Call:
        """Take the next connection; its socket is the call's `socket`."""

        def accepted(value: Any) -> Socket:
            return Socket(self._desk, natural(value["socket"]), self._family)

        return self._desk.start("accept", "accept()", read=accepted, socket=self._number)

    def connect(self, remote: Endpoint) -> Call:
        """Connect to an endpoint; may be asked again after a failure."""
        return self._desk.start(
            "connect",
            f"connect({remote.port})",
            made=self,
            socket=self._number,
            address=remote.address,
            port=remote.port,
        )

    def send(self, data: bytes | int, *, urgent: bool = False) -> Call:
        """Send octets, or so many letters of the alphabet; its value is the octets taken."""
        size = data if isinstance(data, int) else len(data)
        what: dict[str, Any] = {"size": data}
        if isinstance(data, bytes):
            what = {"data": base64.b64encode(data).decode("ascii")}
        text = f"send({size}, MSG_OOB)" if urgent else f"send({size})"
        return self._start("send", text, read=natural, quiet=True, urgent=urgent, **what)

    def receive(self, size: int = 65536, *, urgent: bool = False, peek: bool = False) -> Call:
        """Receive at most so many octets; its value is the octets, none at the end of the file."""
        text = "recv(MSG_OOB)" if urgent else "recv()"
        return self._start("receive", text, read=_octets, size=size, urgent=urgent, peek=peek)

    def finish(self) -> Call:
        """Read until the end of the file, then shut sending down at once; its value is the octets.

        That is what a program does that closes when its peer has: no request goes in between.
        """
        return self._start("finish", "recv() to the end", read=natural)

    def wait_for(self, *events: str) -> Call:
        """Wait for POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLERR or POLLHUP, any of those named."""
        return self._start("wait", f"poll({', '.join(events)})", read=list, events=list(events))

    def shutdown(self, how: str) -> Call:
        """Stop one direction, "read" or "write", or "both"."""
        return self._do("shutdown", f"shutdown({how})", how=how)

    def close(self) -> Call:
        """Let go of it; under way for as long as SO_LINGER makes that wait."""
        return self._start("close", "close()", quiet=True).wait(_CLOSING)

    def set(self, option: str, value: Any) -> None:
        """Set a socket option by its name; Unsupported if the target does not have or take it.

        SO_LINGER takes [on, seconds]. Options of IPv4's name stand for those of IPv6 too.
        """
        name = self._spelt(option)
        try:
            self._desk.ask("set", socket=self._number, option=name, value=value)
        except OSError as error:
            raise self._without(name, error, f" = {value}") from None
        self._desk.note(self._desk.clock.now(), f"setsockopt({name}, {value})")

    def get(self, option: str) -> Any:
        """Return a socket option's value; Unsupported if the target does not have it."""
        name = self._spelt(option)
        try:
            value = self._desk.ask("get", socket=self._number, option=name)
        except OSError as error:
            raise self._without(name, error) from None
        return self._desk.read(name, value, _setting)

    def set_octets(self, option: str, octets: bytes) -> None:
        """Set an option whose value is octets: IP_OPTIONS, TCP_FASTOPEN_KEY."""
        self.set(option, base64.b64encode(octets).decode("ascii"))

    def get_octets(self, option: str) -> bytes:
        """Return an option's value as octets; Unsupported if the target does not have it."""
        return self._desk.read(option, self.get(option), _octets)  # type: ignore[no-any-return]

    def received_tos(self) -> int | None:
        """Return DSCP and ECN of what came last, or None where that is not told (IP_RECVTOS)."""
        octets = self.get_octets("IP_PKTOPTIONS")
        while len(octets) > _MESSAGE.size:
            length, level, kind = _MESSAGE.unpack_from(octets)
            if (level, kind) == _TOS:
                return octets[_MESSAGE.size]
            octets = octets[max(length + -length % _MESSAGE_ALIGNMENT, 1) :]
        return None

    def ask(self, request: str) -> int:
        """Return what an ioctl says: SIOCINQ, SIOCOUTQ (octets), or SIOCATMARK (0 or 1)."""
        number = self._look("ioctl", request=request)
        return self._desk.read(request, number, natural)  # type: ignore[no-any-return]

    @property
    def local(self) -> Endpoint:
        """Its own address and port."""
        return self._desk.read("getsockname()", self._look("name"), _endpoint)  # type: ignore[no-any-return]

    @property
    def remote(self) -> Endpoint:
        """The address and port that it is connected to; Inconclusive if it is not connected."""
        return self._desk.read("getpeername()", self._look("peername"), _endpoint)  # type: ignore[no-any-return]

    def info(self) -> dict[str, Any]:
        """Return TCP_INFO by the names of `sock_diag.tcp_info`."""
        self._desk.need(Capability.TCP_INFO)
        octets = self._desk.read("TCP_INFO", self._look("info"), _octets)
        return sock_diag.tcp_info(octets)

    def reported(self, field: str) -> int:
        """Return one field of TCP_INFO; Unsupported if the target does not fill it in."""
        found = self.info()
        if field not in found:
            raise Unsupported(f"{self._desk.name} has no {field} in TCP_INFO")
        return int(found[field])

    def errors(self) -> list[dict[str, Any]]:
        """Empty the error queue (IP_RECVERR); an entry has error, origin, type, code, offender."""
        return self._desk.read("the error queue", self._look("errors"), _entries)  # type: ignore[no-any-return]

    def spawn(self) -> "Child":
        """Hand the socket to a child process, the only one that holds it from now on."""
        number = self._look("spawn")
        self._desk.note(self._desk.clock.now(), "fork()")
        return Child(self._desk, self._desk.read("fork()", number, natural))

    def _look(self, operation: str, **arguments: Any) -> Any:
        try:
            return self._desk.ask(operation, socket=self._number, **arguments)
        except OSError as error:
            if error.errno in {errno.ENOPROTOOPT, errno.ENOTTY}:
                raise Unsupported(f"{self._desk.name} has no {operation} of a socket") from None
            raise Inconclusive(f"{operation} of a socket failed: {_named(error)}") from None

    def _spelt(self, option: str) -> str:
        return _OF_IPV6.get(option, option) if self._family == "ipv6" else option

    def _without(self, name: str, error: OSError, setting: str = "") -> Unsupported | HarnessError:
        if error.errno == errno.EBADF:
            return HarnessError(f"{name} of a socket that is closed")
        if error.errno == errno.ENOPROTOOPT:
            return Unsupported(f"{self._desk.name} has no {name}")
        return Unsupported(f"{self._desk.name} refuses {name}{setting}: {_named(error)}")

    def _start(self, operation: str, text: str, **more: Any) -> Call:
        return self._desk.start(operation, text, socket=self._number, **more)

    def _do(self, operation: str, text: str, **arguments: Any) -> Call:
        return self._desk.do(operation, text, socket=self._number, **arguments)


class Listener:
    """A listening socket and its port."""

    def __init__(self, socket: Socket, port: int) -> None:
        self.socket = socket
        self.port = port

    def accept(self) -> Call:
        """Take the next connection; its socket is the call's `socket`."""
        return self.socket.accept()

    def close(self) -> Call:
        """Stop listening."""
        return self.socket.close()


class Child:
    """A process inside the target that holds a socket and does nothing."""

    def __init__(self, desk: Desk, number: int) -> None:
        self._desk = desk
        self._number = number

    def kill(self, signal: str = "SIGKILL") -> None:
        """Send it a signal, and wait for its end unless the signal is SIGSTOP or SIGCONT."""
        self._end("kill", f"kill({signal})", signal=signal)

    def exit(self) -> None:
        """Let it exit without having closed the socket."""
        self._end("exit", "exit()")

    def _end(self, operation: str, text: str, **arguments: Any) -> None:
        self._desk.note(self._desk.clock.now(), text)
        try:
            self._desk.ask(operation, process=self._number, **arguments)
        except OSError as error:
            raise HarnessError(f"{text} of a child failed: {_named(error)}") from None


def natural(value: Any) -> int:
    """Return a number that is not negative; TypeError or ValueError for anything else."""
    if type(value) is not int:
        raise TypeError("not a number")
    if value < 0:
        raise ValueError("negative")
    return value


def word(value: Any) -> str:
    """Return a text; TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _setting(value: Any) -> Any:
    if isinstance(value, list):
        return [_setting(each) for each in value]
    return word(value) if isinstance(value, str) else int(value)


def _entries(value: Any) -> list[dict[str, Any]]:
    return [dict(each) for each in value]


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error))


def _octets(value: Any) -> bytes:
    return base64.b64decode(value, validate=True)


def _endpoint(value: Any) -> Endpoint:
    address, port = value
    ipaddress.ip_address(address)
    return Endpoint(address, natural(port))
