"""Privilege: what making network namespaces takes, as root or as an ordinary user."""

import ctypes
import os
from pathlib import Path

from harness.errors import UsageError

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CAP_NET_ADMIN = 12
_CAP_NET_RAW = 13
_CAP_SYS_ADMIN = 21
_NEEDED = (1 << _CAP_NET_ADMIN) | (1 << _CAP_NET_RAW) | (1 << _CAP_SYS_ADMIN)

# What may forbid user namespaces: the value that does, and what to set instead.
_OBSTACLES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "10000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)


def privileged() -> bool:
    """Tell whether this process may make network namespaces and packet sockets in them."""
    for line in Path("/proc/thread-self/status").read_text("ascii").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & _NEEDED == _NEEDED
    return False


def ensure_privileges() -> None:
    """Move an ordinary user's process into a user namespace of its own, where it is root.

    Root stays as it is. The process's files, host name and network stay what they were: it only
    gains power over namespaces that it makes from now on. Must come before the first thread is
    started, and children inherit it. UsageError with the remedy if it cannot be done.
    """
    if privileged():
        return
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        raise UsageError(
            f"the process has {threads} threads already and cannot enter a user namespace: "
            f"run as root, or under `unshare --user --map-root-user`"
        )
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) < 0:
        raise UsageError(_remedy(os.strerror(ctypes.get_errno())))
    try:
        # Without this the kernel lets nobody but root map a group.
        Path("/proc/self/setgroups").write_text("deny", "ascii")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", "ascii")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", "ascii")
    except OSError as error:
        raise UsageError(_remedy(error.strerror or str(error))) from error
    if not privileged():
        raise UsageError(_remedy("the new namespace gives no capabilities"))


def refusal() -> str | None:
    """Say in one line why a network namespace cannot be made here, or None if it can.

    Tries it in a child, whose end undoes it.
    """
    child = os.fork()
    if child == 0:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            flags = _CLONE_NEWNET if privileged() else _CLONE_NEWNET | _CLONE_NEWUSER
            os._exit(ctypes.get_errno() if libc.unshare(flags) < 0 else 0)
        finally:
            os._exit(255)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return _remedy(os.strerror(code)) if code else None


def _remedy(why: str) -> str:
    for name, forbids, allows in _OBSTACLES:
        path = Path("/proc/sys", *name.split("."))
        if path.exists() and path.read_text("ascii").strip() == forbids:
            return (
                f"no permission to make network namespaces ({why}): run as root, or allow it to "
                f"ordinary users with `sysctl {name}={allows}`"
            )
    return f"no permission to make network namespaces ({why}): run as root"
