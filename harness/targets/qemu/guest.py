"""Guest: the first program of a virtual machine: its link, and the agent of each of its stacks.

Runs inside, as /init, with `agent.py` and `sock_diag.py` beside it. It and the harness take turns:
what the harness asks stands in a mailbox, memory that both see; when it is done and the time that
was asked for has come, the answer stands there and this program *parks*: one write to a device
stops the whole machine, and with it its clock, until the harness has its next wish. Nothing comes
in from outside but what stands in the mailbox, so that nothing depends on how fast the host is.

The wire is a tap device. Its frames are captured by a packet socket with the kernel's stamps, and
the clock stops as soon as a frame has left the stack.

A wish and an answer are JSON objects behind their length:

    {"hosts": [{"mac", "addresses", "sysctls"}], "names": [sysctl…]}                 once, first
    {"frames": [base64…], "requests": [[host, request]…], "until": seconds}
    {"now", "captured": [[stamp, sent, base64]…], "replies": [[host, reply]…], "lost", "error",
     "known": for each host {sysctl: value}, once}

The first answer tells what kernel it is: "release", "tick", "families", "namespaces", "sysctls",
what it "lacks" that a link needs, and "zero", an instant at which its count of ticks is a multiple
of every bucket of its timer wheel.
"""

import base64
import contextlib
import ctypes
import fcntl
import importlib
import mmap
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_WATCHDOG_DEVICE = ("0x8086", "0x25ab")
_PARKING_DEVICE = ("0x1b36", "0x0011")

_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_SIOCSIFFLAGS, _SIOCSIFHWADDR, _SIOCSIFTXQLEN = 0x8914, 0x8924, 0x8943
_ARPHRD_ETHER = 1
_QUEUE = 10_000

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_PACKET_OUTGOING = 4
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_TIMESPEC = struct.Struct("@qq")
_BUFFER = 1 << 23

# Of rtnetlink(7).
_RTM_NEWADDR, _RTM_NEWROUTE = 20, 24
_REQUEST_CREATE_ACKNOWLEDGE = 0x0405
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 2
_RTA_OIF, _MAIN, _BOOT, _UNICAST, _SCOPE_LINK = 4, 254, 3, 1, 253

_CLONE_NEWNET = 0x40000000
_INIT_MODULE = 175
_PR_SET_TIMERSLACK = 29
# Advances once a timer tick, so that its resolution is 1/HZ.
_CLOCK_MONOTONIC_COARSE = 6

_EXACT = 0.1
"""Seconds of a wait that ends in time: what it may be late by is not worth another step."""

# What of the kernel's housekeeping would wake an idle machine again and again, for no use here.
_QUIET = {
    "kernel.watchdog": "0",
    "kernel.hung_task_timeout_secs": "0",
    "vm.compaction_proactiveness": "0",
    "vm.dirty_writeback_centisecs": "0",
    "vm.stat_interval": "1000000",
}

_FREQUENT = ("hello", "table", "counters")
"""Questions of most testcases, that leave nothing behind."""

INTERFACE = "eth0"

_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, what: str) -> int:
    """Raise OSError for a failed call of libc."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


class Tap:
    """The wire of one stack: what is written comes in, what the stack sends is read."""

    def __init__(self, mac: str) -> None:
        self.descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asked = struct.pack("16sH22x", INTERFACE.encode(), _IFF_TAP | _IFF_NO_PI)
        fcntl.ioctl(self.descriptor, _TUNSETIFF, asked)
        octets = bytes.fromhex(mac.replace(":", ""))
        control(_SIOCSIFHWADDR, struct.pack("=H6s", _ARPHRD_ETHER, octets))
        control(_SIOCSIFTXQLEN, struct.pack("=i", _QUEUE))

    def take_in(self, octets: bytes) -> None:
        """Let a frame arrive at the stack, which deals with it before this returns."""
        # An interface that is down takes nothing, as a cable that is not plugged in.
        with contextlib.suppress(OSError):
            os.write(self.descriptor, octets)

    def sent(self) -> Iterator[bytes]:
        """Give the frames that the stack has sent."""
        while True:
            try:
                yield os.read(self.descriptor, 1 << 17)
            except OSError:
                return


class Capture:
    """A packet socket on the interface of the calling thread's namespace."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((INTERFACE, _ETH_P_ALL))
        self._socket.setblocking(False)
        before = time.monotonic_ns()
        wall = time.time_ns()
        # Nobody sets this machine's clock, so this holds for as long as it lives.
        self._offset = wall - (before + time.monotonic_ns()) // 2
        self.lost = 0

    def fileno(self) -> int:
        """Return the descriptor that is readable when a frame has passed."""
        return self._socket.fileno()

    def passed(self) -> Iterator[tuple[float, bool, bytes]]:
        """Give stamp, whether it came in, and octets of the frames that have passed."""
        while True:
            try:
                octets, ancillary, _, address = self._socket.recvmsg(1 << 17, 64)
            except BlockingIOError:
                return
            except OSError:
                # The interface went down: nothing passes, and the next look is without an error.
                continue
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2][: _TIMESPEC.size])
            stamp = seconds * 1_000_000_000 + nanoseconds - self._offset
            yield stamp / 1e9, address[2] != _PACKET_OUTGOING, octets

    def count_lost(self) -> int:
        """Return how many frames the capture has lost so far."""
        found = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self.lost += struct.unpack("II", found)[1]
        return self.lost


class Stack:
    """One stack: its namespace, its end of the wire, and its agent."""

    def __init__(self, host: dict[str, Any], namespace: int | None) -> None:
        self._namespace = namespace
        with self.entered():
            write_sysctls(host["sysctls"])
            self.tap = Tap(host["mac"])
            configure(host["addresses"])
            self.capture = Capture()
        # One of the files that lie beside this one in the guest.
        self.agent = importlib.import_module("agent").Agent(self.entered, time.monotonic)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let the calling thread stand in the stack's namespace."""
        if self._namespace is None:
            yield
            return
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            checked(_libc.setns(self._namespace, _CLONE_NEWNET), "setns")
            yield
        finally:
            checked(_libc.setns(home, _CLONE_NEWNET), "setns")
            os.close(home)


class Guest:
    """The stacks, and what the harness wishes of them."""

    def __init__(self) -> None:
        self._stacks: list[Stack] = []
        self._captured: list[list[Any]] = []
        self._replies: list[list[Any]] = []
        self._events = 0

    def survey(self) -> dict[str, Any]:
        """Return the first answer: what kernel this is."""
        return {
            "now": time.monotonic(),
            "error": None,
            "release": os.uname().release,
            "tick": time.clock_getres(_CLOCK_MONOTONIC_COARSE),
            "zero": zero_of_ticks(),
            "families": ["ipv4"] + ["ipv6"] * Path("/proc/sys/net/ipv6").exists(),
            "namespaces": Path("/proc/self/ns/net").exists(),
            "lacks": lacks(),
            "sysctls": [
                ".".join(path.relative_to("/proc/sys").parts)
                for path in sorted(Path("/proc/sys/net").rglob("*"))
                if path.is_file()
            ],
        }

    def serve(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Do what is wished and let the time pass that it names; return the answer."""
        error = known = None
        try:
            known = self._set_up(wish) if "hosts" in wish else None
            self._run(wish)
        except Exception as problem:  # noqa: BLE001 - the harness is told, and decides
            error = f"{type(problem).__name__}: {problem}"
        captured, self._captured = self._captured, []
        replies, self._replies = self._replies, []
        self._events = 0
        return {
            "now": time.monotonic(),
            "known": known,
            "captured": captured,
            "replies": replies,
            "lost": self._stacks[0].capture.count_lost() if self._stacks else 0,
            "error": error,
        }

    def _set_up(self, wish: dict[str, Any]) -> list[dict[str, str]]:
        """Make the stacks, and return the values that the named sysctls have in each of them."""
        for number, host in enumerate(wish["hosts"]):
            # The first stack lives where the kernel itself began, and has all of its sysctls.
            self._stacks.append(Stack(host, new_namespace() if number else None))
        found = []
        for stack in self._stacks:
            with stack.entered():
                found.append(read_sysctls(wish["names"]))
            # What is done for the first time takes much longer than what was done before.
            for operation in _FREQUENT:
                stack.agent.handle({"id": 0, "op": operation})
        return found

    def _run(self, wish: dict[str, Any]) -> None:
        for frame in wish.get("frames", ()):
            self._stacks[0].tap.take_in(base64.b64decode(frame))
        for number, request in wish.get("requests", ()):
            self._keep(number, self._stacks[number].agent.handle(request))
        until = wish.get("until") or 0.0
        watched = [
            descriptor
            for stack in self._stacks
            for descriptor in (stack.capture.fileno(), stack.tap.descriptor, stack.agent.fileno())
        ]
        self._look()
        while not self._events:
            left = until - time.monotonic()
            if left <= 0:
                return
            # A select() may be late by a thousandth of its time, so the end is come near in steps.
            if select.select(watched, (), (), left if left < _EXACT else 0.99 * left)[0]:
                self._look()

    def _look(self) -> None:
        """Relay what was sent, and take what was captured and what calls have ended."""
        for number, stack in enumerate(self._stacks):
            other = self._stacks[1 - number] if len(self._stacks) > 1 else None
            for octets in stack.tap.sent():
                if other is not None:
                    other.tap.take_in(octets)
        for number, stack in enumerate(self._stacks):
            for stamp, came_in, octets in stack.capture.passed():
                if number == 0:
                    alone = len(self._stacks) == 1
                    sent = came_in and alone
                    self._captured.append([stamp, sent, base64.b64encode(octets).decode()])
                    self._events += not sent
            self._keep(number, stack.agent.poll())

    def _keep(self, number: int, replies: list[Any]) -> None:
        self._replies += [[number, reply] for reply in replies]
        self._events += len(replies)


def zero_of_ticks() -> float | None:
    """Return the instant at which the count of ticks was, or will be, a multiple of 2^27."""
    before = stamp = time.clock_gettime(_CLOCK_MONOTONIC_COARSE)
    while stamp == before:
        stamp = time.clock_gettime(_CLOCK_MONOTONIC_COARSE)
    try:
        listed = Path("/proc/timer_list").read_text(encoding="ascii")
    except OSError:
        return None
    counts = [line.split()[1] for line in listed.splitlines() if line.startswith("jiffies:")]
    if not counts:
        return None
    return stamp - int(counts[0]) % (1 << 27) * time.clock_getres(_CLOCK_MONOTONIC_COARSE)


def lacks() -> list[str]:
    """Return the options of the kernel without which there is no link."""
    found = [] if Path("/dev/net/tun").exists() else ["CONFIG_TUN"]
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError:
        found.append("CONFIG_PACKET")
    return found


def control(request: int, value: bytes) -> None:
    """Make an ioctl about the interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, request, struct.pack("16s24s", INTERFACE.encode(), value))


def raise_interface(name: str) -> None:
    """Set an interface up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), 1))


def configure(addresses: dict[str, str]) -> None:
    """Give the stack its addresses, and route everything through the interface."""
    raise_interface("lo")
    raise_interface(INTERFACE)
    index = socket.if_nametoindex(INTERFACE)
    for family, length, whole in (("ipv4", 24, 4), ("ipv6", 64, 16)):
        if family not in addresses:
            continue
        number = socket.AF_INET if family == "ipv4" else socket.AF_INET6
        octets = socket.inet_pton(number, addresses[family])
        body = struct.pack("=BBBBI", number, length, _IFA_F_NODAD, 0, index)
        tell_kernel(_RTM_NEWADDR, body, (_IFA_LOCAL, octets), (_IFA_ADDRESS, octets))
        scope = _SCOPE_LINK if whole == 4 else 0
        body = struct.pack("=BBBBBBBBI", number, 0, 0, 0, _MAIN, _BOOT, scope, _UNICAST, 0)
        tell_kernel(_RTM_NEWROUTE, body, (_RTA_OIF, struct.pack("=I", index)))


def tell_kernel(kind: int, body: bytes, *attributes: tuple[int, bytes]) -> None:
    """Send one request over netlink and read what becomes of it; OSError if it is refused."""
    for number, octets in attributes:
        body += struct.pack("=HH", 4 + len(octets), number) + octets + bytes(-len(octets) % 4)
    header = struct.pack("=IHHII", 16 + len(body), kind, _REQUEST_CREATE_ACKNOWLEDGE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as routes:
        routes.send(header + body)
        number = -struct.unpack_from("=i", routes.recv(4096), 16)[0]
    if number:
        raise OSError(number, f"netlink {kind}: {os.strerror(number)}")


def new_namespace() -> int:
    """Make a network namespace and return a descriptor of it."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        checked(_libc.unshare(_CLONE_NEWNET), "unshare")
        made = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        checked(_libc.setns(home, _CLONE_NEWNET), "setns")
    finally:
        os.close(home)
    return made


def write_sysctls(values: dict[str, str]) -> None:
    """Set sysctls, where this kernel has them."""
    for name, value in values.items():
        path = Path("/proc/sys", *name.split("."))
        if path.exists():
            path.write_text(value, encoding="ascii")


def main() -> None:
    """Take turns with the harness; the kernel panics, and the machine ends, when this fails."""
    try:
        take_turns()
    except BaseException as error:
        tell(f"{type(error).__name__}: {error}")
        raise


def read_sysctls(names: list[str]) -> dict[str, str]:
    """Return those sysctls that this kernel has, as the agent tells them."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = Path("/proc/sys", *name.split(".")).read_text(encoding="ascii").strip()
    return found


def take_turns() -> None:
    """Make the machine ready, then take turns with the harness until the machine ends."""
    prepare()
    # One of the files that lie beside this one in the guest.
    mailbox = importlib.import_module("mailbox")
    with Path("/dev/mem").open("r+b", buffering=0) as file:
        shared = mmap.mmap(file.fileno(), mailbox.SIZE, offset=mailbox.WHERE)
    door = Door()
    guest = Guest()
    answer = guest.survey()
    while True:
        mailbox.write(shared, answer, answer=True)
        door.park()
        answer = guest.serve(mailbox.read(shared, answer=False))


def tell(text: str) -> None:
    """Write a line to the console."""
    sys.stderr.write(f"guest: {text}\n")
    sys.stderr.flush()


def prepare() -> None:
    """Mount what programs expect, load the modules, and let sleeps be exact."""
    for kind, where in (
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/run"),
    ):
        Path(where).mkdir(exist_ok=True)
        checked(
            _libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None), f"mount {where}"
        )
    for path in sorted(Path("/modules").glob("*.ko")):
        octets = path.read_bytes()
        if _libc.syscall(_INIT_MODULE, octets, ctypes.c_ulong(len(octets)), b"") < 0:
            tell(f"{path.name}: {os.strerror(ctypes.get_errno())}")
        path.unlink()
    write_sysctls(_QUIET)
    checked(_libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0), "prctl")


def device(identity: tuple[str, str]) -> Path:
    """Switch on the PCI device with this vendor and number, and return its folder."""
    for found in sorted(Path("/sys/bus/pci/devices").iterdir()):
        seen = ((found / "vendor").read_text().strip(), (found / "device").read_text().strip())
        if seen == identity:
            (found / "enable").write_text("1")
            return found
    raise OSError(f"no PCI device {identity}")


class Door:
    """Where the machine stands still until the harness lets it go on.

    Two devices stand in for one that does this: the first stops the machine when it is told of a
    panic. Between that and the stop the emulator may find its processor idle and let the clock jump
    to the next timer; so a watchdog, which does nothing else, has one due a microsecond later.
    """

    def __init__(self) -> None:
        self._stop = ctypes.c_uint8.from_address(registers(_PARKING_DEVICE))
        base = registers(_WATCHDOG_DEVICE)
        self._timers = [ctypes.c_uint32.from_address(base + at) for at in (0, 4)]
        self._reload = ctypes.c_uint16.from_address(base + 0xC)
        with (device(_WATCHDOG_DEVICE) / "config").open("r+b", buffering=0) as file:
            os.pwrite(file.fileno(), b"\x27\x00", 0x60)  # clock of 1 MHz, no reboot, no interrupt
            os.pwrite(file.fileno(), b"\x02", 0x68)  # enabled, not locked, once
        for timer in self._timers:
            self._unlock()
            timer.value = 1

    def park(self) -> None:
        """Stop the machine; returns when it goes on."""
        self._unlock()
        self._reload.value = 0x100
        self._stop.value = 1

    def _unlock(self) -> None:
        self._reload.value = 0x80
        self._reload.value = 0x86


def registers(identity: tuple[str, str]) -> int:
    """Map a device's registers, which may be fewer than Python would map; return their address."""
    folder = device(identity)
    start = int((folder / "resource").read_text().split()[0], 16)
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    with (folder / "resource0").open("r+b", buffering=0) as file:
        access = mmap.PROT_READ | mmap.PROT_WRITE
        page = _libc.mmap(None, mmap.PAGESIZE, access, mmap.MAP_SHARED, file.fileno(), 0)
    if page in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), f"the PCI device {identity} cannot be mapped")
    return int(page) + start % mmap.PAGESIZE
