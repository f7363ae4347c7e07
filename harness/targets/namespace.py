"""Namespace: a network namespace, held by a descriptor and never by a name."""

import contextlib
import ctypes
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.targets import sock_diag

_CLONE_NEWNET = 0x40000000
# Of the calling thread: /proc/self would be the process's first thread.
_OWN = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True, eq=False)
class Namespace:
    """A network namespace that lives as long as its descriptor, or a socket in it."""

    descriptor: int

    @classmethod
    def create(cls) -> "Namespace":
        """Make an empty namespace; the calling thread stays where it is. OSError if refused."""
        home = _open_own()
        try:
            if _libc.unshare(_CLONE_NEWNET) < 0:
                raise _last_error()
            try:
                return cls(_open_own())
            finally:
                _return(home)
        finally:
            os.close(home)

    @classmethod
    def of_process(cls, pid: int) -> "Namespace":
        """Hold the namespace that a process stands in. OSError if there is none."""
        return cls(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Let the calling thread stand in this namespace; HarnessError if it cannot come back."""
        home = _open_own()
        try:
            if _libc.setns(self.descriptor, _CLONE_NEWNET) < 0:
                raise _last_error()
            try:
                yield
            finally:
                _return(home)
        finally:
            os.close(home)

    def read(self, names: Iterator[str] | tuple[str, ...]) -> dict[str, str]:
        """Return the values of those of the named sysctls that this namespace has and shows."""
        with self.entered():
            return read_sysctls(names)

    def write(self, values: Mapping[str, str]) -> None:
        """Set sysctls; OSError, with the file's name, for the first that the kernel refuses."""
        with self.entered():
            write_sysctls(values)

    def close(self) -> None:
        """Destroy the sockets, which would keep the namespace alive, and let it go.

        Nothing is destroyed in the namespace where the calling thread itself stands: that is the
        host's.
        """
        if self.descriptor < 0:
            return
        try:
            if not os.path.samestat(os.fstat(self.descriptor), Path(_OWN).stat()):
                with self.entered():
                    sock_diag.destroy_all()
        finally:
            os.close(self.descriptor)
            self.descriptor = -1


def sysctl_path(name: str) -> Path:
    """Return the file of a sysctl, written with dots or with slashes as sysctl(8) takes it."""
    first = min((at for at in (name.find("."), name.find("/")) if at >= 0), default=-1)
    # As in sysctl(8): whichever separator comes first is one, the other belongs to a name.
    words = name.split("." if first >= 0 and name[first] == "." else "/")
    if any(word in {"", ".", ".."} for word in words):
        raise ValueError(f"{name!r} does not name a sysctl")
    return Path("/proc/sys", *(word.replace("/", ".") for word in words))


def read_sysctls(names: Iterator[str] | tuple[str, ...]) -> dict[str, str]:
    """Return the values, as the calling thread's namespace has them, of those that it shows."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = " ".join(sysctl_path(name).read_text().split())
    return found


def write_sysctls(values: Mapping[str, str]) -> None:
    """Set sysctls in the calling thread's namespace; OSError for the first that is refused."""
    for name, value in values.items():
        path = os.fspath(sysctl_path(name))
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from error
        finally:
            os.close(descriptor)


def interfaces() -> list[str]:
    """Return the names of the interfaces in the calling thread's namespace."""
    return [name for _, name in socket.if_nameindex()]


def _open_own() -> int:
    return os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)


def _return(home: int) -> None:
    if _libc.setns(home, _CLONE_NEWNET) < 0:
        raise HarnessError(f"a thread cannot leave a network namespace: {_last_error().strerror}")


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
