"""Profile: what a target was given of settings from elsewhere, and what it was not."""

from collections.abc import Iterable, Iterator

from harness.reporting.findings import grouped
from harness.reporting.text import counted, cut, printable
from harness.targets.driver import Facts

WIDTH = 100

_NAMED = 4
"""Sysctls that are named in the terminal; `verdicts.json` has them all."""


def lines(targets: Iterable[Facts]) -> Iterator[str]:
    """Say for each target what was set, and what was left out, by reason."""
    for facts in targets:
        if facts.left_out is None:
            continue
        yield f"{facts.name}: {counted(len(facts.profile), 'setting')} in force that others made"
        for name, value in sorted(facts.profile.items()):
            yield cut(printable(f"    {name} = {value}"), WIDTH)
        if not facts.left_out:
            continue
        yield f"{facts.name}: {counted(len(facts.left_out), 'setting')} left out"
        for reason, found in grouped(facts.left_out, lambda one: one.reason).items():
            names = [one.name for one in found]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            yield cut(printable(f"    {reason}: {', '.join(names[:_NAMED])}{more}"), WIDTH)
