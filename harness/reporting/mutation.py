"""Mutation: whether the catalogue notices a fault, told by models that have one each."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError
from harness.judgement.verdict import Verdict
from harness.reporting.run import FILE_NAME, read_run

Rulings = dict[tuple[str, str, str, str | None], tuple[Verdict, bool]]
"""By testcase, claim, measure and family: the verdict, and whether it binds."""

HUNG = 600.0
"""Seconds of wall time after which a mutant is taken to have hung; the catalogue takes 30."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant.

    `caught` are the testcases of which a binding claim now deviates, `noticed` those of which only
    another claim has a worse verdict than without the fault. `broken` says that no run came of it.
    """

    name: str
    breaks: tuple[str, ...]
    caught: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    broken: str = ""

    @property
    def killed(self) -> bool:
        """Whether a run would have failed."""
        return bool(self.caught or self.broken)


@dataclass(frozen=True, slots=True)
class Trials:
    """How mutants are tried: the model, all testcases, the family (all if empty), how many at once.

    `near` are the testcases that judge what a mutant breaks, by its name: they are run first, and
    all of them only when these have not caught it.
    """

    model: str
    testcases: Sequence[str]
    folder: Path
    family: str = ""
    jobs: int = 2
    near: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def run(
        self, mutants: Sequence[tuple[str, tuple[str, ...]]], told: Callable[[Outcome], None]
    ) -> list[Outcome]:
        """Run the catalogue with no fault, and then with each; HarnessError if it cannot run.

        `mutants` are names and the claims that they break.
        """
        without = self._rulings(self.model, self.testcases)
        if isinstance(without, str):
            raise HarnessError(f"the catalogue cannot run on {self.model}: {without}")
        before: Rulings = without

        def trial(mutant: tuple[str, tuple[str, ...]]) -> Outcome:
            name, breaks = mutant
            target = f"{self.model}+{name}"
            near = self.near.get(name)
            after = self._rulings(target, near or self.testcases)
            outcome = judged(name, breaks, before, after)
            if near and not outcome.killed:
                after = self._rulings(target, self.testcases)
                outcome = judged(name, breaks, before, after)
            told(outcome)
            return outcome

        with ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(trial, mutants))

    def _rulings(self, target: str, testcases: Sequence[str]) -> Rulings | str:
        """Run the testcases on a target; return the verdicts, or why there are none."""
        with tempfile.TemporaryDirectory(prefix="tcpspec-mutant-") as reports:
            words = [sys.executable, "-m", "pytest", *testcases, "--target", target]
            words += ["--timers", "documented", "-q", "-p", "no:cacheprovider"]
            words += ["--reports", reports, *(["-k", self.family] if self.family else [])]
            try:
                done = subprocess.run(
                    words,
                    capture_output=True,
                    check=False,
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    text=True,
                    timeout=HUNG,
                )
            except subprocess.TimeoutExpired:
                return "it hung"
            if not Path(reports, FILE_NAME).exists():
                said = (done.stderr or done.stdout).strip().splitlines()
                return said[-1] if said else f"exit status {done.returncode}"
            return {
                (_testcase(one.testcase), one.claim, one.measure, one.family): (
                    one.verdict,
                    one.binding,
                )
                for one in read_run(Path(reports)).verdicts
            }


def judged(name: str, breaks: tuple[str, ...], before: Rulings, after: Rulings | str) -> Outcome:
    """Compare the verdicts without and with a fault."""
    if isinstance(after, str):
        return Outcome(name, breaks, broken=after)
    caught: dict[str, None] = {}
    noticed: dict[str, None] = {}
    claims: dict[str, None] = {}
    for key, (verdict, binding) in after.items():
        was = before.get(key, (verdict, binding))[0]
        if verdict is was or verdict is Verdict.CONFORMS:
            continue
        testcase, claim, _, _ = key
        if verdict is Verdict.DEVIATES and binding:
            caught[testcase] = None
            claims[claim] = None
        elif was is Verdict.CONFORMS:
            noticed[testcase] = None
    only = (one for one in noticed if one not in caught)
    return Outcome(name, breaks, tuple(caught), tuple(only), tuple(claims))


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say which testcases caught each mutant, which mutants survive, and the score."""
    for one in outcomes:
        yield from _about(one)
    killed = [one for one in outcomes if one.killed]
    seen = [one for one in outcomes if not one.killed and one.noticed]
    missed = [one for one in outcomes if not one.killed and not one.noticed]
    yield ""
    detected = [*killed, *seen]
    yield f"{len(detected)} of {len(outcomes)} mutants are seen: {_percent(detected, outcomes)}"
    yield f"{len(killed)} fail a run"
    if seen:
        yield f"{len(seen)} change only what does not bind: {_names(seen)}"
    if missed:
        yield f"{len(missed)} survive: {_names(missed)}"


def headline(outcome: Outcome) -> str:
    """Say in one line what became of a mutant."""
    if outcome.broken:
        return f"{outcome.name}: caught, {outcome.broken}"
    if outcome.caught:
        return f"{outcome.name}: caught by {_testcases(len(outcome.caught))}"
    if outcome.noticed:
        return f"{outcome.name}: noticed by {_testcases(len(outcome.noticed))}, nothing binding"
    return f"{outcome.name}: SURVIVES (breaks {', '.join(outcome.breaks)})"


def _about(outcome: Outcome) -> Iterator[str]:
    yield headline(outcome)
    yield from (f"    {testcase}" for testcase in outcome.caught)
    yield from (f"    ({testcase})" for testcase in outcome.noticed if not outcome.caught)
    spared = [claim for claim in outcome.breaks if claim not in outcome.claims]
    if outcome.caught and spared:
        yield f"    but not by {', '.join(spared)}"


def _testcases(count: int) -> str:
    return f"{count} testcase{'s' if count > 1 else ''}"


def _percent(some: Sequence[Outcome], all_of_them: Sequence[Outcome]) -> str:
    return f"{100 * len(some) / max(1, len(all_of_them)):.0f} %"


def _names(outcomes: Iterable[Outcome]) -> str:
    return ", ".join(one.name for one in outcomes)


def _testcase(name: str) -> str:
    """Return a node id without target and family."""
    return re.sub(r"\[[^]]*\]$", "", name)
