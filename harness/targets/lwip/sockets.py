"""Sockets: lwIP's, in the shape of Python's, so that the agent can hold them.

The agent waits for descriptors of the kernel. So each socket has one that stands for it: it rings
when a call that had to wait may make progress. Who waits is a thread in the library's poll().
"""

import contextlib
import errno
import os
import select
import socket
import struct
import threading

from harness.targets.lwip.library import Library

_IN = select.POLLIN
_OUT = select.POLLOUT
_WRONG = select.POLLERR | select.POLLHUP | select.POLLNVAL
_LONGEST = 1 << 16


class LwipSocket:
    """A socket of the library. Its calls raise BlockingIOError where they would have to wait."""

    def __init__(self, library: Library, family: int, number: int | None = None) -> None:
        """Make one, or take one that was accepted."""
        self.family = family
        self._library = library
        self._number = library.socket(family) if number is None else number
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._watched: set[int] = set()
        self._connecting = False

    def fileno(self) -> int:
        """Return the descriptor that rings."""
        return self._bell

    def setblocking(self, flag: bool) -> None:
        """Do nothing: no call ever waits."""

    def bind(self, address: tuple[str, int]) -> None:
        """Bind to address and port."""
        self._library.bind(self._number, self.family, address)

    def listen(self, backlog: int) -> None:
        """Listen."""
        self._library.listen(self._number, backlog)

    def connect(self, address: tuple[str, int]) -> None:
        """Begin to connect, or say what became of it."""
        if not self._connecting:
            try:
                self._library.connect(self._number, self.family, address)
            except BlockingIOError:
                self._connecting = True
                self._watch(_OUT)
                raise
            return
        if not self._library.poll(self._number, _OUT | _WRONG):
            self._watch(_OUT)
            raise BlockingIOError(errno.EALREADY, os.strerror(errno.EALREADY))
        self._connecting = False
        found = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if found:
            raise OSError(found, os.strerror(int(found)))

    def accept(self) -> "tuple[LwipSocket, tuple[str, int]]":
        """Take the next connection."""
        try:
            number, address = self._library.accept(self._number)
        except BlockingIOError:
            self._watch(_IN)
            raise
        return LwipSocket(self._library, self.family, number), address

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send; return how many octets were taken."""
        try:
            return self._library.send(self._number, bytes(data[:_LONGEST]), flags)
        except BlockingIOError:
            self._watch(_OUT)
            raise

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive; no octets are the end."""
        try:
            return self._library.receive(self._number, size, flags)
        except BlockingIOError:
            self._watch(_IN)
            raise

    def recvmsg(self, *_: int) -> None:
        """Say that there is no error queue."""
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))

    def shutdown(self, how: int) -> None:
        """End one direction, or both."""
        self._library.shutdown(self._number, how)

    def close(self) -> None:
        """Close; the descriptor is left to the threads that may still ring it."""
        self._library.close(self._number)

    def getsockname(self) -> tuple[str, int]:
        """Return its own address and port."""
        return self._library.name(self._number)

    def getpeername(self) -> tuple[str, int]:
        """Return its peer's address and port."""
        return self._library.name(self._number, peer=True)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Set an option."""
        octets = struct.pack("@i", value) if isinstance(value, int) else value
        self._library.set_option(self._number, level, option, octets)

    def getsockopt(self, level: int, option: int, size: int = 0) -> int | bytes:
        """Return an option's value: a number unless a size is given."""
        octets = self._library.option(self._number, level, option, size or 4)
        return octets if size else int(struct.unpack("@i", octets)[0])

    def events(self, events: int) -> int:
        """Return those of the events that are there; the descriptor rings when one may be."""
        found = self._library.poll(self._number, events)
        if not found:
            self._watch(events)
        return found

    def _watch(self, events: int) -> None:
        with self._lock:
            if events in self._watched:
                return
            self._watched.add(events)
        threading.Thread(target=self._await, args=(events,), daemon=True).start()

    def _await(self, events: int) -> None:
        with contextlib.suppress(OSError):
            self._library.poll(self._number, events, -1)
        with self._lock:
            self._watched.discard(events)
        # Both edges: one waits to read, the other to write.
        with contextlib.suppress(OSError):
            os.eventfd_write(self._bell, 1)
            os.eventfd_read(self._bell)
        with contextlib.suppress(OSError):
            os.eventfd_write(self._bell, 1)
