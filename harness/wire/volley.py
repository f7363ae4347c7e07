"""Volley: frames that are sent so fast that nobody looks at any of them."""

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from harness.errors import HarnessError
from harness.segment.forgery import Network
from harness.wire.link import Link

_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_HALF, _LOAD_WORD, _AND, _EQUAL, _RETURN = 0x28, 0x20, 0x54, 0x15, 0x06
_TYPE_AT = 12
_ALL = 0xFFFFFFFF


class Volley(Protocol):
    """Frames that are loaded, to be fired again and again in their order."""

    def fire(self, count: int) -> int:
        """Send the next so many; return how many the link took."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """A `struct msghdr` of Linux."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """A `struct mmsghdr`: a header, and how many octets of it were sent."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


class SocketVolley:
    """A volley for a packet socket, handed to the kernel many frames at a time (sendmmsg)."""

    def __init__(self, sender: socket.socket, frames: Sequence[bytes]) -> None:
        self._descriptor = sender.fileno()
        self._count = len(frames)
        self._next = 0
        # What the kernel reads stays where it is for as long as this object lives.
        self._octets = ctypes.create_string_buffer(b"".join(frames))
        self._vectors = (_Vector * self._count)()
        self._messages = (_Message * self._count)()
        place = ctypes.addressof(self._octets)
        for vector, message, frame in zip(self._vectors, self._messages, frames, strict=True):
            vector.base, vector.length = place, len(frame)
            message.header.vectors = ctypes.pointer(vector)
            message.header.vector_count = 1
            place += len(frame)
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg

    def fire(self, count: int) -> int:
        """Send the next so many; return how many the link took."""
        sent = 0
        while sent < count:
            wanted = min(count - sent, self._count - self._next)
            first = ctypes.byref(self._messages, self._next * ctypes.sizeof(_Message))
            took = self._send(self._descriptor, first, wanted, 0)
            if took < 0:
                raise HarnessError(f"the link takes no flood: {os.strerror(ctypes.get_errno())}")
            sent += took
            self._next = (self._next + took) % self._count
            if took < wanted:
                break
        return sent


class CalledVolley:
    """A volley for a link that takes one frame after the other, as one in memory."""

    def __init__(self, send: Callable[[bytes], object], frames: Sequence[bytes]) -> None:
        self._send = send
        self._frames = frames
        self._next = 0

    def fire(self, count: int) -> int:
        """Send the next so many; all are taken."""
        for _ in range(count):
            self._send(self._frames[self._next])
            self._next = (self._next + 1) % len(self._frames)
        return count


def load(link: Link, frames: Sequence[bytes], aside: Sequence[Network]) -> Volley:
    """Make ready to send frames very fast, or one by one on a link that has no way to.

    A link that has one captures neither them nor what comes back to the networks `aside`.
    """
    own: Callable[..., Volley] | None = getattr(link, "load", None)
    return CalledVolley(link.send, frames) if own is None else own(frames, aside)


def leave_aside(capture: socket.socket, networks: Sequence[Network]) -> None:
    """Have the kernel capture no datagram to or from these networks."""
    program = [line for network in networks for line in _passed_over(network)]
    program.append((_RETURN, 0, 0, _ALL))
    held = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in program))
    head = struct.pack("@HP", len(program), ctypes.addressof(held))
    capture.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)


def _passed_over(network: Network) -> list[tuple[int, int, int, int]]:
    """Return what a classic BPF program does to pass over a network, at the head of Ethernet."""
    kind, source = (0x0800, 26) if network.version == 4 else (0x86DD, 22)
    address, mask = network.network_address.packed, network.netmask.packed
    found = []
    for place in (source, source + len(address)):
        tests = [(_LOAD_HALF, _TYPE_AT, _ALL, kind)]
        for at in range(0, len(address), 4):
            word, bits = (int.from_bytes(octets[at : at + 4]) for octets in (address, mask))
            if bits:
                tests.append((_LOAD_WORD, place + at, bits, word))
        left = 3 * len(tests) + 1
        for load, offset, bits, wanted in tests:
            left -= 3
            found += [
                (load, 0, 0, offset),
                (_AND, 0, 0, bits),
                (_EQUAL, 0, left, wanted),
            ]
        found.append((_RETURN, 0, 0, 0))
    return found
