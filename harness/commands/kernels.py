"""Kernels: those that can be fetched, and fetching them."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from harness.commands.common import command, show
from harness.targets import kernels

_WIDTH = 30


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, "kernels", _list, "list kernels that can be fetched, or fetch them")
    doings = parser.add_subparsers(title="what to do", metavar="ACTION")
    fetch = command(doings, "fetch", _fetch, "fetch kernels by apt, into the cache")
    fetch.add_argument(
        "names", nargs="+", metavar="NAME", help="as uml-6.1; `all`, or `uml` or `qemu` for a kind"
    )
    fetch.add_argument("--again", action="store_true", help="also those that are here")


def _list(_options: argparse.Namespace) -> int:
    show([f"kernels in {kernels.folder()}"])
    for name in kernels.SOURCES:
        found = kernels.find(name)
        what = f"Linux {found.version} ({found.package})" if found else "not fetched"
        show([f"  {name:<10}  {what}"])
    return 0


def _fetch(options: argparse.Namespace) -> int:
    for name in dict.fromkeys(each for asked in options.names for each in _meant(asked)):
        found = kernels.fetch(name, progress=_bar(name), again=options.again)
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        show([f"{name}: Linux {found.version} in {found.image.parent}"])
    return 0


def _meant(asked: str) -> list[str]:
    kinds = {name.partition("-")[0] for name in kernels.SOURCES}
    if asked == "all" or asked in kinds:
        return [name for name in kernels.SOURCES if asked in {"all", name.partition("-")[0]}]
    return [asked]


def _bar(name: str) -> Callable[[str, float], None]:
    """Return what draws a progress bar, or, where nobody watches, names each step once."""
    told: set[str] = set()

    def draw(what: str, share: float) -> None:
        if sys.stderr.isatty():
            full = round(share * _WIDTH)
            bar = "#" * full + "." * (_WIDTH - full)
            sys.stderr.write(f"\r\x1b[K{name} [{bar}] {share:4.0%} {what}")
            sys.stderr.flush()
        elif what not in told:
            told.add(what)
            sys.stderr.write(f"{name}: {what}\n")

    return draw
