"""Guardian: a process that clears away the namespaces of a run that was killed.

An orphaned TCP connection keeps its namespace alive until its last timer, after the process that
made it is gone. So this process holds a descriptor of every namespace too; when the run's end of
their socket closes, for whatever reason, it destroys the connections that are left.

Run as a program it needs the standard library only, and `sock_diag.py` beside it.
"""

import array
import contextlib
import ctypes
import importlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

_CLONE_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_RTM_DELLINK = 17
_NLM_F_REQUEST = 0x001
_NLM_F_ACK = 0x004
_ORDER = struct.Struct("=cQ")
_HOLD = b"+"
_RELEASE = b"-"
_ROUNDS = 5


class Guardian:
    """The run's end: tells the guardian which namespaces there are."""

    def __init__(self) -> None:
        """Start the process; OSError if it cannot be started."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(Path(__file__).resolve())],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # What a terminal sends to the run's process group must not reach it.
                start_new_session=True,
                close_fds=True,
            )
        self._orders: socket.socket | None = ours
        self._next = 0

    def hold(self, descriptor: int) -> int:
        """Have a namespace watched over; return the number by which to release it."""
        self._next += 1
        self._order(_HOLD, self._next, [descriptor])
        return self._next

    def release(self, number: int) -> None:
        """Have a namespace let go; an unknown number is no error."""
        self._order(_RELEASE, number, [])

    def close(self) -> None:
        """End the process, which clears what is still held; a second call does nothing."""
        if self._orders is None:
            return
        self._orders.close()
        self._orders = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)

    def _order(self, word: bytes, number: int, descriptors: list[int]) -> None:
        if self._orders is None:
            return
        # A guardian that was killed protects nothing more, but no testcase depends on it.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._orders, [_ORDER.pack(word, number)], descriptors)


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when the thread that started it ends.

    `parent` is that process's id if it is known; a parent that is already gone ends this one now.
    Lost when the process changes its privileges, so it comes after that.
    """
    expected = os.getppid() if parent is None else parent
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != expected:
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Keep what standard input, a socket, hands over; clear it away when the run has ended."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # It ends with the run, and must outlive it by a moment.
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as orders:
        held = _keep(orders)
    # Last, so that nothing beside this file stands in for a module of the standard library.
    sys.path.append(str(Path(__file__).resolve().parent))
    diagnosis = importlib.import_module("sock_diag")
    # Whatever went wrong, the host's own connections are never destroyed.
    left = [descriptor for descriptor in held.values() if not is_home(descriptor)]
    for _ in range(_ROUNDS):
        left = [descriptor for descriptor in left if not clear(descriptor, diagnosis)]
        if not left:
            break
        time.sleep(0.1)


def clear(descriptor: int, diagnosis: ModuleType) -> bool:
    """Destroy TCP sockets and links of a namespace, and stay there; tell whether none is left."""
    if ctypes.CDLL(None).setns(descriptor, _CLONE_NEWNET) < 0:
        return True
    clean = True
    try:
        clean = diagnosis.destroy_all() == 0
    except OSError:
        clean = False
    for index, name in socket.if_nameindex():
        if name != "lo":
            with contextlib.suppress(OSError):
                _delete_link(index)
    return clean


def is_home(descriptor: int) -> bool:
    """Tell whether a descriptor is of the namespace in which this process's first thread stands."""
    return os.path.samestat(os.fstat(descriptor), Path("/proc/self/ns/net").stat())


def _keep(orders: socket.socket) -> dict[int, int]:
    """Serve orders until the run's end closes; return the descriptors that are still held."""
    held: dict[int, int] = {}
    while True:
        try:
            octets, ancillary, _, _ = orders.recvmsg(
                _ORDER.size, socket.CMSG_SPACE(array.array("i").itemsize)
            )
        except ConnectionResetError:
            return held
        if len(octets) < _ORDER.size:
            return held
        word, number = _ORDER.unpack(octets)
        for _, _, passed in ancillary:
            held[number] = array.array("i", passed[:4])[0]
        if word == _RELEASE and number in held:
            os.close(held.pop(number))


def _delete_link(index: int) -> None:
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    header = struct.pack("=IHHII", 16 + len(body), _RTM_DELLINK, _NLM_F_REQUEST | _NLM_F_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as routes:
        routes.settimeout(2)
        routes.send(header + body)
        routes.recv(4096)


if __name__ == "__main__":
    main()
