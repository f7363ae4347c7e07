"""Changes: what is not as in a baseline, what explains it, and what changed to no effect."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.reporting.attribution import Explained
from harness.reporting.findings import grouped
from harness.reporting.text import counted, cut, distinct, listed, printable

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Changes:
    """What a run changed against a baseline.

    `changed` are sysctls with their values before and now; `still` those of them that moved
    nothing, with why that may be. `compared` lines were in both, `new` ones not in the baseline.
    `unreached` are measures that no testcase got as far as.
    """

    baseline: str
    found: tuple[Explained, ...]
    changed: Mapping[str, tuple[str, str]]
    still: Mapping[str, str]
    compared: int
    new: int
    unreached: tuple[str, ...] = ()

    @property
    def unexplained(self) -> tuple[Explained, ...]:
        """What no changed setting explains."""
        return tuple(one for one in self.found if not one.causes)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as one object."""
        return {
            "baseline": self.baseline,
            "compared": self.compared,
            "new": self.new,
            "unreached": list(self.unreached),
            "changed": {name: list(pair) for name, pair in self.changed.items()},
            "still": dict(self.still),
            "changes": [_change(one) for one in self.found],
            "summary": list(summary(self)),
        }


def _change(one: Explained) -> dict[str, Any]:
    before, now = one.change.before, one.change.now
    return {
        "target": now.target,
        "family": now.family,
        "testcase": now.testcase,
        "measure": now.measure,
        "before": before.observed,
        "now": now.observed,
        "reason": now.reason or None,
        "verdicts": {claim: list(map(str, pair)) for claim, pair in one.change.verdicts.items()},
        "explained": bool(one.causes),
        "knobs": [
            {
                "knob": cause.knob,
                "sysctl": cause.sysctl,
                "before": cause.before,
                "now": cause.now,
                "claims": list(cause.claims),
            }
            for cause in one.causes
        ],
    }


def seen(one: Explained) -> str:
    """Return what was observed now, or why nothing was."""
    return one.change.now.observed or one.change.now.reason or "nothing"


def story(found: Sequence[Explained]) -> list[str]:
    """Tell the changes of one testcase, both observations of each side by side."""
    first = found[0]
    head = f"{first.change.now.measure} on {first.change.now.target}"
    lines = [f"{head}: {first.change.before.observed} in the baseline, {seen(first)} now"]
    for one in found:
        lines += [
            "",
            f"  measure   {one.change.now.measure}",
            f"  baseline  {one.change.before.observed}",
            f"  now       {seen(one)}",
        ]
        lines += [
            f"  verdict   {claim}: {before} in the baseline, {now} now"
            for claim, (before, now) in one.change.verdicts.items()
        ]
        lines.append(f"  because   {one.text}")
    return lines


def summary(found: Changes) -> Iterator[str]:
    """Tell a run's changes in few lines: unexplained ones first, then by what explains them."""
    yield f"{counted(found.compared, 'measure')} compared with the baseline {found.baseline}"
    if found.new:
        yield f"{counted(found.new, 'measure')} not in it"
    if found.unexplained:
        yield from ("", f"UNEXPLAINED ({len(_alike(found.unexplained))})")
        yield from _rows(found.unexplained, why=True)
    explained = [one for one in found.found if one.causes]
    for why, several in grouped(explained, _causes).items():
        yield from ("", f"moved by {why}")
        yield from _rows(several, why=False)
    if not found.found:
        yield "nothing moved"
    if found.unreached:
        names = ", ".join(found.unreached)
        yield from ("", cut(f"not measured, for what comes before takes too long: {names}", WIDTH))
    if found.still:
        yield ""
    for name, why in found.still.items():
        before, now = found.changed[name]
        yield cut(printable(f"{name} {before} > {now}: {why}"), WIDTH)


def _causes(one: Explained) -> str:
    return listed([f"{c.sysctl}, {c.before:g} > {c.now:g}" for c in one.causes])


def _alike(found: Sequence[Explained]) -> dict[tuple[str, str, str], list[Explained]]:
    """Put changes of families and testcases together that say the same."""
    return grouped(found, lambda one: (one.change.now.target, one.change.now.measure, one.text))


def _rows(found: Sequence[Explained], *, why: bool) -> Iterator[str]:
    for (target, measure, text), several in _alike(found).items():
        one = several[0]
        families = listed(distinct(each.change.now.family for each in several))
        said = f"{one.change.before.observed} > {seen(one)}"
        if not one.change.moved and one.change.measured:
            claim, (before, now) = next(iter(one.change.verdicts.items()))
            said = f"{one.change.now.observed}: {claim} {before} > {now}"
        yield cut(printable(f"  {measure} on {target} ({families}): {said}"), WIDTH)
        if why:
            yield cut(printable(f"      {text}"), WIDTH)
        else:
            claims = distinct(c for each in several for cause in each.causes for c in cause.claims)
            yield cut(printable(f"      by {', '.join(claims) or 'the testcase'}"), WIDTH)
