"""Library: the calls of liblwip through ctypes, with errors as OSError."""

import ctypes
import mmap
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

NAME = "liblwip.so.0"
MAC = "02:12:34:56:78:ab"
"""What the library's tap driver gives itself."""

_PREFERRED = 0x30

# Debian's library takes its buffers for 1520 octets long, but they are 592: a frame that is longer
# destroys the heap. 24 are the buffer's head.
_TOO_SHORT = 24 + 592
_LONG_ENOUGH = 24 + 1536
_POOLS = 19
_POLLED = struct.Struct("@ihh")
_ADDRESS_LIMIT = 128


class _IPv4(ctypes.Structure):
    _fields_ = (("octets", ctypes.c_uint8 * 4),)


class _IPv6(ctypes.Structure):
    _fields_ = (("octets", ctypes.c_uint8 * 16), ("zone", ctypes.c_uint8))


def _ipv4(text: str) -> _IPv4:
    return _IPv4((ctypes.c_uint8 * 4)(*socket.inet_aton(text)))


class Library:
    """One stack: a process can have one. Numbers and structures are the host's."""

    def __init__(self) -> None:
        """Load it; OSError if it is not there."""
        self._calls = ctypes.CDLL(NAME, use_errno=True)
        self._calls.netif_add.restype = ctypes.c_void_p
        self._calls.lwip_recv.restype = ctypes.c_ssize_t
        self._calls.lwip_send.restype = ctypes.c_ssize_t
        self._calls.netif_add_ip6_address.restype = ctypes.c_int8
        # Of an unknown size; it is the library's to fill, and stays as long as the process does.
        self._interface = (ctypes.c_uint8 * 4096)()

    def start(self, tap: str, ipv4: str, gateway: str, ipv6: str) -> None:
        """Start the stack at the end of a tap; OSError if it cannot have the tap."""
        calls, interface = self._calls, ctypes.byref(self._interface)
        os.environ["PRECONFIGURED_TAPIF"] = tap
        self._lengthen()
        calls.tcpip_init(None, None)
        calls.sys_lock_tcpip_core()
        try:
            places = [ctypes.byref(_ipv4(text)) for text in (ipv4, "255.255.255.0", gateway)]
            init, give = (
                ctypes.cast(one, ctypes.c_void_p) for one in (calls.tapif_init, calls.tcpip_input)
            )
            if not calls.netif_add(interface, *places, None, init, give):
                raise OSError(f"{NAME} makes no interface")
            calls.netif_set_default(interface)
            calls.netif_set_up(interface)
            calls.netif_set_link_up(interface)
            self._have(ipv6)
        finally:
            calls.sys_unlock_tcpip_core()

    def _lengthen(self) -> None:
        """Make the buffers as long as the library takes them for."""
        pools = (ctypes.c_void_p * _POOLS).in_dll(self._calls, "memp_pools")
        libc = ctypes.CDLL(None, use_errno=True)
        size = os.sysconf("SC_PAGE_SIZE")
        for pool in pools:
            if pool and ctypes.c_uint16.from_address(pool).value == _TOO_SHORT:
                page = ctypes.c_void_p(pool - pool % size)
                if libc.mprotect(page, ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_WRITE):
                    raise OSError(ctypes.get_errno(), "a page cannot be written")
                ctypes.c_uint16.from_address(pool).value = _LONG_ENOUGH

    def _have(self, ipv6: str) -> None:
        address, at = _IPv6(), ctypes.c_int8()
        ctypes.memmove(address.octets, socket.inet_pton(socket.AF_INET6, ipv6), 16)
        interface = ctypes.byref(self._interface)
        if self._calls.netif_add_ip6_address(interface, ctypes.byref(address), ctypes.byref(at)):
            raise OSError(f"{NAME} takes no address of IPv6")
        # It is ours alone on this link: nobody is asked.
        self._calls.netif_ip6_addr_set_state(interface, at.value, ctypes.c_uint8(_PREFERRED))

    def path(self) -> str:
        """Return where the library's file is."""
        maps = Path("/proc/self/maps").read_text("utf-8").splitlines()
        return next((line.split()[-1] for line in maps if "liblwip" in line), "")

    def core(self) -> ctypes.CDLL:
        """Return the library itself, for who looks at its variables."""
        return self._calls

    def socket(self, family: int) -> int:
        """Make a stream socket that does not block."""
        return self.nonblocking(
            self._checked(self._calls.lwip_socket(family, socket.SOCK_STREAM, 0))
        )

    def nonblocking(self, number: int) -> int:
        """Have the calls of a socket not block; return it."""
        self._checked(self._calls.lwip_fcntl(number, 4, os.O_NONBLOCK))
        return number

    def bind(self, number: int, family: int, address: tuple[str, int]) -> None:
        """Bind to address and port."""
        octets = _endpoint(family, address)
        self._checked(self._calls.lwip_bind(number, octets, len(octets)))

    def listen(self, number: int, backlog: int) -> None:
        """Listen."""
        self._checked(self._calls.lwip_listen(number, backlog))

    def connect(self, number: int, family: int, address: tuple[str, int]) -> None:
        """Begin to connect."""
        octets = _endpoint(family, address)
        self._checked(self._calls.lwip_connect(number, octets, len(octets)))

    def accept(self, number: int) -> tuple[int, tuple[str, int]]:
        """Accept; return the socket and where it is connected to."""
        octets, length = ctypes.create_string_buffer(_ADDRESS_LIMIT), _length(_ADDRESS_LIMIT)
        accepted = self._checked(self._calls.lwip_accept(number, octets, ctypes.byref(length)))
        return self.nonblocking(accepted), _address(octets.raw)

    def send(self, number: int, data: bytes, flags: int) -> int:
        """Send; return how many octets were taken."""
        return self._checked(self._calls.lwip_send(number, data, ctypes.c_size_t(len(data)), flags))

    def receive(self, number: int, size: int, flags: int) -> bytes:
        """Receive; no octets are the end."""
        octets = ctypes.create_string_buffer(size)
        got = self._checked(self._calls.lwip_recv(number, octets, ctypes.c_size_t(size), flags))
        return octets.raw[:got]

    def shutdown(self, number: int, how: int) -> None:
        """End one direction, or both."""
        self._checked(self._calls.lwip_shutdown(number, how))

    def close(self, number: int) -> None:
        """Close."""
        self._checked(self._calls.lwip_close(number))

    def name(self, number: int, *, peer: bool = False) -> tuple[str, int]:
        """Return its own address and port, or its peer's."""
        octets, length = ctypes.create_string_buffer(_ADDRESS_LIMIT), _length(_ADDRESS_LIMIT)
        ask = self._calls.lwip_getpeername if peer else self._calls.lwip_getsockname
        self._checked(ask(number, octets, ctypes.byref(length)))
        return _address(octets.raw)

    def option(self, number: int, level: int, option: int, size: int) -> bytes:
        """Return an option's value."""
        octets, length = ctypes.create_string_buffer(size), _length(size)
        self._checked(
            self._calls.lwip_getsockopt(number, level, option, octets, ctypes.byref(length))
        )
        return octets.raw[: length.value]

    def set_option(self, number: int, level: int, option: int, value: bytes) -> None:
        """Set an option."""
        self._checked(self._calls.lwip_setsockopt(number, level, option, value, len(value)))

    def poll(self, number: int, events: int, milliseconds: int = 0) -> int:
        """Return those of the events that are there, waiting so long for one, or for ever (-1)."""
        polled = ctypes.create_string_buffer(_POLLED.pack(number, events, 0), _POLLED.size)
        self._checked(self._calls.lwip_poll(polled, 1, milliseconds))
        found: int = _POLLED.unpack(polled.raw)[2]
        return found

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _length(size: int) -> ctypes.c_uint32:
    return ctypes.c_uint32(size)


def _endpoint(family: int, address: Sequence[str | int]) -> bytes:
    text, port = str(address[0]), int(address[1])
    octets = socket.inet_pton(family, text)
    head = struct.pack("=H", family) + struct.pack("!H", port)
    if family == socket.AF_INET:
        return head + octets + bytes(8)
    return head + bytes(4) + octets + bytes(4)


def _address(octets: bytes) -> tuple[str, int]:
    family, port = struct.unpack_from("=H", octets)[0], struct.unpack_from("!H", octets, 2)[0]
    at = slice(4, 8) if family == socket.AF_INET else slice(8, 24)
    return socket.inet_ntop(family, octets[at]), port
