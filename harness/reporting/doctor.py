"""Doctor: what can run on this machine, and what would have to be installed for the rest."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.targets.privilege import refusal
from harness.targets.registry import DRIVERS, driver

DEFAULT_TARGET = "netns"

PACKAGES = ("pytest", "pytest-xdist", "scapy", "pyroute2", "docker", "allure-pytest")
PROGRAMS = (("iptables", "iptables"), ("ip6tables", "iptables"))
"""Programs, each with the Debian package that has it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `remedy` is what to do about it, or empty if it is well."""

    name: str
    found: str
    remedy: str = ""

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return not self.remedy


def targets() -> list[Check]:
    """Ask every driver what it is and whether it can run here."""
    return [_target(name) for name in DRIVERS]


def _target(name: str) -> Check:
    try:
        found = driver(name)
    except ImportError as error:
        package = (error.name or "a package").partition(".")[0]
        return Check(name, "", f"Python lacks {package}: pip install {package}")
    described = (found.__doc__ or "").partition("\n")[0].partition(". ")[0].rstrip(".")
    try:
        return Check(name, described, found.missing() or "")
    except HarnessError as error:
        return Check(name, described, str(error))


def machine() -> list[Check]:
    """Look at Python, its packages, the programs that targets call, and what this user may do."""
    return [
        Check("python", platform.python_version()),
        Check("kernel", f"{platform.system()} {platform.release()}"),
        *(_package(name) for name in PACKAGES),
        *(_program(*pair) for pair in PROGRAMS),
        _namespaces(),
    ]


def _package(name: str) -> Check:
    try:
        return Check(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "missing", f"pip install {name}")


def _program(name: str, package: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return Check(name, "missing", f"apt-get install {package}")
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Check(name, "does not run", f"apt-get install --reinstall {package} ({error})")
    return Check(name, asked.stdout.strip() or path)


def _namespaces() -> Check:
    user = "root" if os.geteuid() == 0 else "an ordinary user"
    refused = refusal()
    found = f"cannot be made by {user}" if refused else f"can be made by {user}"
    return Check("network namespaces", found, refused or "")


def lines(title: str, checks: Sequence[Check], *, well: str = "") -> Iterator[str]:
    """Show checks under a title: `well` or a dash, name, what was found, and what to do."""
    yield title
    width = max(len(check.name) for check in checks)
    for check in checks:
        mark = "ok" if check.well else "--"
        found = " ".join(filter(None, (check.found, well if check.well else "")))
        yield f"  {mark}  {check.name.ljust(width)}  {found}".rstrip()
        if not check.well:
            yield f"      {' ' * width}  {check.remedy}"
