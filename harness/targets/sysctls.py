"""Sysctls: those of a network namespace, and what a user may ask of them."""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.targets.namespace import Namespace, read_sysctls, sysctl_path, write_sysctls
from harness.targets.profile import LeftOut, Profile, chosen, left_out

_ROOT = Path("/proc/sys")

BESIDE = (
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
"""Beside all of net.ipv4.tcp_*: what else changes how TCP behaves on a link."""

# Of the whole machine, though they stand among the network's: an ordinary user's process, which
# has left the host's namespace, no longer sees that they exist.
_MACHINE = frozenset(
    {
        f"net.ipv4.{name}"
        for name in (
            "fib_sync_mem",
            "inet_peer_maxttl",
            "inet_peer_minttl",
            "inet_peer_threshold",
            "tcp_allowed_congestion_control",
            "tcp_available_ulp",
            "tcp_low_latency",
            "tcp_max_orphans",
            "tcp_mem",
            "udp_mem",
        )
    }
    | {
        f"net.core.{name}"
        for name in (
            "bpf_jit_enable",
            "busy_poll",
            "busy_read",
            "default_qdisc",
            "dev_weight",
            "netdev_budget",
            "netdev_budget_usecs",
            "netdev_max_backlog",
            "netdev_tstamp_prequeue",
            "rmem_default",
            "rmem_max",
            "rps_sock_flow_entries",
            "warnings",
            "wmem_default",
            "wmem_max",
        )
    }
)

# What the link of a testcase, and the fence behind its segments, cannot do without.
_OURS = frozenset(
    {
        "accept_dad",
        "accept_ra",
        "addr_gen_mode",
        "autoconf",
        "dad_transmits",
        "disable_ipv6",
        "icmp_echo_ignore_all",
        "net.ipv6.icmp.echo_ignore_all",
        "router_solicitations",
    }
)

# Private to the namespace, and of no use to a reader.
SECRET = frozenset({"net.ipv4.tcp_fastopen_key"})


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
    names = sorted({*tcp, *BESIDE, *besides} - SECRET)
    return read_sysctls(tuple(names))


def of_host() -> dict[str, str]:
    """Return what of the host's TCP sysctls a namespace can be given.

    Must be called before an ordinary user's process leaves the host's network namespace.
    """
    return {
        name: value
        for name, value in effective().items()
        if name not in _MACHINE and sysctl_path(name).stat().st_mode & 0o222
    }


def check(asked: Mapping[str, str], namespace: Namespace) -> None:
    """Set a user's sysctls in a scratch namespace; UsageError for one that cannot be set.

    What the calling thread sees in its own namespace, but not in the scratch one, belongs to the
    whole machine and is not ours to change.
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


def admit(profile: Profile, namespace: Namespace) -> tuple[dict[str, str], tuple[LeftOut, ...]]:
    """Set a profile in a scratch namespace; return what was set, and what was left out, with why.

    Where a setting that was only found in force is in force there too, there is nothing to be set.
    """
    with namespace.entered():
        found, missed = chosen(profile, _names() if profile else ())
    taken: dict[str, str] = {}
    refused = list(missed)
    for name, setting in found.items():
        value, path = setting.value or "", sysctl_path(name)
        on_host = path.exists()
        with namespace.entered():
            if not setting.named and read_sysctls((name,)).get(name) == value:
                continue
            reason = unfit(name) or _complaint(name, path, on_host=on_host)
            try:
                if reason is None:
                    write_sysctls({name: value})
            except OSError as error:
                reason = f"the kernel refuses this value ({error.strerror})"
        if reason is None:
            taken[name] = value
        else:
            refused.append(left_out(replace(setting, name=name), reason))
    return taken, tuple(refused)


def unfit(name: str) -> str | None:
    """Say why a sysctl is not taken over, though it could be set, or None."""
    if name in _OURS or name.rpartition(".")[2] in _OURS:
        return "the link of a testcase needs it as it is"
    return None


def _complaint(name: str, path: Path, *, on_host: bool) -> str | None:
    """Say why a sysctl cannot be set in the calling thread's namespace, or None."""
    ours = path.is_relative_to(_ROOT / "net")
    if name in _MACHINE or (on_host and not path.exists()) or (path.exists() and not ours):
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
