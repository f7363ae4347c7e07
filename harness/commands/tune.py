"""Tune: after tuning a machine, whether its TCP still does what it should, and what changed."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.commands.baseline import bounded
from harness.commands.common import CHECKOUT, DIFFERS, command, show
from harness.documents.library import Library
from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Verdict
from harness.reporting import baseline
from harness.reporting.findings import grouped
from harness.reporting.run import FILE_NAME, read_run
from harness.reporting.text import counted, cut, printable

NAME = "tune-check"
CHANGES = "changes.json"

PATIENCE = 12.0
"""Seconds for which anything is watched, so that the whole check takes half a minute."""

HUNG = 600.0
_MISTAKE = 4
_SCREEN = 40
WIDTH = 100


def add(commands: Any) -> None:
    """Declare the command."""
    parser = command(commands, NAME, _check, "tell what this machine's settings change")
    add = parser.add_argument
    add("--baseline", default=NAME, metavar="NAME", help=f"what to compare with ({NAME})")
    add("--save", action="store_true", help="measure the baseline anew")
    add("--target", default="netns", metavar="NAME", help="the stack that is checked (netns)")
    add("--sysctl-from", action="append", metavar="host|FILE", help="the settings (host)")
    add("--sysctl", action="append", default=[], metavar="KEY=VALUE", help="a setting more")
    add(
        "--firewall",
        action="append",
        default=[],
        metavar="RULE",
        help="iptables rule in it",
    )
    add("--testcases", type=Path, metavar="DIR", help="where the testcases are (testcases)")
    add("--reports", type=Path, default=Path("reports", NAME), metavar="DIR", help="for results")
    add(
        "--jobs",
        type=int,
        default=6 * (os.cpu_count() or 1),
        metavar="N",
        help="at a time",
    )


def _check(options: argparse.Namespace) -> int:
    began = time.monotonic()
    path = baseline.place_of(options.baseline, Path()).absolute()
    if options.save or not path.exists():
        show([f"measuring the baseline {path}: {options.target} at its own settings"])
        _run(options, [], options.reports / "baseline")
        run = read_run(options.reports / "baseline")
        count = baseline.save(run, path, bounded(Library.load()))
        show([f"{counted(count, 'measure')} saved after {time.monotonic() - began:.0f} s"])
        if options.save:
            return 0
        began = time.monotonic()
    words = ["--baseline", str(path)]
    for source in options.sysctl_from or ["host"]:
        given = source if source == "host" else str(Path(source).absolute())
        words += ["--sysctl-from", given]
    words += [word for one in options.sysctl for word in ("--sysctl", one)]
    words += [f"--firewall={one}" for one in options.firewall]
    _run(options, words, options.reports)
    found = json.loads(Path(options.reports, CHANGES).read_text("utf-8"))
    failing = list(_deviations(options.reports, set(found["unreached"])))
    show(_screen(found, failing, options.reports, time.monotonic() - began))
    unexplained = any(not one["explained"] for one in found["changes"])
    return DIFFERS if unexplained or failing else 0


def _run(options: argparse.Namespace, words: Sequence[str], reports: Path) -> None:
    """Run the short catalogue; HarnessError or UsageError with what pytest said if it cannot."""
    here = Path("testcases")
    folder = (options.testcases or (here if here.is_dir() else CHECKOUT / "testcases")).resolve()
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of testcases; name it by --testcases")
    for name in (FILE_NAME, CHANGES):
        Path(reports, name).unlink(missing_ok=True)
    command_ = [sys.executable, "-m", "pytest", str(folder), "--rootdir", str(folder.parent)]
    command_ += ["--short", "--target", options.target, "--patience", str(PATIENCE), *words]
    command_ += ["--reports", str(reports.absolute()), "-q", "-p", "no:cacheprovider"]
    command_ += ["-p", "xdist.plugin", "-n", str(options.jobs)] if options.jobs > 1 else []
    # Other plugins do nothing for the check, and every worker would load them.
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        done = subprocess.run(
            command_,
            capture_output=True,
            check=False,
            cwd=folder.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=HUNG,
        )
    except subprocess.TimeoutExpired:
        raise HarnessError(f"the short catalogue hung for {HUNG:g} s") from None
    if not Path(reports, FILE_NAME).exists():
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        said = next((one for one in reversed(lines) if one.startswith("ERROR: ")), "")
        text = said.removeprefix("ERROR: ") or (lines[-1] if lines else "nothing was said")
        raise UsageError(text) if done.returncode == _MISTAKE else HarnessError(text)


def _deviations(reports: Path, unreached: set[str]) -> Iterator[str]:
    """Say what deviates from binding documents, that the ledger does not know."""
    verdicts = read_run(reports).verdicts
    new = [
        one
        for one in verdicts
        if one.verdict is Verdict.DEVIATES
        and one.binding
        and not one.known
        and one.measure not in unreached
    ]
    for (claim, measure), several in grouped(new, lambda one: (one.claim, one.measure)).items():
        one = several[0]
        yield f"{claim}, {measure}: {one.documented} is documented, {one.observed} was observed"


def _screen(
    found: dict[str, Any], failing: Sequence[str], reports: Path, took: float
) -> Iterator[str]:
    """Tell it all on one screen."""
    run = read_run(reports)
    lines = list(found["summary"])
    if failing:
        lines += ["", f"deviates from binding documents ({len(failing)})"]
        lines += [cut(printable(f"  {line}"), WIDTH) for line in failing]
    if len(lines) > _SCREEN:
        more = len(lines) - _SCREEN
        lines[_SCREEN:] = [f"… and {counted(more, 'line')} more, in {reports / CHANGES}"]
    yield from lines
    testcases = len({one.testcase for one in run.verdicts})
    yield ""
    yield f"{counted(testcases, 'testcase')} in {took:.0f} s; all of it is in {reports}"
