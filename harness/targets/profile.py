"""Profile: settings of a stack from elsewhere: this machine, or files as sysctl.d(5) has them.

A profile is for every target and says nothing of what that target has. What cannot be set there is
left out, and said.
"""

import fnmatch
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.targets.namespace import sysctl_path

HOST = "host"
"""The name by which a user asks for this machine's own settings."""

_ROOT = Path("/proc/sys")
_FAMILIES = ("net/ipv4", "net/ipv6")
_BESIDE = ("net.core.somaxconn",)
_OF_INTERFACES = ("conf", "neigh")
_GENERAL = ("all", "default", "lo")
# A key by which connections are made that nobody may forge: it belongs to this machine alone.
_SECRET = ("tcp_fastopen_key", "stable_secret")
_COMMENTS = ("#", ";")
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Setting:
    """One assignment: a sysctl's name, or a pattern of names; `value` None keeps patterns off it.

    `source` is where it stands. `tolerant` is sysctl.d's leading dash: a failure is expected.
    What is not `named` by anybody, only found in force, asks for nothing where it is so anyway.
    """

    name: str
    value: str | None
    source: str
    tolerant: bool = False
    named: bool = True

    @property
    def pattern(self) -> bool:
        """Whether the name stands for several."""
        return bool(_GLOB & set(self.name))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A setting that a target was not given, and why."""

    name: str
    value: str
    source: str
    reason: str

    def as_json(self) -> dict[str, str]:
        """Return the object that `verdicts.json` holds."""
        return asdict(self)


def left_out(setting: Setting, reason: str) -> LeftOut:
    """Say why a setting is left out."""
    may = " (its line says that it may fail)" if setting.tolerant else ""
    return LeftOut(setting.name, setting.value or "", setting.source, reason + may)


@dataclass(frozen=True, slots=True)
class Profile:
    """Settings in the order in which they count, and what could not even be read."""

    settings: tuple[Setting, ...] = ()
    unread: tuple[LeftOut, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything was asked for."""
        return bool(self.settings or self.unread)

    def as_json(self) -> dict[str, Any]:
        """Return the profile as plain values, for a worker."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Profile":
        """Read what `as_json` made."""
        return cls(
            tuple(Setting(**one) for one in value["settings"]),
            tuple(LeftOut(**one) for one in value["unread"]),
        )


def load(sources: Sequence[str], folder: Path) -> Profile:
    """Read what the user named, in order: `host`, files, or folders whose *.conf are taken.

    Later settings of a name replace earlier ones. Must be called before an ordinary user's process
    leaves the host's network namespace. UsageError for a file that cannot be read.
    """
    settings: dict[str, Setting] = {}
    unread: list[LeftOut] = []
    for source in sources:
        for one in _host() if source == HOST else _files(source, folder):
            if isinstance(one, LeftOut):
                unread.append(one)
            else:
                settings.pop(one.name, None)
                settings[one.name] = one
    return Profile(tuple(settings.values()), tuple(unread))


def chosen(
    profile: Profile, names: Iterable[str]
) -> tuple[dict[str, Setting], tuple[LeftOut, ...]]:
    """Return which sysctl gets which setting, where a target has these; and what fits none.

    A name that is spelt out counts before every pattern (sysctl.d(5)). What is spelt out is
    returned whether the target has it or not.
    """
    spelt = {one.name for one in profile.settings if one.named and not one.pattern}
    there = tuple(names)
    found: dict[str, Setting] = {}
    missed = list(profile.unread)
    for one in profile.settings:
        if not one.pattern:
            if one.value is not None:
                found[one.name] = one
            continue
        fitting = [name for name in there if _fits(name, one.name)]
        if not fitting:
            missed.append(left_out(one, "no sysctl of the target fits the pattern"))
        found |= {name: one for name in fitting if name not in spelt}
    return found, tuple(missed)


def canonical(name: str) -> str:
    """Return a sysctl's name as sysctl(8) prints it; ValueError if it cannot be one."""
    parts = sysctl_path(name).relative_to(_ROOT).parts
    return ".".join(part.replace(".", "/") for part in parts)


def parse(text: str, source: str) -> list[Setting | LeftOut]:
    """Read a file of sysctl.d(5), in which `source` is the name of the file."""
    found: list[Setting | LeftOut] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.strip().startswith(_COMMENTS):
            found.append(_line(line.strip(), f"{source}:{number}"))
    return found


def _line(line: str, where: str) -> Setting | LeftOut:
    key, equals, value = (part.strip() for part in line.partition("="))
    tolerant = key.startswith("-")
    if not equals and not tolerant:
        return LeftOut(line, "", where, "this is no assignment")
    try:
        name = canonical(key.removeprefix("-").strip())
    except ValueError as error:
        return LeftOut(key, value, where, str(error))
    if not equals:
        return Setting(name, None, where)
    if not value:
        return LeftOut(name, "", where, "there is no value")
    return Setting(name, " ".join(value.split()), where, tolerant)


def _fits(name: str, pattern: str) -> bool:
    """Tell whether a name fits, part by part: no wildcard goes over a separator."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _files(source: str, folder: Path) -> list[Setting | LeftOut]:
    path = folder / source
    paths = sorted(path.glob("*.conf")) if path.is_dir() else [path]
    if not paths:
        raise UsageError(f"--sysctl-from {source}: there is no *.conf in this folder")
    return [one for each in paths for one in _file(each)]


def _file(path: Path) -> list[Setting | LeftOut]:
    try:
        return parse(path.read_text("utf-8"), os.fspath(path))
    except OSError as error:
        raise UsageError(f"--sysctl-from {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--sysctl-from {path}: this is not UTF-8 text") from None


def _host() -> list[Setting | LeftOut]:
    """Read what is in force in the calling thread's network namespace."""
    found: list[Setting | LeftOut] = []
    interfaces: dict[str, None] = {}
    paths = [Path(where, file) for top in _FAMILIES for where, _, file in _walk(_ROOT / top)]
    paths += [path for name in _BESIDE if (path := sysctl_path(name)).exists()]
    for path in sorted(paths):
        name = canonical(os.fspath(path.relative_to(_ROOT)))
        _, _, kind, interface, *_ = *name.split("."), "", ""
        if kind in _OF_INTERFACES and interface not in _GENERAL:
            interfaces[".".join(name.split(".")[:4]) + ".*"] = None
        elif (one := _in_force(path, name)) is not None:
            found.append(one)
    reason = "of an interface of this machine; the target has its own"
    return found + [LeftOut(name, "", HOST, reason) for name in interfaces]


def _walk(top: Path) -> Iterable[tuple[str, list[str], str]]:
    return ((where, folders, file) for where, folders, files in os.walk(top) for file in files)


def _in_force(path: Path, name: str) -> Setting | LeftOut | None:
    """Return one sysctl of this machine; None for what is no setting, or says nothing."""
    try:
        mode = path.stat().st_mode
        if path.name in _SECRET or not mode & 0o222 or not mode & 0o444:
            return None
        value = " ".join(path.read_text().split())
    except PermissionError:
        return LeftOut(name, "", HOST, "only root may read it")
    except OSError:
        return None
    return Setting(name, value, HOST, named=False) if value else None
