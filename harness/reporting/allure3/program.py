"""Program: Allure's command, installed by npm from a lock file into the cache of this user."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from harness.errors import HarnessError, UsageError

PACKED = ("package.json", "package-lock.json")

FOLDER = "TCPSPEC_ALLURE_FOLDER"
"""The environment's name for where Allure is installed."""

HINT = "tcpspec report --install"

_LONGEST = 600.0
"""Seconds after which npm or Allure hangs."""


def folder() -> Path:
    """Return where this version of Allure is installed, or will be."""
    if asked := os.environ.get(FOLDER):
        return Path(asked).absolute()
    lock = files(__package__).joinpath("package-lock.json").read_bytes()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "tcpspec", f"allure-{hashlib.sha256(lock).hexdigest()[:12]}").absolute()


def script() -> Path | None:
    """Return Allure's command, or None if it is not installed."""
    found = folder() / "node_modules" / "allure" / "cli.js"
    return found if found.is_file() else None


def install(*, development: bool = False) -> Path:
    """Install Allure, and with `development` what tests of pages need; return the folder.

    UsageError if npm is missing or refuses.
    """
    if shutil.which("npm") is None:
        raise UsageError("npm is not installed: apt-get install npm")
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    for name in PACKED:
        (place / name).write_bytes(files(__package__).joinpath(name).read_bytes())
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = _run(words if development else [*words, "--omit=dev"], place, {})
    if done.returncode != 0 or script() is None:
        raise UsageError(f"npm cannot install Allure: {_last(done)}")
    return place


def run(arguments: Sequence[str], place: Path, environment: Mapping[str, str]) -> None:
    """Run Allure in a folder; UsageError if it is not installed, HarnessError if it fails."""
    found = script()
    if found is None:
        raise UsageError(f"Allure is not installed: {HINT}")
    if shutil.which("node") is None:
        raise UsageError("node is not installed: apt-get install nodejs")
    done = _run(["node", str(found), *arguments], place, environment)
    if done.returncode != 0:
        raise HarnessError(f"Allure failed: {_last(done)}")


def _run(
    words: Sequence[str], place: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            words,
            capture_output=True,
            check=False,
            cwd=place,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(f"{words[0]} did not end within {_LONGEST:g} s") from None


def _last(done: "subprocess.CompletedProcess[str]") -> str:
    said = (done.stderr or done.stdout).strip().splitlines()
    return said[-1] if said else f"exit status {done.returncode}"
