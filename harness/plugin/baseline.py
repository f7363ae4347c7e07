"""Baseline: what an earlier run observed, with which each testcase is compared as it ends."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from harness.judgement.verdict import Judgement
from harness.plugin.options import run_of
from harness.reporting import attribution, baseline
from harness.reporting.attribution import Explained
from harness.reporting.changes import Changes
from harness.run import Run
from harness.targets import knobs

BASELINE = pytest.StashKey[baseline.Baseline | None]()

FILE_NAME = "changes.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the baseline."""
    parser.getgroup("tcpspec").addoption(
        "--baseline", metavar="NAME", help="fail what is not as in a baseline (baselines/NAME.txt)"
    )


def baseline_of(config: pytest.Config) -> baseline.Baseline | None:
    """Return the baseline that the user named, or None; UsageError if it cannot be read."""
    if BASELINE not in config.stash:
        name = config.getoption("baseline")
        here = Path(config.invocation_params.dir)
        config.stash[BASELINE] = baseline.read(baseline.place_of(name, here)) if name else None
    return config.stash[BASELINE]


def compare(config: pytest.Config, judgements: Iterable[Judgement]) -> list[Explained]:
    """Return what is not as in the baseline, with what explains it; nothing without a baseline."""
    return _compared(config, judgements)[0]


def _compared(
    config: pytest.Config, judgements: Iterable[Judgement]
) -> tuple[list[Explained], list[Explained]]:
    """Return what is not as in the baseline, and what was not reached."""
    known = baseline_of(config)
    if known is None:
        return [], []
    library = run_of(config).library
    return attribution.reached(
        [
            attribution.explain(change, library, known.stacks[change.now.target])
            for change in baseline.changes(known, baseline.lines_of(judgements))
            if not attribution.either(change, library, known.stacks[change.now.target])
        ]
    )


def changes(config: pytest.Config, run: Run, judgements: Sequence[Judgement]) -> Changes | None:
    """Return all that a run changed, or None without a baseline."""
    known = baseline_of(config)
    if known is None:
        return None
    found, lost = _compared(config, judgements)
    lines = baseline.lines_of(judgements)
    changed: dict[str, tuple[str, str]] = {}
    for facts in run.facts.values():
        before = known.stacks[facts.name].sysctls if facts.name in known.stacks else {}
        for name in sorted(before.keys() & facts.sysctls.keys()):
            now = baseline.worded(facts.sysctls[name])
            if before[name] != now:
                changed[name] = (before[name], now)
        for name in sorted(facts.profile):
            changed.setdefault(name, (before.get(name, "?"), facts.profile[name]))
        settled = {
            name: facts.defaults[name]
            for name, knob in knobs.load().by_name.items()
            if knob.sysctl in facts.profile
            and name in facts.defaults
            and changed[knob.sysctl][0] == changed[knob.sysctl][1]
        }
        if facts.name in known.stacks:
            own = [line for line in lines.values() if line.target == facts.name]
            stack = known.stacks[facts.name]
            found += attribution.beside_defaults(own, run.library, stack, settled)
    measured = {line.measure for line in lines.values() if line.observed}
    return Changes(
        known.name,
        tuple(found),
        changed,
        attribution.still(changed, found, measured, run.library),
        len(lines.keys() & known.lines.keys()),
        len(lines.keys() - known.lines.keys()),
        tuple(dict.fromkeys(one.change.now.measure for one in lost)),
    )


def write(folder: Path, found: Changes) -> None:
    """Keep the changes beside the verdicts."""
    text = json.dumps(found.as_json(), indent=1) + "\n"
    Path(folder, FILE_NAME).write_text(text, encoding="utf-8")
