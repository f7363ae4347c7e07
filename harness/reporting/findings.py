"""Findings: judgements that say the same of several families and targets, told once."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.judgement.verdict import Judgement
from harness.reporting.text import distinct, listed

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out; `text` is what was observed, or why nothing was."""

    members: tuple[Judgement, ...]
    text: str

    @property
    def first(self) -> Judgement:
        """The judgement that stands for all of them."""
        return self.members[0]

    @property
    def targets(self) -> list[str]:
        """The targets, each once."""
        return distinct(one.target for one in self.members)

    @property
    def where(self) -> str:
        """Targets and families in words: `netns and docker (ipv4 and ipv6)`."""
        families = sorted({one.family for one in self.members if one.family})
        return listed(self.targets) + (f" ({listed(families)})" if families else "")


def behaviour(judgement: Judgement) -> str:
    """Return the testcase's node id without the parameters that say target and family."""
    path, bracket, parameters = judgement.testcase.partition("[")
    if not bracket:
        return path
    rest = f"-{parameters.removesuffix(']')}-"
    for word in (judgement.target, judgement.family):
        if word:
            rest = re.sub(f"-{re.escape(word)}(?=-)", "", rest, count=1)
    rest = rest.strip("-")
    return f"{path}[{rest}]" if rest else path


def observed(judgement: Judgement) -> str:
    """Return the text that findings about observations are merged by."""
    return judgement.observed


def reason(judgement: Judgement) -> str:
    """Return the text that findings about missing observations are merged by."""
    return judgement.reason or "no reason given"


def alike(one: str, other: str) -> bool:
    """Tell whether two texts say the same but for the noise of times.

    Where at least one of two numbers has a fraction they may differ by 0.03 or 15 %, which is a
    granule of Linux's timer wheel and some; whole numbers and words must be equal.
    """
    if one == other:
        return True
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(left == right or _near(left, right) for left, right in pairs)


def _near(left: str, right: str) -> bool:
    first, second = float(left), float(right)
    return "." in left + right and abs(first - second) <= max(0.03, 0.15 * max(first, second))


def merged(
    judgements: Iterable[Judgement], text: Callable[[Judgement], str] = observed
) -> list[Finding]:
    """Merge what differs in nothing but the family, then in nothing but the target.

    Of texts that are alike the first one stands for all.
    """
    groups = grouped(judgements, lambda one: (*_subject(one), one.target))
    found: dict[Hashable, list[Finding]] = {}
    for group in groups.values():
        said = _text(group, text)
        families = frozenset(one.family for one in group)
        cluster = found.setdefault((*_subject(group[0]), families), [])
        place = next((n for n, one in enumerate(cluster) if alike(one.text, said)), None)
        if place is None:
            cluster.append(Finding(tuple(group), said))
        else:
            cluster[place] = Finding((*cluster[place].members, *group), cluster[place].text)
    return [finding for cluster in found.values() for finding in cluster]


def _subject(one: Judgement) -> tuple[Hashable, ...]:
    ledger = one.reason if one.known else None
    return one.claim, one.measure, one.documented, behaviour(one), ledger


def _text(group: Sequence[Judgement], text: Callable[[Judgement], str]) -> str:
    """Join what the families of one target show: once if it is the same."""
    families: dict[str, list[str]] = {}
    for one in group:
        said = next((known for known in families if alike(known, text(one))), text(one))
        families.setdefault(said, []).append(one.family or "again")
    if len(families) == 1:
        return next(iter(families))
    return "; ".join(f"{said} ({listed(distinct(names))})" for said, names in families.items())


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Put things of one key together, keys and things in the order of their appearance."""
    groups: dict[K, list[T]] = {}
    for thing in things:
        groups.setdefault(key(thing), []).append(thing)
    return groups
