"""Packet socket: a link that is one interface of the kernel's, captured with its stamps."""

import contextlib
import errno
import os
import queue
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from harness.errors import HarnessError
from harness.segment.forgery import Network
from harness.wire.link import Frame
from harness.wire.real import RealClock
from harness.wire.volley import SocketVolley, Volley, leave_aside

# IEEE 802's first experimental Ethertype: no stack takes it for its own.
HEARTBEAT_TYPE = 0x88B5
HEARTBEAT_PERIOD = 0.05
OPENING = 10.0
"""Seconds until a fresh link lets frames through, at most: on a busy machine all takes its time."""

_ETH_P_ALL = 0x0003
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_ADD_MEMBERSHIP = 1
_PROMISCUOUS = 1
# Of struct packet_mreq: the interface, the kind, and room for an address.
_MEMBERSHIP = struct.Struct("@iH10x")
_STATISTICS = struct.Struct("=II")
_TIMESPEC = struct.Struct("@qq")
# Both addresses, Ethertype, the time it was meant for; as long as the shortest Ethernet frame.
_HEARTBEAT = struct.Struct("!6s6sHd38x")
_HEARTBEAT_TYPE = struct.pack("!H", HEARTBEAT_TYPE)
_TYPE_AT = slice(12, 14)
# Locally administered, and nobody's on any link of ours.
_NOBODY = bytes.fromhex("0200000000fe")
_GREETING = _HEARTBEAT.pack(b"\xff" * 6, _NOBODY, HEARTBEAT_TYPE, 0.0)
_LONGEST_FRAME = 1 << 16

# Room for some ten thousand short frames; where it takes root, the system's limit must do.
_BUFFER = 16 << 20
_BURST = 64
_STEP_NANOSECONDS = 1_000_000


class PacketSocketLink:
    """The link behind one interface of the calling thread's network namespace.

    Frames that leave through the interface count as sent: ours, or, where the interface is a port
    of a bridge, those towards the stack behind it. Heartbeats pass the link while the clock waits
    and are never seen by a caller. An interface that is `shared` with others has no heartbeats,
    and is listened on for every MAC.
    """

    def __init__(self, clock: RealClock, interface: str, *, shared: bool = False) -> None:
        self._clock = clock
        self._sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._sender.bind((interface, 0))
        self._capture = _capture(interface, promiscuous=shared)
        self._shared = shared
        self._offset = _offset()
        self._stepped = False
        self._lost = 0
        self._unread = 0
        self._frames: deque[Frame] = deque()
        self._open = True
        self._heard = False
        clock.watch(self._capture.fileno(), self._take)
        self._end_heartbeat = clock.every(HEARTBEAT_PERIOD, self._beat)

    @property
    def clock(self) -> RealClock:
        """The clock that stamps this link's frames."""
        return self._clock

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire; HarnessError if the interface does not take it."""
        try:
            self._sender.send(octets)
        except OSError as error:
            raise HarnessError(f"the link does not take a frame: {error.strerror}") from error
        self._unread += 1
        if self._unread >= _BURST:
            # Who sends a burst does not read meanwhile, and an ordinary user's buffer is short.
            self._drain()

    def load(self, frames: Sequence[bytes], aside: Sequence[Network]) -> Volley:
        """Make ready to send these frames very fast; the capture shows nothing of them."""
        leave_aside(self._capture, aside)
        return SocketVolley(self._sender, frames)

    def poll(self) -> Frame | None:
        """Return the next captured frame, in the order of the wire; None if there is none yet."""
        if not self._frames and self._open:
            self._drain()
        return self._frames.popleft() if self._frames else None

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far."""
        if self._open:
            octets = self._capture.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
            # Reading them sets the kernel's counters back to zero.
            self._lost += _STATISTICS.unpack(octets)[1]
        return self._lost

    @property
    def offset(self) -> float:
        """What is added to a stamp to get seconds since 1970."""
        return self._offset / 1e9

    @property
    def stepped(self) -> bool:
        """Whether the realtime clock, which stamps frames, was set since the link was made.

        Stamps are then not comparable, and the testcase is inconclusive.
        """
        if self._open and abs(_offset() - self._offset) > _STEP_NANOSECONDS:
            self._stepped = True
        return self._stepped

    def close(self) -> None:
        """Take what is still captured and close; a second call does nothing."""
        if not self._open:
            return
        self._drain()
        _ = self.lost, self.stepped
        self._open = False
        self._end_heartbeat()
        self._clock.unwatch(self._capture.fileno())
        dispose(self._sender, self._capture)

    def greet(self, far: socket.socket, *, within: float = OPENING) -> None:
        """Exchange heartbeats with a `raw_socket` at the far end until both ways are open.

        A fresh interface drops what it is given until the kernel has noticed its carrier.
        HarnessError after `within` seconds.
        """
        deadline = self._clock.now() + within
        there = False
        while not (there and self._heard):
            if self._clock.now() > deadline:
                raise HarnessError(f"no frame came through a fresh link within {within:g} s")
            self._sender.send(_GREETING)
            far.send(_GREETING)
            readable = select.select([far, self._capture], [], [], 0.001)[0]
            there = there or far in readable
            self._drain()

    def knock(self) -> None:
        """Send a greeting: a far end that waits for its link to open takes it for a sign."""
        with contextlib.suppress(OSError):
            self._sender.send(_GREETING)

    def _beat(self, due: float) -> None:
        if self._shared:
            # The clock takes note of how late it was woken, which must do.
            return
        try:
            self._sender.send(_HEARTBEAT.pack(_NOBODY, _NOBODY, HEARTBEAT_TYPE, due))
        except OSError as error:
            # A link that a testcase took down beats no more, but that is not the clock's affair.
            if error.errno not in {errno.ENETDOWN, errno.ENOBUFS, errno.ENXIO}:
                raise

    def _take(self) -> bool:
        """Drain while the clock waits, so that the delay until now is the machine's, not ours."""
        before = len(self._frames)
        self._drain()
        fresh = len(self._frames) > before
        if fresh:
            there = max(self._frames[before].stamp, self._clock.waiting_since)
            self._clock.noise.delivery(self._clock.now() - there)
        return fresh

    def _drain(self) -> None:
        self._unread = 0
        fresh: list[Frame] = []
        while True:
            try:
                octets, ancillary, _, address = self._capture.recvmsg(_LONGEST_FRAME, 64)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENETDOWN:
                    break
                raise HarnessError(f"the capture ended: {error.strerror}") from error
            stamp = self._stamp(ancillary)
            sent = address[2] == _PACKET_OUTGOING
            if octets[_TYPE_AT] != _HEARTBEAT_TYPE:
                fresh.append(Frame(stamp, sent, octets))
            elif not sent:
                self._heard = True
            elif octets != _GREETING:
                due = _HEARTBEAT.unpack_from(octets)[3]
                self._clock.noise.heartbeat(due, stamp - due)
        # The kernel queues what arrives on another processor a little later than it stamps it.
        fresh.sort(key=lambda frame: frame.stamp)
        self._frames.extend(fresh)

    def _stamp(self, ancillary: list[tuple[int, int, bytes]]) -> float:
        for level, kind, octets in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack_from(octets)
                return (int(seconds) * 10**9 + int(nanoseconds) - self._offset) / 1e9
        raise HarnessError("the kernel gave a captured frame no stamp")


def hold_stamps() -> socket.socket:
    """Return a socket that keeps the kernel's stamping of arriving frames switched on.

    The kernel switches it on a moment after the first socket has asked for it, and gives what
    arrives in that moment the time when it is read. So a driver holds this from its start on.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    holder.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return holder


def stay_on_one_processor() -> Callable[[], None]:
    """Bind this process to one of its processors; return what undoes it.

    A veth hands a frame to the processor that sent it. Two frames are dealt with in the order in
    which they were sent only if their sender did not move in between.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(allowed)[os.getpid() % len(allowed)]})

    def undo() -> None:
        os.sched_setaffinity(0, allowed)

    return undo


def open_way(one: socket.socket, other: socket.socket, *, within: float = OPENING) -> None:
    """Exchange heartbeats between two `raw_socket`s until both ways are open.

    HarnessError after `within` seconds.
    """
    deadline = time.monotonic() + within
    waiting = {one, other}
    while waiting:
        if time.monotonic() > deadline:
            raise HarnessError(f"no frame came through a fresh link within {within:g} s")
        one.send(_GREETING)
        other.send(_GREETING)
        waiting -= set(select.select(list(waiting), [], [], 0.001)[0])


def raw_socket(interface: str) -> socket.socket:
    """Return a socket for heartbeats alone, at an interface of the calling thread's namespace."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    raw.bind((interface, HEARTBEAT_TYPE))
    return raw


def dispose(*sockets: socket.socket) -> None:
    """Close packet sockets without waiting: the kernel takes about 10 ms for each."""
    global _disposal  # noqa: PLW0603 - one thread serves the whole process
    if _disposal is None:
        _disposal = queue.SimpleQueue()
        threading.Thread(
            target=_dispose_all, args=(_disposal,), name="packet sockets", daemon=True
        ).start()
    for one in sockets:
        _disposal.put(one)


_disposal: queue.SimpleQueue[socket.socket] | None = None


def _dispose_all(disposal: queue.SimpleQueue[socket.socket]) -> None:
    while True:
        disposal.get().close()


def _capture(interface: str, *, promiscuous: bool = False) -> socket.socket:
    capture = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        try:
            capture.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:
            capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        capture.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        capture.setblocking(False)
        # Protocol 0 until here: nothing is captured from other interfaces of the namespace.
        capture.bind((interface, _ETH_P_ALL))
        if promiscuous:
            # It ends with the socket, and is seen in no flag of the interface's.
            wanted = _MEMBERSHIP.pack(socket.if_nametoindex(interface), _PROMISCUOUS)
            capture.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, wanted)
    except OSError:
        capture.close()
        raise
    return capture


def _offset() -> int:
    """Return CLOCK_REALTIME - CLOCK_MONOTONIC in nanoseconds, from the quickest of a few tries."""
    tries = []
    for _ in range(5):
        before = time.monotonic_ns()
        realtime = time.time_ns()
        after = time.monotonic_ns()
        tries.append((after - before, realtime - (before + after) // 2))
    return min(tries)[1]
