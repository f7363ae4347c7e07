"""Contradictions: where documents disagree about one stack, and whom each target bears out.

Two claims contradict each other when both must hold, both are about some version of some stack, and
no observation can fit both. Where that cannot be told because a value is computed from the knobs,
they do when one observation fits the one and not the other.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.documents.claim import Claim
from harness.documents.expectation import Computed, Expectation, Outcome
from harness.documents.library import Library
from harness.documents.measure import Measure
from harness.judgement.agreement import agree
from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.coverage import verdict_words
from harness.reporting.findings import alike, behaviour, grouped
from harness.reporting.text import columns, counted, cut, distinct, filled, listed, printable

WIDTH = 100

JUDGED = (Verdict.CONFORMS, Verdict.PERMITTED, Verdict.DEVIATES)
"""The verdicts that compare what was observed with a document."""


@dataclass(frozen=True, slots=True)
class Position:
    """What one observation says of one claim; `documented` is what the claim expected of it."""

    claim: str
    document: str
    verdict: Verdict
    documented: str
    binding: bool
    known: bool
    words: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a target was seen to do, and what that says of every document about it.

    `testcases` are names without target and family; those and families that show the same are
    one observation.
    """

    target: str
    families: tuple[str, ...]
    testcases: tuple[str, ...]
    observed: str
    positions: tuple[Position, ...]

    @property
    def where(self) -> str:
        """Target and families in words: `netns (ipv4 and ipv6)`."""
        return self.target + (f" ({listed(self.families)})" if self.families else "")

    @property
    def borne_out(self) -> tuple[str, ...]:
        """The claims that fit."""
        return tuple(one.claim for one in self.positions if one.verdict is Verdict.CONFORMS)

    @property
    def refuted(self) -> tuple[str, ...]:
        """The claims that do not fit."""
        judged = (one for one in self.positions if one.verdict in JUDGED)
        return tuple(one.claim for one in judged if one.verdict is not Verdict.CONFORMS)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A measure of which claims cannot all be true.

    `claims` are those that take part, `pairs` which of them contradict each other, and each
    observation has their positions only.
    """

    measure: Measure
    claims: tuple[Claim, ...]
    pairs: tuple[tuple[str, str], ...]
    observations: tuple[Observation, ...]

    @property
    def documents(self) -> tuple[str, ...]:
        """The documents that take part, each once."""
        return tuple(distinct(claim.document.id for claim in self.claims))


def observations(judgements: Iterable[Judgement]) -> dict[str, list[Observation]]:
    """Return by measure what was observed, each with every document's position."""
    found: dict[str, list[Observation]] = {}
    # A testcase may judge a measure more than once, and then what it observed tells them apart.
    groups = grouped(
        judgements, lambda one: (one.measure, one.target, behaviour(one), one.family, one.observed)
    )
    for (measure, *_), members in groups.items():
        seen = found.setdefault(measure, [])
        new = _observation(members)
        place = next((n for n, one in enumerate(seen) if _merges(one, new)), None)
        if place is None:
            seen.append(new)
        else:
            seen[place] = _both(seen[place], new)
    return found


def find(library: Library, judgements: Iterable[Judgement]) -> list[Contradiction]:
    """Return the contradictions that a run's judgements show, in the order of their measures."""
    known = [one for one in judgements if one.claim in library.claims]
    by_measure = observations(known)
    names = sorted(library.measures.keys() & by_measure.keys())
    found = (_contradiction(library, name, by_measure[name]) for name in names)
    return [one for one in found if one is not None]


def as_json(found: Sequence[Contradiction]) -> list[dict[str, Any]]:
    """Return contradictions as an object per measure."""
    return [
        {
            "measure": one.measure.name,
            "observes": one.measure.observes,
            "topic": one.measure.topic,
            "documents": list(one.documents),
            "claims": [_claim_json(claim) for claim in one.claims],
            "pairs": [list(pair) for pair in one.pairs],
            "observations": [_observation_json(each) for each in one.observations],
        }
        for one in found
    ]


def as_text(found: Sequence[Contradiction]) -> list[str]:
    """Return contradictions to read: what each claim expects, and what each target shows."""
    if not found:
        return ["no documents contradict each other in what was observed"]
    lines = [f"{counted(len(found), 'measure')} of which documents contradict each other"]
    for one in found:
        lines += ["", *_block(one)]
    return lines


def _observation(members: Sequence[Judgement]) -> Observation:
    first = members[0]
    return Observation(
        target=first.target,
        families=(first.family,) if first.family else (),
        testcases=(behaviour(first),),
        observed=first.observed,
        positions=tuple(
            Position(
                claim=one.claim,
                document=one.document,
                verdict=one.verdict,
                documented=one.documented,
                binding=one.binding,
                known=one.known,
                words=verdict_words(one),
            )
            for one in members
        ),
    )


def _merges(one: Observation, other: Observation) -> bool:
    """Tell whether two observations of a measure are the same but for testcase and family."""
    return (
        one.target == other.target
        and one.positions == other.positions
        and alike(one.observed, other.observed)
    )


def _both(one: Observation, other: Observation) -> Observation:
    return Observation(
        one.target,
        tuple(sorted({*one.families, *other.families})),
        tuple(distinct((*one.testcases, *other.testcases))),
        one.observed,
        one.positions,
    )


def _contradiction(
    library: Library, name: str, seen: Sequence[Observation]
) -> Contradiction | None:
    claims = {claim.id: (claim, judged.expectation) for claim, judged in library.claims_about(name)}
    pairs = tuple(dict.fromkeys(pair for one in seen for pair in _clashes(claims, one)))
    taking_part = {claim for pair in pairs for claim in pair}
    if not pairs:
        return None
    shown = [_of(taking_part, one) for one in seen]
    merged: list[Observation] = []
    for one in shown:
        if sum(each.verdict in JUDGED for each in one.positions) < 2:
            continue
        place = next((n for n, each in enumerate(merged) if _merges(each, one)), None)
        if place is None:
            merged.append(one)
        else:
            merged[place] = _both(merged[place], one)
    return Contradiction(
        measure=library.measures[name],
        claims=tuple(claim for claim, _ in claims.values() if claim.id in taking_part),
        pairs=pairs,
        observations=tuple(merged),
    )


def _clashes(
    claims: Mapping[str, tuple[Claim, Expectation]], seen: Observation
) -> Iterator[tuple[str, str]]:
    """Yield the claims that contradict each other over one observation."""
    judged = [one for one in seen.positions if one.verdict in JUDGED and one.claim in claims]
    for one, other in itertools.combinations(judged, 2):
        (mine, expected), (its, wanted) = claims[one.claim], claims[other.claim]
        if not (mine.strength.binds and its.strength.binds and _about_one_stack(mine, its)):
            continue
        if _is_computed(expected) or _is_computed(wanted):
            clash = (
                Verdict.CONFORMS in (one.verdict, other.verdict) and one.verdict != other.verdict
            )
        else:
            clash = not agree((expected, wanted))
        if clash:
            yield one.claim, other.claim


def _about_one_stack(one: Claim, other: Claim) -> bool:
    if one.stacks is None or other.stacks is None:
        return True
    return bool(one.stacks & other.stacks) and not (one.versions & other.versions).empty


def _is_computed(expectation: Expectation) -> bool:
    match expectation:
        case Computed() | Outcome(after=Computed()):
            return True
        case _:
            return False


def _of(claims: set[str], one: Observation) -> Observation:
    positions = tuple(each for each in one.positions if each.claim in claims)
    return Observation(one.target, one.families, one.testcases, one.observed, positions)


def _claim_json(claim: Claim) -> dict[str, Any]:
    return {
        "claim": claim.id,
        "document": claim.document.id,
        "title": claim.document.title,
        "place": claim.place,
        "url": claim.url or None,
        "strength": str(claim.strength),
        "says": claim.says,
        "stacks": None if claim.stacks is None else sorted(claim.stacks),
        "versions": str(claim.versions),
    }


def _observation_json(one: Observation) -> dict[str, Any]:
    return {
        "target": one.target,
        "families": list(one.families),
        "testcases": list(one.testcases),
        "observed": one.observed,
        "borne_out": list(one.borne_out),
        "refuted": list(one.refuted),
        "positions": [
            {
                "claim": each.claim,
                "document": each.document,
                "verdict": str(each.verdict),
                "documented": each.documented,
                "binding": each.binding,
                "known": each.known,
                "words": each.words,
            }
            for each in one.positions
        ],
    }


def _block(one: Contradiction) -> list[str]:
    lines = [f"{one.measure.name}: {one.measure.observes}"]
    for seen in one.observations:
        lines += filled("observed", f"{seen.observed} on {seen.where}", width=WIDTH)
        rows = [
            (f"    {each.claim}", each.words, f"documented {each.documented}")
            for each in seen.positions
        ]
        lines += columns([tuple(map(printable, row)) for row in rows])
    return [cut(printable(line), WIDTH) for line in lines]
