"""Library: the measures and the documents, checked as they are read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from harness.documents import reading
from harness.documents.claim import Claim, Document, Judged
from harness.documents.computed import ROUND_TRIP, MissingKnobError, depends_on, resolve
from harness.documents.expectation import nominal, number
from harness.documents.measure import Measure
from harness.documents.parsing import close
from harness.errors import UsageError
from harness.targets.driver import Facts

PACKAGED = Path(__file__).parent

_LISTED = 50
"""So many names are few enough to be listed in an error."""

_Named = TypeVar("_Named", Claim, Document, Measure)


@dataclass(frozen=True, slots=True)
class Library:
    """All that is known of documents; `load` makes it."""

    measures: Mapping[str, Measure]
    documents: Mapping[str, Document]
    claims: Mapping[str, Claim]
    _about: dict[str, list[tuple[Claim, Judged]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for claim in self.claims.values():
            for judged in claim.judged:
                self._about.setdefault(judged.measure, []).append((claim, judged))

    @classmethod
    def load(cls, *folders: Path, packaged: Path = PACKAGED) -> "Library":
        """Read the packaged measures and documents, and the documents of other folders.

        A document that an earlier folder has too takes that one's place. UsageError names file,
        line and claim of what cannot be used.
        """
        measures = reading.measures(packaged / "measures")
        texts = reading.texts(packaged / "texts")
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"{folder}: there is no such folder of documents")
            texts |= reading.texts(folder)
        claims: dict[str, Claim] = {}
        for text in texts.values():
            for claim in reading.claims(text, measures):
                if claim.id in claims:
                    here, there = (f"{c.where[0]}:{c.where[1]}" for c in (claim, claims[claim.id]))
                    raise UsageError(f"{here}: {claim.id}: stands in {there} already")
                claims[claim.id] = claim
        return cls(measures, {name: text.document for name, text in texts.items()}, claims)

    def measure(self, name: str) -> Measure:
        """Return a measure by its name; UsageError with a close one if there is none."""
        return _found(self.measures, name, "measure")

    def check_measure(self, name: str, where: str) -> None:
        """Refuse an unknown measure that stands somewhere; UsageError says where."""
        try:
            self.measure(name)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None

    def claim(self, name: str) -> Claim:
        """Return a claim by its id; UsageError with a close one if there is none."""
        return _found(self.claims, name, "claim")

    def document(self, name: str) -> Document:
        """Return a document by its id; UsageError with a close one if there is none."""
        return _found(self.documents, name, "document")

    def claims_about(self, measure: str) -> Sequence[tuple[Claim, Judged]]:
        """Return what every document expects of a measure; UsageError if there is no such."""
        self.measure(measure)
        return self._about.get(measure, ())

    def knobs_about(self, measure: str) -> dict[str, list[tuple[Claim, Judged]]]:
        """Return the knobs that a measure depends on, each with what says so of it.

        What is said of a default depends on its knobs, and so does what is computed from knobs.
        """
        found: dict[str, list[tuple[Claim, Judged]]] = {}
        for claim, judged in self.claims_about(measure):
            for knob in dict.fromkeys((*depends_on(judged.expectation), *judged.default_of)):
                if knob != ROUND_TRIP:
                    found.setdefault(knob, []).append((claim, judged))
        return found

    def nominal(
        self, measure: str, facts: Facts, *, knobs: Mapping[str, float] | None = None
    ) -> float | None:
        """Return how long a measure takes on a stack, in seconds, by the documents.

        `knobs` are those in force, if they are not the effective ones of the facts. What binding
        documents about the stack say comes first; where they give no time, what binding ones say
        of every stack, and then what others say of this one. None says that none gives a time.
        What is said of a default counts only where the knobs stand at it.
        """
        effective = facts.effective if knobs is None else knobs
        by_rank: tuple[list[float], list[float], list[float]] = ([], [], [])
        for claim, judged in self.claims_about(measure):
            if not claim.applies(facts.stack, facts.version):
                continue
            if tuned(judged.default_of, effective, facts.defaults):
                continue
            try:
                time = nominal(resolve(judged.expectation, effective))
            except MissingKnobError:
                continue
            rank = (0 if claim.stacks else 1) if claim.document.binding else 2
            if time is not None and (rank < 2 or claim.stacks):
                by_rank[rank].append(time)
        return next((max(times) for times in by_rank if times), None)


def tuned(
    names: Iterable[str], effective: Mapping[str, float], defaults: Mapping[str, float]
) -> str | None:
    """Say in words which of some knobs stands elsewhere than at its default, or None."""
    for name in names:
        if name in effective and name in defaults and effective[name] != defaults[name]:
            now, default = number(effective[name]), number(defaults[name])
            return f"tuned: {name} is {now}, default {default}"
    return None


def _found(things: Mapping[str, _Named], name: str, what: str) -> _Named:
    try:
        return things[name]
    except KeyError:
        hint = close(name, things)
        if not hint and len(things) < _LISTED:
            hint = f"; there are {', '.join(sorted(things))}"
        raise UsageError(f"there is no {what} '{name}'{hint}") from None
