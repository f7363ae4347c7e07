"""Sysctls: those of a network namespace, and what a user may ask of them."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.errors import UsageError
from harness.targets.namespace import Namespace, read_sysctls, sysctl_path, write_sysctls

_ROOT = Path("/proc/sys")

# Beside all of net.ipv4.tcp_*: what else changes how TCP behaves on a link.
_BESIDE = (
    "net.core.somaxconn",
    "net.ipv4.icmp_msgs_burst",
    "net.ipv4.icmp_msgs_per_sec",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.icmp_ratemask",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv6.icmp.ratelimit",
)

# Private to the namespace, and of no use to a reader.
_SECRET = frozenset({"net.ipv4.tcp_fastopen_key"})


def canonical(name: str) -> str:
    """Return a sysctl's name as sysctl(8) prints it; UsageError if it cannot be one."""
    try:
        parts = sysctl_path(name).relative_to(_ROOT).parts
    except ValueError as error:
        raise UsageError(f"--sysctl {name}: {error}") from error
    return ".".join(part.replace(".", "/") for part in parts)


def effective(besides: Iterable[str] = ()) -> dict[str, str]:
    """Return the sysctls of the calling thread's namespace that shape its TCP."""
    tcp = (f"net.ipv4.{path.name}" for path in (_ROOT / "net/ipv4").glob("tcp_*"))
    names = sorted({*tcp, *_BESIDE, *besides} - _SECRET)
    return read_sysctls(tuple(names))


def check(asked: Mapping[str, str], namespace: Namespace) -> None:
    """Set a user's sysctls in a scratch namespace; UsageError for one that cannot be set.

    Must be called by a thread that stands in the host's namespace: what is only there belongs to
    the whole machine, and is not ours to change.
    """
    for name, value in asked.items():
        path = sysctl_path(name)
        on_host = path.exists()
        with namespace.entered():
            complaint = _complaint(name, path, on_host=on_host)
            if complaint is None:
                try:
                    write_sysctls({name: value})
                except OSError as error:
                    complaint = f"the kernel refuses this value ({error.strerror})"
        if complaint is not None:
            raise UsageError(f"--sysctl {name}={value}: {complaint}")


def _complaint(name: str, path: Path, *, on_host: bool) -> str | None:
    """Say why a sysctl cannot be set in the calling thread's namespace, or None."""
    ours = path.is_relative_to(_ROOT / "net")
    if (ours and not path.exists() and on_host) or (not ours and path.exists()):
        return "not a setting of a network namespace, it would change the whole machine"
    if not path.exists():
        near = difflib.get_close_matches(name, _names(), n=3)
        return "no such sysctl" + (f"; did you mean {' or '.join(near)}?" if near else "")
    if path.is_dir():
        return "a folder of sysctls, not one"
    # The kernel shows what belongs to the whole machine read-only in other namespaces.
    if not path.stat().st_mode & 0o222:
        return "cannot be set in a network namespace, only read"
    return None


def _names() -> list[str]:
    return [
        canonical(os.path.relpath(Path(folder, file), _ROOT))
        for folder, _, files in os.walk(_ROOT / "net")
        for file in files
    ]
