"""Library: libslirp through ctypes, with its clock, its timers and its frames in our hands."""

import ctypes
import select
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

NAME = "libslirp.so.0"

_GetTime = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_Send = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
_Complain = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
_TimerDue = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_NewTimer = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_FreeTimer = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
_SetTimer = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
_Descriptor = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)
_Notify = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_AddPoll = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_GetEvents = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)

# SLIRP_POLL_… and what the kernel calls the same.
_EVENTS = {1: select.POLLIN, 2: select.POLLOUT, 4: select.POLLPRI, 8: select.POLLERR}
_EVENTS |= {16: select.POLLHUP}
_LONGEST_WAIT = 1000


class _Callbacks(ctypes.Structure):
    """struct SlirpCb of libslirp.h."""

    _fields_: ClassVar[Any] = (
        ("send_packet", _Send),
        ("guest_error", _Complain),
        ("clock_get_ns", _GetTime),
        ("timer_new", _NewTimer),
        ("timer_free", _FreeTimer),
        ("timer_mod", _SetTimer),
        ("register_poll_fd", _Descriptor),
        ("unregister_poll_fd", _Descriptor),
        ("notify", _Notify),
        ("init_completed", ctypes.c_void_p),
        ("timer_new_opaque", ctypes.c_void_p),
    )


class _Configuration(ctypes.Structure):
    """struct SlirpConfig of libslirp.h, version 1."""

    _fields_: ClassVar[Any] = (
        ("version", ctypes.c_uint32),
        ("restricted", ctypes.c_int),
        ("in_enabled", ctypes.c_bool),
        ("vnetwork", ctypes.c_uint32 * 1),
        ("vnetmask", ctypes.c_uint32 * 1),
        ("vhost", ctypes.c_uint32 * 1),
        ("in6_enabled", ctypes.c_bool),
        ("vprefix_addr6", ctypes.c_uint32 * 4),
        ("vprefix_len", ctypes.c_uint8),
        ("vhost6", ctypes.c_uint32 * 4),
        ("vhostname", ctypes.c_char_p),
        ("tftp_server_name", ctypes.c_char_p),
        ("tftp_path", ctypes.c_char_p),
        ("bootfile", ctypes.c_char_p),
        ("vdhcp_start", ctypes.c_uint32 * 1),
        ("vnameserver", ctypes.c_uint32 * 1),
        ("vnameserver6", ctypes.c_uint32 * 4),
        ("vdnssearch", ctypes.c_void_p),
        ("vdomainname", ctypes.c_char_p),
        ("if_mtu", ctypes.c_size_t),
        ("if_mru", ctypes.c_size_t),
        ("disable_host_loopback", ctypes.c_bool),
        ("enable_emu", ctypes.c_bool),
    )


@dataclass(slots=True)
class _Timer:
    callback: Any
    argument: int
    due: float | None = None


class Slirp:
    """One stack. `now` gives its time in seconds, `send` takes its frames.

    `places` are "ipv4" and "ipv6", where it is on its link, "guest", where its peer is, and
    "nameserver" and "nameserver6", which nobody asks.
    """

    def __init__(
        self, places: Mapping[str, str], now: Callable[[], float], send: Callable[[bytes], None]
    ) -> None:
        """Start it; OSError if the library is not there."""
        self._calls = ctypes.CDLL(NAME)
        self._calls.slirp_new.restype = ctypes.c_void_p
        self._calls.slirp_connection_info.restype = ctypes.c_void_p
        self._calls.slirp_version_string.restype = ctypes.c_char_p
        self._free = ctypes.CDLL("libglib-2.0.so.0").g_free
        self._now = now
        self._timers: dict[int, _Timer] = {}
        # The library keeps pointers to it.
        self._callbacks = self._made(send)
        configuration = _configuration(places)
        self._slirp = ctypes.c_void_p(
            self._calls.slirp_new(ctypes.byref(configuration), ctypes.byref(self._callbacks), None)
        )

    def _made(self, send: Callable[[bytes], None]) -> _Callbacks:
        def send_packet(octets: int, length: int, _: int) -> int:
            send(ctypes.string_at(octets, length))
            return length

        def complain(text: bytes, _: int) -> None:
            print(text.decode(errors="replace"), flush=True)  # noqa: T201 - the console

        def new_timer(callback: int, argument: int, _: int) -> int:
            number = len(self._timers) + 1
            self._timers[number] = _Timer(_TimerDue(callback), argument)
            return number

        def set_timer(number: int, milliseconds: int, _: int) -> None:
            self._timers[number].due = milliseconds / 1000

        return _Callbacks(
            _Send(send_packet),
            _Complain(complain),
            _GetTime(lambda _: round(self._now() * 1e9)),
            _NewTimer(new_timer),
            _FreeTimer(lambda number, _: self._timers.pop(number, None) and None),
            _SetTimer(set_timer),
            _Descriptor(lambda *_: None),
            _Descriptor(lambda *_: None),
            _Notify(lambda _: None),
        )

    def version(self) -> str:
        """Return the library's version."""
        return str(self._calls.slirp_version_string().decode())

    def input(self, frame: bytes) -> None:
        """Hand it a frame."""
        self._calls.slirp_input(self._slirp, frame, len(frame))

    def forward(self, host: tuple[Any, ...], guest: tuple[Any, ...]) -> None:
        """Have connections to a port of the host go to a port of the peer; OSError if refused."""
        ours, theirs = _sockaddr(*host), _sockaddr(*guest)
        flags = 2 if ":" in host[0] else 0
        if self._calls.slirp_add_hostxfwd(self._slirp, ours, len(ours), theirs, len(theirs), flags):
            raise OSError(f"no forward from {host} to {guest}")

    def connections(self) -> str:
        """Return what the library says of its connections."""
        text = self._calls.slirp_connection_info(self._slirp)
        try:
            return ctypes.string_at(text).decode()
        finally:
            self._free(ctypes.c_void_p(text))

    def step(self, patience: float = 0.0) -> tuple[bool, float]:
        """Let it do what is due; tell whether its host sockets brought anything, and its next time.

        `patience` is how long, in milliseconds of wall time, a host socket may take to be ready.
        """
        for timer in tuple(self._timers.values()):
            if timer.due is not None and timer.due <= self._now():
                timer.due = None
                timer.callback(timer.argument)
        asked: list[tuple[int, int]] = []

        def add(descriptor: int, events: int, _: int) -> int:
            asked.append((descriptor, events))
            return len(asked) - 1

        timeout = ctypes.c_uint32(_LONGEST_WAIT)
        adding = _AddPoll(add)
        self._calls.slirp_pollfds_fill(self._slirp, ctypes.byref(timeout), adding, None)
        ready = _ready(asked, patience)
        self._calls.slirp_pollfds_poll(
            self._slirp, 0, _GetEvents(lambda at, _: ready.get(at, 0)), None
        )
        dues = [timer.due for timer in self._timers.values() if timer.due is not None]
        return bool(ready), min([self._now() + timeout.value / 1000, *dues])


def _ready(asked: list[tuple[int, int]], patience: float) -> dict[int, int]:
    """Return, by the place of what was asked, the events that are there."""
    if not asked:
        return {}
    poller = select.poll()
    for descriptor, events in asked:
        wanted = sum(bit for slirp, bit in _EVENTS.items() if events & slirp)
        poller.register(descriptor, wanted)
    found = dict(poller.poll(patience))
    return {
        at: sum(slirp for slirp, bit in _EVENTS.items() if found[descriptor] & bit)
        for at, (descriptor, _) in enumerate(asked)
        if found.get(descriptor, 0)
    }


def _configuration(places: Mapping[str, str]) -> _Configuration:
    def four(text: str) -> Any:
        return (ctypes.c_uint32 * 1).from_buffer_copy(socket.inet_pton(socket.AF_INET, text))

    def sixteen(text: str) -> Any:
        return (ctypes.c_uint32 * 4).from_buffer_copy(socket.inet_pton(socket.AF_INET6, text))

    return _Configuration(
        version=1,
        in_enabled=True,
        vnetwork=four(places["ipv4"].rpartition(".")[0] + ".0"),
        vnetmask=four("255.255.255.0"),
        vhost=four(places["ipv4"]),
        in6_enabled=True,
        vprefix_addr6=sixteen(places["ipv6"].partition("::")[0] + "::"),
        vprefix_len=64,
        vhost6=sixteen(places["ipv6"]),
        vdhcp_start=four(places["guest"]),
        vnameserver=four(places["nameserver"]),
        vnameserver6=sixteen(places["nameserver6"]),
    )


def _sockaddr(address: str, port: int) -> bytes:
    """Spell an endpoint as the host's struct sockaddr_in or sockaddr_in6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    head = int(family).to_bytes(2, sys.byteorder) + port.to_bytes(2, "big")
    octets = socket.inet_pton(family, address)
    return head + (bytes(4) + octets + bytes(4) if ":" in address else octets + bytes(8))
