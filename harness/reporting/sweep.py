"""Sweep: what came of many cells, told: which setting moves which measure, and what deviates."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.reporting.effects import DEFAULT, Effect, Interaction
from harness.reporting.findings import grouped
from harness.reporting.text import columns, counted, cut, distinct, listed, printable

WIDTH = 100
_EXAMPLES = 12
_NAME = 34


@dataclass(frozen=True, slots=True)
class Told:
    """One cell with its result, as the report needs it."""

    target: str
    testcase: str
    family: str
    point: Mapping[str, str]
    outcome: str
    reason: str
    judgements: Sequence[Mapping[str, Any]]

    @property
    def setting(self) -> str:
        """The sysctls that it set, in words."""
        pairs = (f"{short(name)}={value}" for name, value in self.point.items())
        return " ".join(pairs) or "as the stack has it"

    def deviations(self) -> Iterator[Mapping[str, Any]]:
        """Yield the verdicts that fail it."""
        for one in self.judgements:
            if one["verdict"] == "deviates" and one["binding"] and not one["known"]:
                yield one


def short(sysctl: str) -> str:
    """Return a sysctl's last word, which says enough where all are of one kind."""
    return sysctl.removeprefix("net.ipv4.").removeprefix("net.ipv6.")


def lines(
    told: Sequence[Told],
    effects: Sequence[Effect],
    interactions: Sequence[Interaction],
    documented: Callable[[str, str], bool],
) -> Iterator[str]:
    """Tell a sweep; `documented` says whether a document relates a measure to a sysctl."""
    yield from _outcomes(told)
    yield from _moved(effects, documented)
    yield from _still(effects)
    yield from _together(interactions)
    yield from _deviating(told)


def _outcomes(told: Sequence[Told]) -> Iterator[str]:
    heads = ("passed", "failed", "unsupported", "inconclusive")
    rows = [["target", "cells", *heads]]
    for target, cells in grouped(told, lambda one: one.target).items():
        counts = Counter(one.outcome for one in cells)
        rows.append([target, str(len(cells)), *(str(counts[head]) for head in heads)])
    yield from columns(rows, right=True)
    reasons = Counter(one.reason for one in told if one.outcome == "unsupported")
    for reason, count in reasons.most_common(_EXAMPLES):
        yield cut(printable(f"{count:6}  unsupported: {reason}"), WIDTH)


def _moved(effects: Sequence[Effect], documented: Callable[[str, str], bool]) -> Iterator[str]:
    moving = [one for one in effects if one.moved]
    if not moving:
        yield from ("", "no setting moves any measure")
        return
    yield from ("", "which setting moves which measure (* where no document relates the two)")
    rows = []
    for one in sorted(moving, key=lambda one: (one.target, one.sysctl, -one.share, one.measure)):
        mark = "" if documented(one.measure, one.sysctl) else "*"
        assert one.example is not None
        (first, before), (second, after) = one.example
        rows.append(
            [
                cut(printable(f"  {one.target} {short(one.sysctl)}"), _NAME),
                cut(printable(one.measure + mark), _NAME),
                f"{one.moved}/{one.compared}",
                printable(f"{first}: {before} > {second}: {after}"),
            ]
        )
    yield from (cut(line, WIDTH) for line in columns(rows))


def _still(effects: Sequence[Effect]) -> Iterator[str]:
    for target, several in grouped(effects, lambda one: one.target).items():
        moving = {one.sysctl for one in several if one.moved}
        still = sorted({one.sysctl for one in several} - moving)
        if still:
            names = ", ".join(short(one) for one in still)
            yield from ("", cut(printable(f"{target}: nothing is moved by {names}"), WIDTH))


def _together(interactions: Sequence[Interaction]) -> Iterator[str]:
    if not interactions:
        return
    yield from ("", "settings of which one decides what the other does")
    for one in interactions[:_EXAMPLES]:
        pair = f"{short(one.first)} and {short(one.second)}"
        yield cut(f"  {one.target} {one.measure}: {pair} ({one.shown} of {one.of} squares)", WIDTH)
        for first, second, observed in one.example:
            yield cut(printable(f"      {first:>8} {second:>8}  {observed}"), WIDTH)
    if len(interactions) > _EXAMPLES:
        yield f"  and {len(interactions) - _EXAMPLES} more, in sweep.json"


def _deviating(told: Sequence[Told]) -> Iterator[str]:
    found = [(cell, one) for cell in told for one in cell.deviations()]
    if not found:
        yield from ("", "no cell deviates")
        return
    cells = len({id(cell) for cell, _ in found})
    yield from ("", f"{counted(cells, 'cell')} deviate")
    groups = grouped(found, lambda pair: (pair[0].target, pair[1]["claim"], pair[1]["measure"]))
    for (target, claim, measure), several in groups.items():
        yield cut(
            printable(f"  {claim} on {target}: {measure} ({counted(len(several), 'cell')})"), WIDTH
        )
        cell, one = several[0]
        said = f"{one['documented']} is documented, {one['observed']} was observed"
        yield cut(printable(f"      {said}"), WIDTH)
        ran = [each for each in told if each.target == target and each.testcase == cell.testcase]
        yield cut(printable(f"      {_where([each for each, _ in several], ran)}"), WIDTH)


def _where(cells: Sequence[Told], ran: Sequence[Told]) -> str:
    """Say at which settings some cells are, as far as that sets them apart from all that ran."""
    apart = []
    for sysctl in sorted({name for one in ran for name in one.point}):
        here = distinct(one.point.get(sysctl, DEFAULT) for one in cells)
        if len(here) < len({one.point.get(sysctl, DEFAULT) for one in ran}):
            apart.append(f"{short(sysctl)} {listed(here)}")
    return f"only at {'; '.join(apart)}" if apart else "whatever the settings"


def as_json(
    told: Iterable[Told], effects: Iterable[Effect], interactions: Iterable[Interaction]
) -> dict[str, Any]:
    """Return a sweep as one object: its cells, what moves what, and what does so together."""
    return {
        "cells": [
            {
                "target": one.target,
                "testcase": one.testcase,
                "family": one.family,
                "sysctls": dict(one.point),
                "outcome": one.outcome,
                "reason": one.reason,
                "deviates": [each["claim"] for each in one.deviations()],
            }
            for one in told
        ],
        "effects": [
            {
                "target": one.target,
                "measure": one.measure,
                "sysctl": one.sysctl,
                "compared": one.compared,
                "moved": one.moved,
                "example": one.example,
            }
            for one in effects
        ],
        "interactions": [
            {
                "target": one.target,
                "measure": one.measure,
                "sysctls": [one.first, one.second],
                "squares": one.of,
                "shown": one.shown,
                "example": one.example,
            }
            for one in interactions
        ],
    }
