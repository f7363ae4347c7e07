"""Fixtures: what a testcase may ask for."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import Unsupported
from harness.judgement.judge import Judge
from harness.peer.observer import Observer
from harness.peer.peer import Peer
from harness.plugin.collection import knobs_of, lasts, measures_of, nominal_of
from harness.plugin.options import run_of
from harness.run import Run
from harness.targets import knobs
from harness.targets.driver import Facts
from harness.targets.target import Target
from harness.targets.walk import Walk
from harness.trial import Trial

SPARE = 15.0
"""Seconds beyond the patience that a wait may last, for the lateness of timers."""

TUNED_LIMIT = 90.0
"""Seconds that a testcase which no knob shortens may take where timers are tuned."""

VIRTUAL_PATIENCE = 10_000.0
"""Seconds that may be waited for in virtual time, which costs nobody any: keepalive and more."""

TRIAL = pytest.StashKey[Trial]()
ATTEMPT = pytest.StashKey[int]()


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """Return all that one testcase may use on one target and family."""
    item = request.node
    run = run_of(request.config)
    name, family = request.param
    attempt = item.stash.get(ATTEMPT, 1)
    capture = Path("pcap", re.sub(r"[^\w.-]+", "_", item.nodeid) + f"-{attempt}.pcap")
    facts = run.start(name)
    short = request.config.getoption("short")
    judge = Judge(
        run.library,
        facts,
        run.ledger,
        testcase=item.nodeid,
        bind=run.bind,
        family=family,
        attempt=attempt,
        measures=measures_of(item),
        tuned=frozenset(knobs_of(item)),
        overruled=knobs.load().overruled(knobs_of(item), facts.effective, facts.fixed),
    )
    made = Trial(
        run.driver(name),
        facts,
        family,
        judge,
        run.reports / capture,
        _limit(run, facts, short=short),
        knobs=knobs_of(item),
        sabotage=run.sabotage_of(item.nodeid),
        fixed=run.fixed(name),
    )
    item.stash[TRIAL] = made
    if family not in facts.families:
        raise Unsupported(f"{name} has no {family}")
    if knob := knobs.load().missing(knobs_of(item), facts.effective, facts.sysctls):
        raise Unsupported(f"{name} has no knob {knob}")
    nominal = nominal_of(run, item) or 0.0
    if run.settings.tuned and (lasts(item) or 0.0) > TUNED_LIMIT and not facts.virtual:
        raise Unsupported(f"{lasts(item):g} s, which no knob shortens: needs --timers documented")
    if nominal > VIRTUAL_PATIENCE and facts.virtual and not facts.model:
        raise Unsupported(f"{nominal:g} s, in which even an idle machine computes for too long")
    if nominal > run.patience and not facts.virtual and not short:
        raise Unsupported(
            f"{nominal:g} s are documented, beyond --patience {run.patience:g}: needs virtual time"
        )
    try:
        yield made
    finally:
        made.close()


def _limit(run: Run, facts: Facts, *, short: bool) -> float:
    """Return how long anything may be waited for, seconds."""
    if facts.virtual:
        return max(run.patience, VIRTUAL_PATIENCE) + SPARE
    # What is only watched as far as the patience goes is never waited for longer.
    return run.patience + (0.0 if short else SPARE)


@pytest.fixture
def target(trial: Trial) -> Target:
    """Return the stack under test."""
    return trial.target


@pytest.fixture
def peer(trial: Trial) -> Peer:
    """Return the far end of the link, played by the testcase."""
    return trial.peer


@pytest.fixture
def reach(trial: Trial) -> Walk:
    """Return the way into any of the eleven states."""
    return trial.reach


@pytest.fixture
def client(trial: Trial) -> Target:
    """Return the first of two stacks on one link."""
    return trial.client


@pytest.fixture
def server(trial: Trial) -> Target:
    """Return the second of two stacks on one link."""
    return trial.server


@pytest.fixture
def wire(trial: Trial) -> Observer:
    """Return what passes between client and server."""
    return trial.wire


@pytest.fixture
def documented(trial: Trial) -> Judge:
    """Return what judges an observation against every claim about its measure."""
    return trial.judge
