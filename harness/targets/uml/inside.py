"""Inside: what a guest does to its own kernel: mounts, modules, namespaces, interfaces, sysctls.

Runs in guests, with the standard library only.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

_FINIT_MODULE = 313
_CLONE_NEWNET = 0x40000000
_HERE = "/proc/self/ns/net"

# Of rtnetlink(7).
_RTM_NEWLINK, _RTM_DELLINK, _RTM_NEWADDR, _RTM_NEWROUTE = 16, 17, 20, 24
_REQUEST_ACKNOWLEDGE, _CREATE = 0x0005, 0x0400
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_NET_NS_FD, _INFO_KIND, _INFO_DATA, _VETH_PEER, _BRIDGE_SNOOPING = 28, 1, 2, 1, 23
_IFA_ADDRESS, _IFA_LOCAL, _IFA_F_NODAD = 1, 2, 2
_RTA_OIF, _MAIN, _BOOT, _UNICAST, _SCOPE_LINK = 4, 254, 3, 1, 253
_IFF_UP = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(kind: str, where: str) -> None:
    """Mount a file system of the kernel's own, unless it is there."""
    try:
        _checked(_libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None), where)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise


class Modules:
    """The modules of this kernel, in a folder as depmod left it; no folder, no modules."""

    def __init__(self, folder: str | None) -> None:
        self._folder = Path(folder) if folder else None
        self._needs: dict[str, list[str]] = {}
        self._done: set[str] = set()
        if self._folder is None:
            return
        for line in (self._folder / "modules.dep").read_text("utf-8").splitlines():
            file, _, needs = line.partition(":")
            # Those that it needs stand behind it, each before what it needs itself.
            self._needs[_name(file)] = [*reversed(needs.split()), file]

    def load(self, names: Iterable[str]) -> None:
        """Load modules and what they need; those that are not there may be part of the kernel."""
        for name in names:
            for file in self._needs.get(name.replace("-", "_"), ()):
                self._insert(file)

    def _insert(self, file: str) -> None:
        assert self._folder is not None
        if file in self._done:
            return
        self._done.add(file)
        try:
            descriptor = os.open(self._folder / file, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            # Refused is what is there already, and what this kernel cannot do.
            _libc.syscall(_FINIT_MODULE, descriptor, b"", 0)
        finally:
            os.close(descriptor)


def _name(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0].replace("-", "_")


def new_namespace() -> None:
    """Let this process stand in a network namespace of its own."""
    _checked(_libc.unshare(_CLONE_NEWNET), "unshare")


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends."""
    _libc.prctl(1, 9, 0, 0, 0)


class Netlink:
    """Requests about interfaces in the namespace where this was made, wherever the process is."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

    def close(self) -> None:
        """Let it go."""
        self._socket.close()

    def add_bridge(self, index: int) -> None:
        """Make a bridge of this number, which floods what it does not know."""
        self._add(index, "bridge", _attribute(_BRIDGE_SNOOPING, b"\0"))
        self.set_up(index)

    def add_pair(self, index: int, far: str, namespace: int) -> None:
        """Make a pair of interfaces: one of this number, one behind a namespace's descriptor."""
        peer = _attribute(_IFLA_IFNAME, far.encode() + b"\0")
        peer += _attribute(_IFLA_NET_NS_FD, struct.pack("=I", namespace))
        self._add(index, "veth", _attribute(_VETH_PEER, _link_body() + peer))

    def join(self, index: int, bridge: int) -> None:
        """Make an interface a port of a bridge, and bring it up."""
        self._link(index, (_IFLA_MASTER, struct.pack("=I", bridge)))
        self.set_up(index)

    def delete(self, index: int) -> None:
        """Take an interface away, and with it its other end."""
        self._ask(_RTM_DELLINK, _link_body(index), create=False)

    def set_up(self, index: int, mac: str | None = None, mtu: int = 1500) -> None:
        """Bring an interface up, with the address that it is to have."""
        if mac is not None:
            octets = bytes.fromhex(mac.replace(":", ""))
            self._link(index, (_IFLA_ADDRESS, octets), (_IFLA_MTU, struct.pack("=I", mtu)))
        self._link(index, flags=_IFF_UP)

    def give(self, index: int, addresses: Mapping[str, str]) -> None:
        """Give an interface its addresses, and route everything through it."""
        for family, length in (("ipv4", 24), ("ipv6", 64)):
            if family not in addresses:
                continue
            number = socket.AF_INET if family == "ipv4" else socket.AF_INET6
            octets = socket.inet_pton(number, addresses[family])
            body = struct.pack("=BBBBI", number, length, _IFA_F_NODAD, 0, index)
            self._ask(_RTM_NEWADDR, body, (_IFA_LOCAL, octets), (_IFA_ADDRESS, octets))
            scope = _SCOPE_LINK if family == "ipv4" else 0
            body = struct.pack("=BBBBBBBBI", number, 0, 0, 0, _MAIN, _BOOT, scope, _UNICAST, 0)
            self._ask(_RTM_NEWROUTE, body, (_RTA_OIF, struct.pack("=I", index)))

    def _add(self, index: int, kind: str, data: bytes) -> None:
        info = _attribute(_INFO_KIND, kind.encode()) + _attribute(_INFO_DATA, data)
        named = (_IFLA_IFNAME, f"{kind}{index}".encode() + b"\0")
        self._ask(_RTM_NEWLINK, _link_body(index), named, (_IFLA_LINKINFO, info))

    def _link(self, index: int, *attributes: tuple[int, bytes], flags: int = 0) -> None:
        self._ask(_RTM_NEWLINK, _link_body(index, flags), *attributes, create=False)

    def _ask(
        self, kind: int, body: bytes, *attributes: tuple[int, bytes], create: bool = True
    ) -> None:
        for number, octets in attributes:
            body += _attribute(number, octets)
        flags = _REQUEST_ACKNOWLEDGE | (_CREATE if create else 0)
        self._socket.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        error = -struct.unpack_from("=i", self._socket.recv(65536), 16)[0]
        if error:
            raise OSError(error, f"netlink {kind}: {os.strerror(error)}")


def _link_body(index: int = 0, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _attribute(number: int, octets: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(octets), number) + octets + bytes(-len(octets) % 4)


class Line:
    """A terminal line as a stream of octets: raw, from its first octet on."""

    def __init__(self, number: int) -> None:
        path = f"/dev/ttyS{number}"
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.fcntl(self.descriptor, fcntl.F_SETFL, os.O_RDWR)


def there(name: str) -> Path:
    """Return the file of a sysctl."""
    return Path("/proc/sys", *name.split("."))


def write_sysctls(values: Mapping[str, str], *, all_: bool) -> None:
    """Set sysctls of this process's namespace; unless it must be `all_`, those that are there."""
    for name, value in values.items():
        path = there(name)
        if not all_ and not path.exists():
            continue
        try:
            path.write_text(value, encoding="ascii")
        except OSError as error:
            raise OSError(error.errno, f"{name} = {value}: {error.strerror}") from error


def sysctls(names: Iterable[str]) -> dict[str, str]:
    """Read all of net.ipv4.tcp_*, and these, as far as there are such."""
    wanted = [f"net.ipv4.{path.name}" for path in Path("/proc/sys/net/ipv4").glob("tcp_*")]
    found = {}
    for name in sorted({*wanted, *names}):
        try:
            found[name] = " ".join(there(name).read_text("ascii").split())
        except OSError:
            continue
    return found
