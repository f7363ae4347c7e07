"""Compare: verdicts of runs, or of targets of one run, side by side and claim by claim.

What is compared is the verdict, and of unsupported and inconclusive also the kind of reason. What
was observed is shown; it makes a difference only when asked for, and never by the noise of times.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.findings import alike, behaviour, grouped
from harness.reporting.run import Run, read_run
from harness.reporting.text import listed

REASONED = (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Subject:
    """What two sides can agree or differ about; `target` only where sides have several."""

    claim: str
    measure: str
    testcase: str
    family: str | None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One column of a comparison."""

    name: str
    judgements: Mapping[Subject, tuple[Judgement, ...]]


@dataclass(frozen=True, slots=True)
class Row:
    """One subject, and what each side says of it: nothing at all is an empty tuple."""

    subject: Subject
    cells: tuple[tuple[Judgement, ...], ...]

    @property
    def everywhere(self) -> bool:
        """Whether every side has judged the subject."""
        return all(self.cells)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Sides, and the subjects on which they differ, which only some have, and how many agree."""

    names: tuple[str, ...]
    differs: tuple[Row, ...]
    only: tuple[Row, ...]
    same: int

    @property
    def equal(self) -> bool:
        """Whether nothing differs and nothing is missing on any side."""
        return not self.differs and not self.only


def compare(sides: Sequence[Side], *, observations: bool = False) -> Comparison:
    """Compare sides; with `observations`, what was observed counts too, but for noise."""
    same_cell = _same_observation if observations else _same_verdict
    subjects = sorted(
        {subject for side in sides for subject in side.judgements},
        key=lambda one: tuple(map(str, (one.claim, one.measure, one.testcase, one.family))),
    )
    rows = [Row(one, tuple(side.judgements.get(one, ()) for side in sides)) for one in subjects]
    common = [row for row in rows if row.everywhere]
    differs = tuple(row for row in common if not _agree(row.cells, same_cell))
    return Comparison(
        names=tuple(side.name for side in sides),
        differs=differs,
        only=tuple(row for row in rows if not row.everywhere),
        same=len(common) - len(differs),
    )


def sides_of(words: Sequence[str], targets: Sequence[str] = ()) -> list[Side]:
    """Read what the user named: RUN, or RUN:TARGET, each against `targets` if there are any.

    A single run with several targets is compared target by target; of several runs those targets
    are compared that have the same name, or the one that each has. UsageError if that leaves
    nothing to compare.
    """
    chosen = chosen_of(words, targets)
    several = any(target is None and len(run.targets) > 1 for _, run, target in chosen)
    return [_side(word, run, target, by_target=several) for word, run, target in chosen]


def chosen_of(
    words: Sequence[str], targets: Sequence[str] = ()
) -> list[tuple[str, Run, str | None]]:
    """Read what the user named: the word, the run, and the target, None for all or the only one.

    UsageError if that leaves nothing to compare.
    """
    read = [(word, *_named(word)) for word in words]
    wanted: list[str | None] = [*targets] or [None]
    chosen = [
        (word, run, target) for word, run, own in read for target in ([own] if own else wanted)
    ]
    if len(chosen) == 1 and chosen[0][2] is None:
        word, run, _ = chosen[0]
        chosen = [(word, run, target.name) for target in run.targets]
    if len(chosen) < 2:
        raise UsageError("nothing to compare with: name a second RUN, or RUN:TARGET")
    if len({(run.path, target) for _, run, target in chosen}) < len(chosen):
        raise UsageError("nothing to compare with: the same side is named twice")
    several = any(target is None and len(run.targets) > 1 for _, run, target in chosen)
    if several and any(target is not None for _, _, target in chosen):
        word, run, _ = next(one for one in chosen if one[2] is None)
        first = run.targets[0].name if run.targets else "NAME"
        raise UsageError(f"{word} has several targets; say which, as in {word}:{first}")
    return chosen


def _named(word: str) -> tuple[Run, str | None]:
    """Read RUN or RUN:TARGET; a path that exists is never split."""
    path, colon, target = word.rpartition(":")
    if Path(word).exists() or not colon or not path:
        return read_run(Path(word)), None
    run = read_run(Path(path))
    _check_target(run, path, target)
    return run, target


def _check_target(run: Run, word: str, target: str) -> None:
    names = [one.name for one in run.targets]
    if target not in names:
        raise UsageError(f"{word} has no target '{target}'; it has {listed(names) or 'none'}")


def _side(word: str, run: Run, target: str | None, *, by_target: bool) -> Side:
    if target is not None:
        _check_target(run, word, target)
    judgements = [one for one in run.verdicts if target in (None, one.target)]

    def subject(one: Judgement) -> Subject:
        own = one.target if by_target else None
        return Subject(one.claim, one.measure, behaviour(one), one.family, own)

    name = side_name(word, target)
    found = grouped(judgements, subject)
    return Side(name, {key: tuple(members) for key, members in found.items()})


def side_name(word: str, target: str | None) -> str:
    """Return how a side is called."""
    return word if target is None or word.endswith(f":{target}") else f"{word}:{target}"


def reason_class(one: Judgement) -> str:
    """Return what kind of reason it is: up to the first colon, numbers and target left out."""
    if one.verdict not in REASONED:
        return ""
    words = (one.reason or "").partition(":")[0].replace(one.target, "the target")
    return re.sub(r"\d+(?:\.\d+)?", "#", words).strip()


def _agree(
    cells: Sequence[Sequence[Judgement]], same: Callable[[Judgement, Judgement], bool]
) -> bool:
    first, *others = cells
    return all(
        len(cell) == len(first) and all(same(*pair) for pair in zip(first, cell, strict=True))
        for cell in others
    )


def _same_verdict(one: Judgement, other: Judgement) -> bool:
    return one.verdict is other.verdict and reason_class(one) == reason_class(other)


def _same_observation(one: Judgement, other: Judgement) -> bool:
    return _same_verdict(one, other) and alike(one.observed, other.observed)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as one object; a side that did not judge is an empty list."""
    return {
        "sides": list(comparison.names),
        "same": comparison.same,
        "differs": list(_json_rows(comparison, comparison.differs)),
        "only_in_some": list(_json_rows(comparison, comparison.only)),
    }


def _json_rows(comparison: Comparison, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {
            "claim": row.subject.claim,
            "measure": row.subject.measure,
            "testcase": row.subject.testcase,
            "family": row.subject.family,
            "target": row.subject.target,
            "sides": {
                name: [
                    {
                        "verdict": str(one.verdict),
                        "reason": one.reason,
                        "documented": one.documented,
                        "observed": one.observed,
                    }
                    for one in cell
                ]
                for name, cell in zip(comparison.names, row.cells, strict=True)
            },
        }
