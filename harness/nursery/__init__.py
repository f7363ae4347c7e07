"""Nursery: a process that has imported what a run needs, from which its workers are forked.

A worker of xdist is a fresh interpreter: most of what it computes before its first testcase is to
import what all the others import, too. So one process does that for all of them. `Nursery.python`
is what xdist starts in place of an interpreter (see `relay.py`).
"""

import contextlib
import gc
import importlib
import os
import secrets
import selectors
import shlex
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.targets.guardian import die_with_parent

_PROGRAM = "from harness.nursery import main; main()"
_RELAY = Path(__file__).with_name("relay.py")
_QUEUE = 1024
_PEER = struct.Struct("=3i")


class Nursery:
    """The run's end: starts the process, and ends it with all that was forked from it."""

    def __init__(self, modules: Iterable[str]) -> None:
        """Start a process that imports these modules; OSError if it cannot be started."""
        name = f"tcpspec-nursery-{secrets.token_hex(16)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
            # In no folder, where it would be left behind by a run that is killed.
            listening.bind(f"\0{name}")
            listening.listen(_QUEUE)
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-c", _PROGRAM, str(listening.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                pass_fds=[listening.fileno()],
            )
        self.python = shlex.join([sys.executable, "-I", "-S", str(_RELAY), name])

    def close(self) -> None:
        """End the process, and workers that are left; a second call does nothing."""
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Fork workers for whoever connects to a listening socket; in a worker, be it.

    The arguments of the program are the socket's descriptor and the names of modules.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    _, descriptor, *modules = sys.argv
    for name in modules:
        # What is not found from here, a worker finds, or complains of.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    # What is never collected need not be looked at, and so not be copied, by every worker.
    gc.freeze()
    nursery = os.getpid()
    with socket.socket(fileno=int(descriptor)) as listening:
        streams = _serve(listening)
    die_with_parent(nursery)
    for ours, given in enumerate(streams):
        os.dup2(given, ours)
        os.close(given)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    exec(eval(sys.stdin.readline()), vars(sys.modules["__main__"]))  # noqa: S102, S307 - from xdist


def _serve(listening: socket.socket) -> Sequence[int]:
    """Fork and look after workers until killed; return, in a worker, what is to be its streams."""
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not listening:
                    _bury(*key.data)
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    continue
                connection, streams = _admit(listening)
                if not streams:
                    connection.close()
                    continue
                child = os.fork()
                if child == 0:
                    for one in (connection, *(key.data[1] for key in _workers(selector))):
                        one.close()
                    return streams
                for stream in streams:
                    os.close(stream)
                ended = os.pidfd_open(child)
                selector.register(ended, selectors.EVENT_READ, (child, connection))


def _workers(selector: selectors.BaseSelector) -> list[selectors.SelectorKey]:
    return [key for key in selector.get_map().values() if key.data is not None]


def _admit(listening: socket.socket) -> tuple[socket.socket, Sequence[int]]:
    """Return who connects, and the streams that he hands over; none of another user's."""
    connection, _ = listening.accept()
    asks = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if asks[1] != os.geteuid():
        return connection, ()
    return connection, socket.recv_fds(connection, 16, 3)[1]


def _bury(child: int, connection: socket.socket) -> None:
    """Tell a relay how its worker has ended."""
    _, status = os.waitpid(child, 0)
    # A relay may have been killed before its worker.
    with connection, contextlib.suppress(OSError):
        connection.send(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
