"""Container: one that runs, as a stack for testcase after testcase, cleaned in between.

Nothing of one testcase may reach the next. What a testcase leaves in a network namespace is wiped
where that can be done; where it cannot, or where it cannot be known, the container is not used
again.
"""

import contextlib
import errno
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, Inconclusive
from harness.targets import network, sock_diag
from harness.targets.agent import parse_counters
from harness.targets.channel import AgentReply, StreamChannel, answered
from harness.targets.guardian import Guardian
from harness.targets.namespace import (
    Namespace,
    interfaces,
    sysctl_path,
    write_sysctls,
)
from harness.wire.real import RealClock

_ROOT = Path("/proc/sys/net")
_FRAME = struct.Struct(">BxxxI")
_STDOUT, _STDERR = 1, 2
_CONSOLE = 4000
_SYSCTL_SIZE = 4096
_RESET_WITHIN = 3.0

# Made when Fast Open is first used, and valid for as long as the namespace lives.
_FAST_OPEN_KEY = "/proc/sys/net/ipv4/tcp_fastopen_key"

# What these count leaves marks that only a new namespace is free of: budgets of messages, tallies
# of attacks, remembered peers. There is no budget of echo replies.
_INDELIBLE = (
    "IcmpOutDestUnreachs",
    "IcmpOutParmProbs",
    "IcmpOutRedirects",
    "IcmpOutTimeExcds",
    "Icmp6OutDestUnreachs",
    "Icmp6OutParmProblems",
    "Icmp6OutPktTooBigs",
    "Icmp6OutTimeExcds",
    "IpReasmReqds",
    "Ip6ReasmReqds",
    "TcpExtTCPChallengeACK",
    "TcpExtTCPFastOpenBlackhole",
    "TcpExtTCPReqQFullDoCookies",
    "TcpExtTCPReqQFullDrop",
)

# States and settings among the counters, which do not begin at zero.
_GAUGES = frozenset(
    {
        "IpForwarding",
        "IpDefaultTTL",
        "TcpRtoAlgorithm",
        "TcpRtoMin",
        "TcpRtoMax",
        "TcpMaxConn",
        "TcpCurrEstab",
    }
)


class Demultiplexer:
    """Takes a container's output out of the frames that an engine sends it in."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._said = bytearray()

    @property
    def said(self) -> str:
        """The last that the container wrote to its standard error."""
        return self._said.decode(errors="replace").strip()

    def __call__(self, octets: bytes) -> bytes:
        """Take more of the stream; return what of it is standard output."""
        self._rest += octets
        found = bytearray()
        while len(self._rest) >= _FRAME.size:
            kind, size = _FRAME.unpack_from(self._rest)
            if kind not in {0, _STDOUT, _STDERR}:
                raise HarnessError("the Docker engine sends what is no frame of a container's")
            if len(self._rest) < _FRAME.size + size:
                break
            piece = self._rest[_FRAME.size : _FRAME.size + size]
            del self._rest[: _FRAME.size + size]
            if kind == _STDERR:
                self._said = (self._said + piece)[-_CONSOLE:]
            else:
                found += piece
        return bytes(found)


class Container:
    """A running container: its namespace, its agent's stream, and what it was like when fresh.

    `pid` is its main process's, `stream` the engine's connection that is its input and output.
    `gone` says why its stream may have ended, `name` is the engine's for it. The container ends
    with its stream.
    """

    def __init__(
        self,
        pid: int,
        stream: socket.socket,
        guardian: Guardian,
        *,
        gone: Callable[[], str] = lambda: "its container is gone",
        name: str = "",
    ) -> None:
        """Hold it; OSError if its process or its namespace is not within reach."""
        self.name = name
        self._stream = stream
        self._gone = gone
        self._guardian = guardian
        self._frames = Demultiplexer()
        self._process = os.pidfd_open(pid)
        try:
            self.namespace = Namespace.of_process(pid)
            # It answers on the link: frames keep their order only if it does not move either.
            os.sched_setaffinity(pid, os.sched_getaffinity(0))
            self._number = guardian.hold(self.namespace.descriptor)
            with self.namespace.entered():
                self._sysctls = _read_all(_writable())
                self._interfaces = interfaces()
                self._counters = _counters()
        except BaseException:
            os.close(self._process)
            raise
        self.marked = ""

    @property
    def said(self) -> str:
        """The last that it wrote to its standard error."""
        return self._frames.said

    def channel(self, clock: RealClock, name: str) -> "ContainerChannel":
        """Return a way to its agent, for one testcase."""
        stream = StreamChannel(
            os.dup(self._stream.fileno()),
            os.dup(self._stream.fileno()),
            clock,
            name=name,
            unframe=self._frames,
            lost=lambda why: Inconclusive(f"{why}: {self._why()}"),
        )
        return ContainerChannel(self, stream, clock)

    def counters(self) -> dict[str, int]:
        """Return its stack's counters as they are for a testcase: they begin at zero."""
        with self.namespace.entered():
            now = _counters()
        return {
            key: value if key in _GAUGES else value - self._counters.get(key, 0)
            for key, value in now.items()
        }

    def clean(self) -> str | None:
        """Wipe off what a testcase left, once its link is gone; return what cannot be, or None."""
        if self.marked:
            return self.marked
        with self.namespace.entered():
            sock_diag.destroy_all()
            network.forget_metrics()
            left = self._restore() or self._remains()
            self._counters = _counters()
        return left

    def end(self) -> None:
        """End it and let it go; a second call does nothing."""
        if self._process < 0:
            return
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        # An engine that is gone ends nothing any more.
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        os.close(self._process)
        self._process = -1
        with contextlib.suppress(OSError):
            self.namespace.close()
        self._guardian.release(self._number)

    def _why(self) -> str:
        return " ".join(filter(None, (self._gone(), self.said.rpartition("\n")[2])))

    def _restore(self) -> str | None:
        """Set the sysctls back that differ; return the name of one that stays different."""
        for _ in range(2):
            now = _read_all(self._sysctls)
            changed = [path for path, old in self._sysctls.items() if now.get(path) != old]
            if not changed:
                return None
            if _FAST_OPEN_KEY in changed:
                break
            for path in changed:
                with contextlib.suppress(OSError):
                    Path(path).write_bytes(self._sysctls[path])
        return changed[0]

    def _remains(self) -> str | None:
        if sock_diag.dump():
            return "a socket"
        if interfaces() != self._interfaces:
            return "an interface"
        now = _counters()
        for name in _INDELIBLE:
            if now.get(name, 0) != self._counters.get(name, 0):
                return name
        return None


class ContainerChannel:
    """The way to a container's agent: what it may not do itself is done from outside.

    To a container /proc/sys is read-only, and its counters go on from testcase to testcase.
    """

    def __init__(self, container: Container, stream: StreamChannel, clock: RealClock) -> None:
        self._container = container
        self._stream = stream
        self._clock = clock

    def request(self, operation: str, **arguments: Any) -> AgentReply:
        """Ask for an operation; Inconclusive if the container or its engine is gone."""
        if operation == "sysctl":
            return self._outside(operation, lambda: self._sysctl(**arguments))
        if operation == "sysctls":
            return self._outside(operation, lambda: self._sysctls(**arguments))
        if operation == "counters":
            return self._outside(operation, self._container.counters)
        if operation == "iptables":
            # Rules can be flushed, but not the tables and the tracking that come with them.
            self._container.marked = "a firewall"
        return self._stream.request(operation, **arguments)

    def reset(self) -> None:
        """Have the agent let go of everything; the container is marked if that fails."""
        try:
            reply = self._stream.request("reset")
            answered(reply, self._clock, name="the container", within=_RESET_WITHIN)
        except (HarnessError, Inconclusive) as error:
            self._container.marked = str(error)
        else:
            self._container.marked = self._container.marked or reply.error or ""

    def close(self) -> None:
        """Let go of the stream, which stays open for the next testcase."""
        self._stream.close()

    def _outside(self, operation: str, act: Callable[[], Any]) -> AgentReply:
        began = self._clock.now()
        value: Any = None
        name: str | None = None
        try:
            value = act()
        except ValueError as error:
            value, name = str(error), "EINVAL"
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "EIO")
        return AgentReply(operation, began, self._clock.now(), value, name)

    def _sysctl(self, name: str, value: object = None) -> str:
        path = sysctl_path(name)
        if not path.is_relative_to(_ROOT):
            raise ValueError(f"{name} is not a setting of a network namespace")
        with self._container.namespace.entered():
            if value is not None:
                write_sysctls({name: str(value)})
            return " ".join(path.read_text("ascii").split())

    def _sysctls(self, names: Sequence[str]) -> dict[str, str | None]:
        return {**dict.fromkeys(names), **self._container.namespace.read(tuple(names))}


def _writable() -> list[str]:
    """Return the files of the sysctls that belong to the calling thread's namespace."""
    return [
        str(path)
        for folder, _, files in os.walk(_ROOT)
        for path in (Path(folder, file) for file in files)
        # Those of the whole machine are shown read-only.
        if path.stat().st_mode & 0o222
    ]


def _read_all(paths: Iterable[str]) -> dict[str, bytes]:
    """Return what the files hold; those that cannot be read now are left out.

    There are several hundred of them, read after each testcase.
    """
    found = {}
    for path in paths:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            found[path] = os.read(descriptor, _SYSCTL_SIZE)
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return found


def _counters() -> dict[str, int]:
    """Return the counters of the calling thread's namespace."""
    found: dict[str, int] = {}
    net = Path("/proc/thread-self/net")
    for name in ("snmp", "netstat"):
        found.update(parse_counters((net / name).read_text("ascii")))
    with contextlib.suppress(FileNotFoundError):
        lines = (net / "snmp6").read_text("ascii").splitlines()
        found.update((key, int(value)) for key, value in map(str.split, lines))
    return found


def creation_sysctls(writes: Mapping[str, str]) -> dict[str, str]:
    """Return what of a stack's sysctls a container can be created with.

    Those of an interface must wait until it is there.
    """
    return {
        name: value
        for name, value in writes.items()
        if ".conf." not in name and ".neigh." not in name and "/" not in name
    }
