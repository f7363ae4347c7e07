"""Mutation: whether the catalogue notices a fault, told by models that have one each.

A mutant is caught by a testcase in which a claim that it breaks deviates, and binds; or, where the
claim only recommends, in which it is not followed any more. What else deviates must be of a topic
that the fault concerns: else it is astray, and the testcase judges what it should not, or the list
of mutants does not say what its fault does.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Verdict
from harness.reporting.journal import JOURNAL_NAME
from harness.reporting.run import FILE_NAME, read_run

_Thing = TypeVar("_Thing")

HUNG = 600.0
"""Seconds of wall time after which a mutant is taken to have hung; the catalogue takes 30."""

SHARE = 10
"""One in so many of the testcases that have nothing to do with a fault is run all the same."""

RAN = (0, 1)
"""The exit statuses of a run that came to its end: nothing failed, or something."""

OURS = "harness error"
"""How the reason of a verdict begins that the harness, and not the target, is to blame for."""


class Ruling(NamedTuple):
    """The verdict on one claim, whether it binds, and whether the harness failed over it."""

    verdict: Verdict
    binding: bool = True
    ours: bool = False


Rulings = dict[tuple[str, str, str, str | None], Ruling]
"""By testcase, claim, measure and family."""


class Red(NamedTuple):
    """A claim that deviates only with the fault, and the testcase that found out."""

    testcase: str
    claim: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by name: the claims that it breaks, the topics of claims that it concerns.

    `near` are the testcases that judge what it breaks.
    """

    name: str
    breaks: tuple[str, ...]
    topics: frozenset[str] = frozenset()
    near: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant.

    `red` are the binding claims that now deviate, `waived` the claims of the fault's own that do
    not bind and are no longer followed, `noticed` the testcases of which only another
    claim has a worse verdict than without the fault, `astray` what is red and of another topic, and
    `crashed` the testcases in which the harness failed. `broken` says that no run came of it.
    """

    fault: Fault
    red: tuple[Red, ...] = ()
    waived: tuple[Red, ...] = ()
    noticed: tuple[str, ...] = ()
    astray: tuple[Red, ...] = ()
    crashed: tuple[str, ...] = ()
    broken: str = ""

    @property
    def caught(self) -> tuple[str, ...]:
        """The testcases that judge a claim that the fault breaks, and find that it is broken."""
        broken = (one.testcase for one in self.red if one.claim in self.fault.breaks)
        return _each((*broken, *(one.testcase for one in self.waived)))

    @property
    def spared(self) -> tuple[str, ...]:
        """The claims that the fault should break, and no testcase says so."""
        seen = {one.claim for one in (*self.red, *self.waived)}
        return tuple(claim for claim in self.fault.breaks if claim not in seen)

    @property
    def well(self) -> bool:
        """Whether it is caught, by those that it concerns only, and nothing of ours failed."""
        return bool(self.caught) and not (self.astray or self.crashed or self.broken)


@dataclass(frozen=True, slots=True)
class Trials:
    """How mutants are tried: the model, all testcases, the family (all if empty), how many at once.

    `topics` are those of the claims. Each mutant has the testcases that are near to it and a random
    share of the others, always the same; with `whole` it has all. In `kept`, a file, stands what
    was found so far: what is there is not run again.
    """

    model: str
    testcases: Sequence[str]
    folder: Path
    topics: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    jobs: int = 2
    whole: bool = False
    kept: Path | None = None

    def run(self, faults: Sequence[Fault], told: Callable[[Outcome], None]) -> list[Outcome]:
        """Run the catalogue with no fault, and then with each; HarnessError if it cannot run."""
        kept = kept_in(self.kept)
        if self.model not in kept:
            without = self._rulings(self.model, ())
            if isinstance(without, str):
                raise HarnessError(f"the catalogue cannot run on {self.model}: {without}")
            self._keep(kept, self.model, without)
        before = kept[self.model]
        lock = threading.Lock()

        def trial(fault: Fault) -> Outcome:
            after = kept.get(fault.name)
            if after is None:
                found = self._rulings(f"{self.model}+{fault.name}", self.chosen(fault))
                if isinstance(found, str):
                    return told_of(Outcome(fault, broken=found))
                after = found
                with lock:
                    self._keep(kept, fault.name, after)
            return told_of(judged(fault, before, after, self.topics))

        def told_of(outcome: Outcome) -> Outcome:
            told(outcome)
            return outcome

        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(trial, faults))

    def _keep(self, kept: dict[str, Rulings], name: str, rulings: Rulings) -> None:
        kept[name] = rulings
        if self.kept is None:
            return
        rows = {mutant: as_rows(of) for mutant, of in kept.items()}
        aside = self.kept.with_suffix(".new")
        aside.write_text(json.dumps(rows), "utf-8")
        aside.replace(self.kept)

    def chosen(self, fault: Fault) -> tuple[str, ...]:
        """Return the testcases that a fault is tried with."""
        if self.whole:
            return tuple(self.testcases)
        others = [one for one in self.testcases if one not in fault.near]
        share = random.Random(fault.name).sample(others, -(-len(others) // SHARE))
        return (*fault.near, *share)

    def _rulings(self, target: str, testcases: Sequence[str]) -> Rulings | str:
        """Run testcases, all if none are named, on a target; return the verdicts, or why none."""
        words = ["--target", target, "--timers", "documented"]
        words += ["-k", self.family] if self.family else []
        return rulings(self.folder, testcases or self.testcases, words)


def rulings(
    folder: Path,
    testcases: Sequence[str],
    words: Sequence[str],
    *,
    hung: float = HUNG,
    partial: bool = False,
    look: Callable[[Path], object] | None = None,
) -> Rulings | str:
    """Run testcases with these words to pytest, in a folder; return the verdicts, or why none.

    A run that lasts `hung` seconds of wall time is ended; what it found by then counts if it may be
    `partial`. `look` is called with the folder of the reports before it is deleted.
    """
    with tempfile.TemporaryDirectory(prefix="tcpspec-run-") as reports:
        command = [sys.executable, "-m", "pytest", *testcases, *words]
        command += ["-q", "-p", "no:cacheprovider", "--reports", reports]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                check=False,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=hung,
            )
        except subprocess.TimeoutExpired:
            journal = Path(reports, JOURNAL_NAME)
            return rulings_of(journal) if partial and journal.exists() else "it hung"
        if done.returncode not in RAN or not Path(reports, FILE_NAME).exists():
            said = (done.stderr or done.stdout).strip().splitlines()
            return said[-1] if said else f"exit status {done.returncode}"
        if look is not None:
            look(Path(reports))
        return rulings_of(Path(reports))


def rulings_of(run: Path) -> Rulings:
    """Return the verdicts of a run: its folder, or the journal of one that was killed."""
    return {
        (testcase_of(one.testcase), one.claim, one.measure, one.family): Ruling(
            one.verdict, one.binding and not one.known, (one.reason or "").startswith(OURS)
        )
        for one in read_run(run).verdicts
    }


def kept_in(path: Path | None) -> dict[str, Rulings]:
    """Return the rulings that a file keeps, by mutant; UsageError if it keeps none."""
    if path is None or not path.exists():
        return {}
    try:
        rows = json.loads(path.read_text("utf-8"))
        return {name: of_rows(of) for name, of in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} keeps no rulings on mutants: {error}") from None


def as_rows(rulings: Rulings) -> list[list[Any]]:
    """Return rulings as JSON can hold them."""
    return [[*key, *ruling] for key, ruling in rulings.items()]


def of_rows(rows: Sequence[Sequence[Any]]) -> Rulings:
    """Read what `as_rows` wrote; ValueError or TypeError for anything else."""
    return {
        (testcase, claim, measure, family): Ruling(Verdict(verdict), binding, ours)
        for testcase, claim, measure, family, verdict, binding, ours in rows
    }


def judged(fault: Fault, before: Rulings, after: Rulings, topics: Mapping[str, str]) -> Outcome:
    """Compare the verdicts without and with a fault."""
    red: list[Red] = []
    waived: list[Red] = []
    noticed: list[str] = []
    for (testcase, claim, measure, family), (verdict, binding, _) in after.items():
        was = before.get((testcase, claim, measure, family), Ruling(verdict)).verdict
        if verdict is was or verdict is Verdict.CONFORMS:
            continue
        if verdict is Verdict.DEVIATES and binding:
            red.append(Red(testcase, claim))
        elif was is Verdict.CONFORMS:
            noticed.append(testcase)
            if claim in fault.breaks and verdict in (Verdict.PERMITTED, Verdict.DEVIATES):
                waived.append(Red(testcase, claim))
    found = {one.testcase for one in red}
    concerned = fault.topics | {topics.get(claim, "") for claim in fault.breaks}
    return Outcome(
        fault,
        _each(red),
        _each(waived),
        _each(one for one in noticed if one not in found),
        _each(one for one in red if topics.get(one.claim, "") not in concerned),
        _each(key[0] for key, ruling in after.items() if ruling.ours),
    )


def lines(outcomes: Sequence[Outcome], topics: Mapping[str, str]) -> Iterator[str]:
    """Say which testcases caught each mutant, what is astray, which survive, and the score."""
    for one in outcomes:
        yield from _about(one, topics)
    caught = [one for one in outcomes if one.caught]
    missed = [one for one in outcomes if not one.caught]
    astray = [one for one in outcomes if one.astray]
    crashed = [one for one in outcomes if one.crashed or one.broken]
    yield ""
    score = f"{100 * len(caught) / max(1, len(outcomes)):.0f} %"
    yield f"{len(caught)} of {len(outcomes)} mutants are caught: {score}"
    mild = [one for one in caught if not any(red.claim in one.fault.breaks for red in one.red)]
    if mild:
        yield f"{len(mild)} of them break only what does not bind: {_names(mild)}"
    if missed:
        yield f"{len(missed)} survive: {_names(missed)}"
    if astray:
        yield f"{len(astray)} turn red what they do not concern: {_names(astray)}"
    if crashed:
        yield f"{len(crashed)} make the harness fail: {_names(crashed)}"


def headline(outcome: Outcome) -> str:
    """Say in one line what became of a mutant."""
    fault = outcome.fault
    if outcome.broken:
        return f"{fault.name}: NO RUN, {outcome.broken}"
    also = f", and {len(outcome.astray)} astray" if outcome.astray else ""
    also += f", and {len(outcome.crashed)} failed" if outcome.crashed else ""
    if outcome.caught:
        return f"{fault.name}: caught by {_testcases(len(outcome.caught))}{also}"
    breaks = ", ".join(fault.breaks)
    if outcome.red:
        others = ", ".join(_each(one.claim for one in outcome.red)[:5])
        return f"{fault.name}: SURVIVES (breaks {breaks}; red are {others}){also}"
    if outcome.noticed:
        seen = _testcases(len(outcome.noticed))
        return f"{fault.name}: SURVIVES (breaks {breaks}; noticed by {seen}){also}"
    return f"{fault.name}: SURVIVES (breaks {breaks}){also}"


def _about(outcome: Outcome, topics: Mapping[str, str]) -> Iterator[str]:
    yield headline(outcome)
    yield from (f"    {testcase}" for testcase in outcome.caught)
    yield from (f"    ({testcase})" for testcase in outcome.noticed if not outcome.caught)
    for one in outcome.astray:
        yield f"    ASTRAY {one.claim} ({topics.get(one.claim, '')}) {one.testcase}"
    yield from (f"    FAILED {testcase}" for testcase in outcome.crashed)
    if outcome.caught and outcome.spared:
        yield f"    but not by {', '.join(outcome.spared)}"


def _testcases(count: int) -> str:
    return f"{count} testcase{'s' if count > 1 else ''}"


def _each(things: Iterable[_Thing]) -> tuple[_Thing, ...]:
    return tuple(dict.fromkeys(things))


def _names(outcomes: Iterable[Outcome]) -> str:
    return ", ".join(one.fault.name for one in outcomes)


def testcase_of(name: str) -> str:
    """Return a node id without target and family."""
    return re.sub(r"\[[^]]*\]$", "", name)
