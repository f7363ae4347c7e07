"""Privilege: what making network namespaces takes, as root or as an ordinary user."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from harness.errors import UsageError
from harness.targets.namespace import Namespace

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CAP_NET_ADMIN = 12
_CAP_NET_RAW = 13
_CAP_SYS_ADMIN = 21
_NAMES = "CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN"
_NEEDED = (1 << _CAP_NET_ADMIN) | (1 << _CAP_NET_RAW) | (1 << _CAP_SYS_ADMIN)

# What may forbid user namespaces: the value that does, and what to set instead.
_OBSTACLES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "10000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)

_ATTEMPT = """
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(ctypes.get_errno() if libc.unshare(int(sys.argv[1])) < 0 else 0)
"""


def privileged() -> bool:
    """Tell whether this process may make network namespaces and packet sockets in them."""
    for line in Path("/proc/thread-self/status").read_text("ascii").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16) & _NEEDED == _NEEDED
    return False


def mapped_alone() -> bool:
    """Tell whether this process is root only of a user namespace that holds its user alone."""
    return Path("/proc/self/uid_map").read_text("ascii").split()[2:] == ["1"]


def ensure_privileges() -> None:
    """Move an ordinary user's process into a user namespace of its own, where it is root.

    Root stays as it is. With the user namespace comes an empty network namespace: a thread may
    only return to one that it has power over. So what is wanted of the host's network (its
    sysctls) is read before. Must come before the first thread is started; children inherit it.
    UsageError with the remedy if it cannot be done.
    """
    if privileged():
        _settle()
        return
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        raise UsageError(
            f"the process has {threads} threads already and cannot enter a user namespace: "
            f"run as root, or under `unshare --user --map-root-user`"
        )
    user, group = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) < 0:
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

    An ordinary user's process tries it in a child, whose end undoes it.
    """
    if privileged():
        try:
            os.close(Namespace.create().descriptor)
        except OSError as error:
            return _remedy(error.strerror or str(error))
        return None
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ATTEMPT, str(_CLONE_NEWUSER | _CLONE_NEWNET)],
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return _remedy(os.strerror(done.returncode)) if done.returncode else None


def _settle() -> None:
    """Give a thread that could not return to its network namespace an empty one to stand in.

    Who was made root of a user namespace only is still in the host's network.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        away = libc.setns(home.fileno(), _CLONE_NEWNET) < 0
    if away and libc.unshare(_CLONE_NEWNET) < 0:
        raise UsageError(_remedy(os.strerror(ctypes.get_errno())))


def _remedy(why: str) -> str:
    sentence = f"no permission to make network namespaces ({why})"
    for name, forbids, allows in _OBSTACLES:
        path = Path("/proc/sys", *name.split("."))
        if path.exists() and path.read_text("ascii").strip() == forbids:
            return (
                f"{sentence}: run as root, or allow it to ordinary users with "
                f"`sysctl {name}={allows}`"
            )
    if os.geteuid() == 0:
        return f"{sentence}: this root lacks {_NAMES}; a container must be started with them"
    return f"{sentence}: run as root"
