"""Nursery: a process that forks another for each testcase, in which a stack's library lives.

A library may crash, and what one testcase leaves in it would reach the next. So each testcase has a
process of its own, in a namespace of its own; forking it costs a few milliseconds, since this one
has loaded all that it needs. Run as a program it needs the standard library only.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError
from harness.targets.guardian import die_with_parent
from harness.targets.namespace import Namespace

_CLONE_NEWNET = 0x40000000
_ORDER_LIMIT = 1 << 16
_BORN_WITHIN = 10.0
_CONSOLE = 4000

# Python's own package would bring the whole harness, which a stack's process does not need.
_PROGRAM = """
import sys, types
package = types.ModuleType("harness")
package.__path__ = [sys.argv[1]]
sys.modules["harness"] = package
from harness.targets import nursery
nursery.main(sys.argv[2])
"""


@dataclass(slots=True, eq=False)
class Child:
    """A process that was forked: its id, its end of a stream, and what it printed."""

    pid: int
    stream: socket.socket
    _printed: int

    def console(self) -> str:
        """Return the last that it printed, and by what it was ended if it was."""
        size = os.fstat(self._printed).st_size
        octets = os.pread(self._printed, _CONSOLE, max(0, size - _CONSOLE))
        return octets.decode(errors="replace").strip()

    def why(self) -> str:
        """Return the last lines that it printed, in one; the nursery may still be writing them."""
        for _ in range(20):
            if self.console():
                break
            select.select([], [], [], 0.01)
        return " | ".join(self.console().splitlines()[-3:]) or "it said nothing"

    def close(self) -> None:
        """Close its input, which ends it; a second call does nothing."""
        if self._printed >= 0:
            self.stream.close()
            os.close(self._printed)
            self._printed = -1


class Nursery:
    """The run's end. `module` has a function `serve(stream, settings)`, and `load()` before."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def fork(self, namespace: Namespace, settings: Mapping[str, Any]) -> Child:
        """Fork a child in a namespace; HarnessError if that cannot be done, also a second time."""
        try:
            return self._fork(namespace, settings)
        except OSError:
            # Whoever killed the process: the next testcase has a fresh one.
            self.close()
        try:
            return self._fork(namespace, settings)
        except OSError as error:
            raise HarnessError(f"no process for {self._module}: {error.strerror}") from error

    def close(self) -> None:
        """End the process, and with it its children; a second call does nothing."""
        if self._orders is not None:
            self._orders.close()
            self._orders = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
            self._process.kill()
            self._process.wait()
            self._process = None

    def _fork(self, namespace: Namespace, settings: Mapping[str, Any]) -> Child:
        orders = self._orders or self._start()
        near, far = socket.socketpair()
        printed = os.memfd_create("console", os.MFD_CLOEXEC)
        try:
            with far:
                fds = [namespace.descriptor, far.fileno(), printed]
                socket.send_fds(orders, [json.dumps(dict(settings)).encode()], fds)
            pid = orders.recv(_ORDER_LIMIT)
            if not pid:
                raise ConnectionResetError("the process has ended")
        except OSError:
            near.close()
            os.close(printed)
            raise
        return Child(int(pid), near, printed)

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_BORN_WITHIN)
        folder = str(Path(__file__).resolve().parent.parent)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, folder, self._module],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # What a terminal sends to the run's process group must not reach it.
                start_new_session=True,
                close_fds=True,
            )
        self._orders = ours
        return ours


def main(module: str) -> None:
    """Fork what standard input, a socket, asks for, until it closes."""
    die_with_parent()
    loaded = importlib.import_module(module)
    loaded.load()
    with socket.socket(fileno=os.dup(0)) as orders:
        _Forking(orders, loaded).run()


class _Forking:
    def __init__(self, orders: socket.socket, module: ModuleType) -> None:
        self._orders = orders
        self._module = module
        self._children: dict[int, tuple[int, int]] = {}

    def run(self) -> None:
        poller = select.poll()
        poller.register(self._orders, select.POLLIN)
        while True:
            for descriptor, _ in poller.poll():
                if descriptor in self._children:
                    poller.unregister(descriptor)
                    self._reap(descriptor)
                elif not self._order(poller):
                    return

    def _order(self, poller: "select.poll") -> bool:
        try:
            octets, fds, _, _ = socket.recv_fds(self._orders, _ORDER_LIMIT, 3)
        except ConnectionResetError:
            return False
        if not octets:
            return False
        namespace, stream, printed = fds
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._serve(parent, namespace, stream, printed, json.loads(octets))
        os.close(namespace)
        os.close(stream)
        watched = os.pidfd_open(pid)
        self._children[watched] = pid, printed
        poller.register(watched, select.POLLIN)
        self._orders.send(str(pid).encode())
        return True

    def _serve(
        self, parent: int, namespace: int, stream: int, printed: int, settings: dict[str, Any]
    ) -> None:
        status = 1
        try:
            die_with_parent(parent)
            self._orders.close()
            # Descriptors of its elders keep alive what must end with them.
            for watched, (_, theirs) in self._children.items():
                os.close(watched)
                os.close(theirs)
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            _enter(namespace)
            os.close(namespace)
            self._module.serve(stream, settings)
            status = 0
        except BaseException as error:  # noqa: BLE001 - the last that is known of it
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
        finally:
            # Not by an exit: what the elder would do at its end is not the child's.
            os._exit(status)

    def _reap(self, watched: int) -> None:
        pid, printed = self._children.pop(watched)
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            name = signal.Signals(os.WTERMSIG(status)).name
            os.pwrite(printed, f"ended by {name}\n".encode(), os.fstat(printed).st_size)
        os.close(watched)
        os.close(printed)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None).setns(namespace, _CLONE_NEWNET) < 0:
        raise OSError("no entrance to the namespace")
