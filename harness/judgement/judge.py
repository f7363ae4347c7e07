"""Judge: takes what a testcase observed, and has a verdict for every claim about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any

from harness.documents.claim import Claim, Judged
from harness.documents.computed import MissingKnobError, depends_on, resolve
from harness.documents.expectation import number
from harness.documents.library import Library, tuned
from harness.errors import HarnessError, Unsupported
from harness.judgement.conclusion import Conclusion, Record, conclude
from harness.judgement.evaluate import Ladder, Seen, evaluate
from harness.judgement.finding import Finding
from harness.judgement.ledger import Known, Ledger
from harness.judgement.precision import Precision
from harness.judgement.timing import Observed
from harness.judgement.verdict import Judgement, Verdict
from harness.targets.driver import Capability, Facts

_NOT_SAID = Finding(None, "", "", None)


@dataclass(frozen=True, slots=True)
class _Ruling:
    """What is made of one claim."""

    claim: Claim
    verdict: Verdict
    reason: str | None
    finding: Finding

    def saying(self, said: Finding) -> "_Ruling":
        """Return the ruling with what was observed, if its own finding does not say it."""
        if self.finding.observed:
            return self
        finding = replace(self.finding, observed=said.observed, values=said.values)
        return replace(self, finding=finding)


DOUBTFUL = 0.1
"""Seconds of noise above which a surprise is not believed: a deviation that nobody knows, or one
that is known and does not come. Half of the shortest time-out that a stack may have, after which
things happen that were not meant to."""


@dataclass(slots=True)
class Judge:
    """The judge of one testcase on one target; `documented(measure)` in a testcase.

    `knobs` returns the effective knobs at the moment, `noise` how late this machine delivered
    around some instants, or at any time if none are given, and `lost` how long it was held up in
    all within a fifth of a second (seconds); they are asked when something is judged. `measures`
    are those that the testcase declares: no other can be judged, and `conclude` refuses a
    testcase that left one out. `tuned` are the knobs that it asks for: whatever the documents
    say, its measures may depend on them. `overruled` are those that the user has set otherwise:
    only a claim whose expectation is computed from them can be judged.
    """

    library: Library
    facts: Facts
    ledger: Ledger
    _: KW_ONLY
    testcase: str
    bind: frozenset[str] = frozenset()
    family: str | None = None
    attempt: int = 1
    pcap: str | None = None
    knobs: Callable[[], Mapping[str, float]] | None = None
    noise: Callable[[Sequence[float]], float | None] | None = None
    lost: Callable[[], float | None] | None = None
    measures: tuple[str, ...] = ()
    tuned: frozenset[str] = frozenset()
    overruled: Mapping[str, float] = field(default_factory=dict)
    _records: list[Record] = field(default_factory=list)
    _entries: list[tuple[Known, Verdict, bool]] = field(default_factory=list)
    _done: dict[str, None] = field(default_factory=dict)
    _related: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __call__(self, measure: str) -> "Judging":
        """Return what judges observations of a measure."""
        self.library.measure(measure)
        if self.measures and measure not in self.measures:
            raise HarnessError(f"{self.testcase} judges {measure} and does not declare it")
        return Judging(self, measure)

    def need(self, capability: Capability) -> None:
        """Raise Unsupported if the target lacks a capability."""
        if capability not in self.facts.capabilities:
            raise Unsupported(f"{self.facts.name} lacks {capability}")

    def unsupported(self, measure: str, reason: str) -> None:
        """Record for all claims about a measure that the target lacks what they need."""
        self._without_observation(measure, Verdict.UNSUPPORTED, reason)

    def inconclusive(self, measure: str, reason: str) -> None:
        """Record for all claims about a measure that it could not be observed well enough."""
        self._without_observation(measure, Verdict.INCONCLUSIVE, reason)

    def give_up(self, verdict: Verdict, reason: str) -> None:
        """Record unsupported or inconclusive for all that was declared and not yet judged."""
        for measure in self.measures:
            if measure not in self._done:
                self._without_observation(measure, verdict, reason)

    def distrust(self, reason: str) -> None:
        """Make everything that was judged inconclusive: frames were lost, a clock was stepped."""
        measures, self._done = tuple(self._done), {}
        self._records.clear()
        self._entries.clear()
        for measure in measures:
            self.inconclusive(measure, reason)

    @property
    def judgements(self) -> tuple[Judgement, ...]:
        """What was judged so far."""
        return tuple(record.judgement for record in self._records)

    def conclude(self) -> Conclusion:
        """Return the outcome; HarnessError if a declared measure was never judged."""
        missing = [measure for measure in self.measures if measure not in self._done]
        if missing:
            raise HarnessError(
                f"{self.testcase} declares {', '.join(missing)} and does not judge it"
            )
        return conclude(self._records, self._stale(), tuple(self._done))

    def judge(self, measure: str, seen: Seen) -> None:
        """Record a verdict for every claim about a measure."""
        self._done[measure] = None
        facts = self.facts
        knobs = self.knobs() if self.knobs else facts.effective
        noise = self.noise(seen.stamps) if self.noise else None
        precision = Precision(facts.tick, facts.wheel, noise)
        rulings = [
            self._compare(claim, judged, seen, precision, knobs)
            for claim, judged in self.library.claims_about(measure)
        ]
        # What could not be compared was observed all the same.
        said = next((ruling.finding for ruling in rulings if ruling.finding.observed), _NOT_SAID)
        for ruling in rulings:
            self._record(ruling.saying(said), measure, knobs, seen.stamps)

    def _compare(
        self,
        claim: Claim,
        judged: Judged,
        seen: Seen,
        precision: Precision,
        knobs: Mapping[str, float],
    ) -> "_Ruling":
        try:
            finding = evaluate(resolve(judged.expectation, knobs), seen, precision)
        except MissingKnobError as error:
            why = f"{self.facts.stack} {self.facts.version} has no {error.args[0]}"
            finding = Finding(None, judged.expectation.text, "", None)
            return _Ruling(claim, Verdict.UNSUPPORTED, why, finding)
        if elsewhere := self._elsewhere(claim, judged, knobs):
            return _Ruling(claim, Verdict.UNSUPPORTED, elsewhere, finding)
        if finding.fits is None:
            return _Ruling(claim, Verdict.INCONCLUSIVE, finding.reason, finding)
        if finding.fits:
            return _Ruling(claim, Verdict.CONFORMS, None, finding)
        verdict = Verdict.DEVIATES if claim.strength.binds else Verdict.PERMITTED
        return _Ruling(claim, verdict, None, finding)

    def _elsewhere(self, claim: Claim, judged: Judged, knobs: Mapping[str, float]) -> str | None:
        """Say which knob stands elsewhere than where a claim is about, or is missing, or None."""
        if reason := tuned(judged.default_of, knobs, self.facts.defaults):
            return reason
        for name in sorted(self.overruled.keys() - depends_on(judged.expectation)):
            now, needed = number(knobs[name]), number(self.overruled[name])
            return f"{name} is {now}, the testcase needs {needed}"
        # A model may lack what a document says of the real stack.
        lacking = (name for name in judged.default_of if name not in knobs)
        if self.facts.model and claim.stacks is not None and (absent := next(lacking, None)):
            return f"{self.facts.name} has no knob {absent}"
        return None

    def _without_observation(self, measure: str, verdict: Verdict, reason: str) -> None:
        self._done[measure] = None
        knobs = self.knobs() if self.knobs else self.facts.effective
        for claim, judged in self.library.claims_about(measure):
            try:
                text = resolve(judged.expectation, knobs).text
            except MissingKnobError:
                text = judged.expectation.text
            self._record(
                _Ruling(claim, verdict, reason, Finding(None, text, "", None)), measure, knobs
            )

    def _record(
        self,
        ruling: "_Ruling",
        measure: str,
        knobs: Mapping[str, float],
        stamps: Sequence[float] = (),
    ) -> None:
        facts, claim, finding = self.facts, ruling.claim, ruling.finding
        entry = self.ledger.find(
            claim.id, measure, stack=facts.stack, version=facts.version, family=self.family
        )
        known = (
            entry is not None
            and ruling.verdict is Verdict.DEVIATES
            and entry.excuses(finding.wrong)
        )
        verdict, reason, binding = ruling.verdict, ruling.reason, self._binds(claim)
        noise = self.noise(stamps) if self.noise else None
        lost = self.lost() if self.lost else None
        doubt = Precision(noise=max(noise or 0.0, lost or 0.0)).above(DOUBTFUL)
        # A model lacks what only the real stack does: that makes no entry stale.
        listed = entry if not facts.model else None
        wrong = verdict is Verdict.DEVIATES and binding and not known
        if doubt and (wrong or (verdict is Verdict.CONFORMS and listed)):
            verdict, reason = Verdict.INCONCLUSIVE, doubt
        if listed:
            at_default = tuned(listed.default_of, knobs, facts.defaults) is None
            self._entries.append((listed, verdict, at_default))
        judgement = Judgement(
            testcase=self.testcase,
            claim=claim.id,
            document=claim.document.id,
            measure=measure,
            target=facts.name,
            verdict=verdict,
            reason=entry.reason if entry and known else reason,
            binding=binding,
            known=known,
            documented=finding.documented,
            observed=finding.observed,
            values=finding.values,
            family=self.family,
            attempt=self.attempt,
            noise_s=noise,
            pcap=self.pcap,
            knobs=self._about(measure, knobs),
        )
        record = Record(judgement, claim, self.library.measure(measure), finding.details)
        self._records.append(record)

    def _about(self, measure: str, knobs: Mapping[str, float]) -> dict[str, float]:
        """Return the values of the knobs that a measure depends on, of those that there are."""
        if measure not in self._related:
            related = self.tuned | self.library.knobs_about(measure).keys()
            self._related[measure] = tuple(sorted(related))
        return {name: knobs[name] for name in self._related[measure] if name in knobs}

    def _binds(self, claim: Claim) -> bool:
        if not claim.strength.binds:
            return False
        if claim.document.id in self.bind:
            return True
        return claim.document.binding and claim.applies(self.facts.stack, self.facts.version)

    def _stale(self) -> list[str]:
        """Say which ledger entries were judged here and only ever conform."""
        verdicts: dict[Known, list[tuple[Verdict, bool]]] = {}
        for entry, verdict, at_default in self._entries:
            verdicts.setdefault(entry, []).append((verdict, at_default))
        return [
            f"{entry.where[0]}:{entry.where[1]}: {entry.claim}, {entry.measure}: "
            f"no longer deviates on {self.facts.name} ({self.facts.version}); remove the entry"
            for entry, found in verdicts.items()
            if all(verdict is Verdict.CONFORMS and at_default for verdict, at_default in found)
        ]


@dataclass(frozen=True, slots=True)
class Judging:
    """A measure of a testcase, waiting for its observation."""

    _judge: Judge
    measure: str

    def judge(
        self, observation: Any, *, after: Observed | None = None, within: float | None = None
    ) -> None:
        """Record a verdict for every claim about the measure, and go on.

        `after` is when an outcome came, `within` how long was waited for a segment, in seconds; the
        forms of an observation are those of `evaluate`.
        """
        if isinstance(observation, Ladder):
            seen = Seen(observation.intervals, after, within, observation.stamps)
        else:
            seen = Seen(observation, after, within)
        self._judge.judge(self.measure, seen)
