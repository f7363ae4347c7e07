"""Attribution: which changed settings explain a change, by which documents; and which do not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.documents.claim import Claim, Judged
from harness.documents.computed import MissingKnobError, depends_on, resolve
from harness.documents.expectation import AnyOf, number
from harness.documents.library import Library
from harness.judgement.verdict import Verdict
from harness.reporting.baseline import Change, Line, Stack
from harness.targets import knobs as knob_tables

_AS_SAID = (Verdict.CONFORMS, Verdict.PERMITTED)


@dataclass(frozen=True, slots=True)
class Cause:
    """A knob that explains a change: its values, the claims that say so, in words what they say.

    Without claims it is the testcase that relates the knob to its measures.
    """

    knob: str
    sysctl: str
    before: float
    now: float
    claims: tuple[str, ...]

    @property
    def text(self) -> str:
        """The knob, its values, and by which documents."""
        by = ", ".join(self.claims) or "the testcase sets it"
        return f"{self.sysctl} {number(self.before)} > {number(self.now)} ({by})"


@dataclass(frozen=True, slots=True)
class Explained:
    """A change and what explains it: nothing, where it is a regression."""

    change: Change
    causes: tuple[Cause, ...]
    contradicted: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What explains it, in a line."""
        if self.causes:
            return "; ".join(cause.text for cause in self.causes)
        if self.contradicted:
            return f"unexplained: not as {', '.join(self.contradicted)} would have it"
        return "unexplained: no document relates a changed setting to it"


def explain(change: Change, library: Library, stack: Stack) -> Explained:
    """Find the knobs of which a document says that they make this change.

    A knob from whose value a document computes what is to be observed explains what is as
    computed, or what could not be observed at all. Where it is observed otherwise nothing explains
    it. What is only said of a knob's default explains that it is otherwise beside it.
    """
    before, now = change.before.knobs, change.now.knobs
    about = library.knobs_about(change.now.measure)
    causes: list[Cause] = []
    contradicted: list[str] = []
    for knob in sorted(name for name in before.keys() & now.keys() if before[name] != now[name]):
        said = about.get(knob, [])
        values = before, {**before, knob: now[knob]}
        computed = [one for one in said if knob in depends_on(one[1].expectation)]
        computed = [one for one in computed if _computes(*one, stack, values)]
        claims = [claim.id for claim, judged in said if knob in judged.default_of]
        if computed:
            verdicts = {claim.id: change.now.verdicts.get(claim.id) for claim, _ in computed}
            wrong = [name for name, verdict in verdicts.items() if verdict is Verdict.DEVIATES]
            right = [name for name, verdict in verdicts.items() if verdict in _AS_SAID]
            if wrong and not right:
                contradicted += wrong
                continue
            claims = right or list(verdicts)
        elif any(depends_on(judged.expectation) for _, judged in said) and not claims:
            continue
        causes.append(Cause(knob, _sysctl(knob), before[knob], now[knob], tuple(claims)))
    if contradicted:
        causes = []
    return Explained(change, tuple(causes), tuple(contradicted))


def either(change: Change, library: Library, stack: Stack) -> bool:
    """Tell whether a document leaves it open which of two things is seen, and both were.

    Nothing has changed then: it comes out one way or the other, by how late timers are.
    """
    before, now = change.before, change.now
    if change.verdicts or before.knobs != now.knobs:
        return False
    for claim, judged in library.claims_about(now.measure):
        if not claim.document.binding or not claim.applies(stack.stack, stack.version):
            continue
        try:
            expected = resolve(judged.expectation, now.knobs)
        except MissingKnobError:
            continue
        right = now.verdicts.get(claim.id) is before.verdicts.get(claim.id) is Verdict.CONFORMS
        if isinstance(expected, AnyOf) and right and depends_on(judged.expectation):
            return True
    return False


def reached(found: Sequence[Explained]) -> tuple[list[Explained], list[Explained]]:
    """Divide changes into those that were measured, and what no testcase got as far as.

    Where a testcase waits in vain for what a setting has made long, what it observes then is of
    another state than it means, or it observes nothing.
    """
    cut = {_testcase(one) for one in found if one.causes and one.change.cut}
    lost = [
        one
        for one in found
        if _testcase(one) in cut and not any(cause.claims for cause in one.causes)
    ]
    return [one for one in found if one not in lost], lost


def _testcase(one: Explained) -> tuple[str, str, str]:
    return one.change.now.place[:3]


def _computes(
    claim: Claim,
    judged: Judged,
    stack: Stack,
    values: tuple[Mapping[str, float], Mapping[str, float]],
) -> bool:
    """Tell whether a binding claim about the stack expects something else at other values."""
    if not claim.document.binding or not claim.applies(stack.stack, stack.version):
        return False
    try:
        before, after = (resolve(judged.expectation, knobs) for knobs in values)
    except MissingKnobError:
        return False
    return before != after


def beside_defaults(
    lines: Iterable[Line], library: Library, stack: Stack, defaults: Mapping[str, float]
) -> list[Explained]:
    """Find what a setting moved away from the stack's default, to where the baseline had it too.

    A baseline may have a knob tuned to the very value that a user chose: then nothing moves, and
    yet it is otherwise than the documents say of the default.
    """
    found = []
    for line in lines:
        about = library.knobs_about(line.measure)
        for knob, value in line.knobs.items():
            if knob not in defaults or defaults[knob] == value or not line.observed:
                continue
            values = {**line.knobs, knob: defaults[knob]}, line.knobs
            said = [
                (claim, resolve(judged.expectation, values[0]).text)
                for claim, judged in about.get(knob, [])
                if knob in depends_on(judged.expectation)
                and _computes(claim, judged, stack, values)
                and line.verdicts.get(claim.id) in _AS_SAID
            ]
            if said:
                before = replace(line, observed=f"{said[0][1]} (documented)", knobs=values[0])
                claims = tuple(claim.id for claim, _ in said)
                cause = Cause(knob, _sysctl(knob), defaults[knob], value, claims)
                found.append(Explained(Change(before, line, True, {}), (cause,)))
    return found


def _sysctl(knob: str) -> str:
    table = knob_tables.load().by_name
    return table[knob].sysctl if knob in table else knob


def still(
    changed: Iterable[str],
    explained: Sequence[Explained],
    measures: Iterable[str],
    library: Library,
) -> dict[str, str]:
    """Say of changed sysctls that moved nothing why that may be: by sysctl."""
    moving = {cause.sysctl for one in explained for cause in one.causes}
    related: dict[str, int] = {}
    for measure in set(measures):
        for knob in library.knobs_about(measure):
            related[_sysctl(knob)] = related.get(_sysctl(knob), 0) + 1
    return {
        name: (
            f"moved none of {related[name]} measures that documents relate to it"
            if name in related
            else "moved no measure; no document relates it to one that was measured"
        )
        for name in sorted(set(changed) - moving)
    }
