"""Outcome: what a testcase comes to, and how that is shown."""

import inspect
import json
import re
from collections.abc import Generator, Sequence

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry, ReprFileLocation, ReprTraceback

from harness.errors import Deviation, HarnessError, Inconclusive, Unsupported
from harness.judgement.conclusion import Conclusion, Outcome
from harness.judgement.precision import NOISE
from harness.judgement.verdict import Judgement, Verdict
from harness.plugin import baseline
from harness.plugin.collector import PROPERTY
from harness.plugin.fixtures import ATTEMPT, TRIAL
from harness.plugin.options import run_of
from harness.reporting import allure, timelines
from harness.reporting.baseline import cut_off
from harness.reporting.changes import story
from harness.reporting.picture import drawing, sequence
from harness.trial import Trial

OURS = "tcpspec_ours"
"""The attribute of a report that says that the harness failed, not the target."""

AGAIN: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()
"""What is to be made again after all others."""

AFTERWARDS: pytest.StashKey[bool] = pytest.StashKey()
"""Of a testcase that is being made again after all others."""

ATTEMPTS = 3
"""The last attempt, which what noise has spoilt twice has to itself."""


def pytest_configure(config: pytest.Config) -> None:
    """Begin with nothing to be made again."""
    config.stash[AGAIN] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Conclude a testcase whose fixtures already found out that the target lacks something."""
    if "trial" not in getattr(item, "fixturenames", ()):
        return (yield)
    try:
        return (yield)
    except Unsupported as reason:
        _conclude(item, Verdict.UNSUPPORTED, str(reason))
    except Inconclusive as reason:
        _conclude(item, Verdict.INCONCLUSIVE, str(reason))
    return None


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Conclude a testcase: its verdicts travel on its reports, its outcome follows from them."""
    if TRIAL not in pyfuncitem.stash:
        return (yield)
    result: object = None
    verdict, why = Verdict.UNSUPPORTED, ""
    try:
        result = yield
    except Unsupported as reason:
        why = str(reason)
    except Inconclusive as reason:
        verdict, why = Verdict.INCONCLUSIVE, str(reason)
    except Exception as error:
        trial = pyfuncitem.stash[TRIAL]
        trial.judge.give_up(Verdict.INCONCLUSIVE, f"harness error: {error}".partition("\n")[0])
        _send(pyfuncitem, trial.judge.judgements, ())
        raise
    _conclude(pyfuncitem, verdict, why)
    return result


def _send(item: pytest.Item, judgements: Sequence[Judgement], stale: Sequence[str]) -> None:
    """Put verdicts on the testcase's reports."""
    payload = [judgement.as_json() for judgement in judgements]
    item.user_properties[:] = [(PROPERTY, json.dumps([payload, list(stale)]))]


def _conclude(item: pytest.Item, verdict: Verdict, reason: str) -> None:
    """Give up what was not judged, if there is a reason, and end the testcase as it deserves."""
    trial = item.stash[TRIAL]
    if reason:
        trial.judge.give_up(verdict, reason.partition("\n")[0])
    try:
        conclusion = trial.conclude()
    except HarnessError:
        _send(item, trial.judge.judgements, ())
        raise
    _send(item, conclusion.judgements, conclusion.stale)
    told = _keep(item, trial)
    _describe(item, trial, conclusion, told)
    attempt = item.stash.get(ATTEMPT, 1)
    second = item.config.option.once or attempt > 1 or _watched(item, conclusion)
    last = second and not (1 < attempt < ATTEMPTS and _noisy(conclusion))
    text = conclusion.text
    if last or conclusion.outcome is not Outcome.INCONCLUSIVE:
        _compare(item, trial, conclusion, second=second)
    if conclusion.outcome is Outcome.FAILED:
        raise Deviation(f"{text}\n\n{trial.story()}")
    if conclusion.outcome is Outcome.INCONCLUSIVE:
        if not last:
            item.config.stash[AGAIN].append(item)
        elif item.config.option.strict:
            raise Deviation(f"inconclusive: {text}\n\n{reason}\n\n{trial.story()}")
        raise pytest.skip.Exception(f"inconclusive: {text}", _use_item_location=True)
    if conclusion.outcome is Outcome.UNSUPPORTED:
        raise pytest.skip.Exception(f"unsupported: {text}", _use_item_location=True)


def _noisy(conclusion: Conclusion) -> bool:
    """Tell whether noise is all that kept a testcase from an end."""
    unclear = [one for one in conclusion.judgements if one.verdict is Verdict.INCONCLUSIVE]
    return all((one.reason or "").startswith(NOISE) for one in unclear)


def _watched(item: pytest.Item, conclusion: Conclusion) -> bool:
    """Tell whether there was no more to be seen in a short catalogue's time, and will never be."""
    unclear = (one for one in conclusion.judgements if one.verdict is Verdict.INCONCLUSIVE)
    return bool(item.config.getoption("short")) and any(
        cut_off(one.reason or "", one.observed) for one in unclear
    )


def _compare(item: pytest.Item, trial: Trial, conclusion: Conclusion, *, second: bool) -> None:
    """Fail a testcase that is not as in the baseline, if there is one."""
    changed = baseline.compare(item.config, conclusion.judgements)
    if not changed:
        return
    doubtful = not trial.facts.virtual and not all(one.causes for one in changed)
    if doubtful and not second and conclusion.outcome is not Outcome.FAILED:
        # Noise may have done it: it counts when it is seen once more, alone.
        item.config.stash[AGAIN].append(item)
        raise pytest.skip.Exception(f"inconclusive: {story(changed)[0]}")
    text = "\n".join((*([conclusion.text, ""] if conclusion.text else ()), *story(changed)))
    raise Deviation(f"{text}\n\n{trial.story()}")


def _behaviour(item: pytest.Item) -> str:
    return inspect.getdoc(getattr(item, "function", None)) or item.name


def _keep(item: pytest.Item, trial: Trial) -> timelines.Story | None:
    """Leave the timeline beside the capture, if there is one."""
    if trial.judge.pcap is None:
        return None
    told = timelines.story(
        trial.timeline, testcase=item.nodeid, behaviour=_behaviour(item), pair=trial.pair
    )
    timelines.write(run_of(item.config).reports, trial.judge.pcap, told)
    return told


def _describe(
    item: pytest.Item, trial: Trial, conclusion: Conclusion, told: timelines.Story | None
) -> None:
    """Tell Allure, where it listens."""
    if not allure.active():
        return
    allure.enrich(
        allure.Case(
            _behaviour(item),
            conclusion.judgements,
            run_of(item.config).library.claims,
            {
                "target": trial.facts.name,
                "family": trial.family,
                "timers": item.config.option.timers,
            },
            trial.story(),
            trial.capture,
            _drawn(told, trial.facts.name) if told and drawing.available() else "",
        )
    )


def _drawn(told: timelines.Story, target: str) -> str:
    left, right = ("client", "server") if told.pair else ("peer", target)
    return drawing.svg(sequence.scene(told, left=left, right=right))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a deviation in the notation, and mark attempts that will be made again."""
    report = yield
    if call.excinfo is None or TRIAL not in item.stash:
        return report
    error = call.excinfo.value
    # What fails otherwise than by a deviation is our fault: pytest's word for that is error.
    report.__dict__[OURS] = report.failed and not isinstance(error, Deviation)
    if isinstance(error, Deviation):
        report.longrepr = _representation(item, "Deviation", str(error))
    elif isinstance(error, HarnessError) and not item.config.option.fulltrace:
        text = f"{error}\n\n{item.stash[TRIAL].story()}"
        report.longrepr = _representation(item, "HarnessError", text)
    elif report.skipped and _will_be_made_again(item):
        report.outcome = "again"  # type: ignore[assignment]
    return report


def _will_be_made_again(item: pytest.Item) -> bool:
    """Tell whether an attempt is followed by another; who repeats by himself does not look."""
    ours = ATTEMPT not in item.stash or AFTERWARDS in item.stash
    return ours and item in item.config.stash[AGAIN]


def _representation(item: pytest.Item, kind: str, text: str) -> ExceptionChainRepr:
    """Return a failure as pytest shows one, at the line that asks for the measure it names."""
    function = getattr(item, "function", None)
    source, first = inspect.getsourcelines(function) if function else ([], 0)
    measure = re.search(r"\(measure (\w+)\)", text)
    needle = f'"{measure.group(1)}"' if measure else "def "
    at = max((number for number, line in enumerate(source) if needle in line), default=0)
    head, _, rest = text.partition("\n")
    lines = [f">   {source[at].rstrip()}"] if source else []
    lines += [f"E   harness.{kind}: {head}"]
    lines += [f"E   {line}".rstrip() for line in rest.splitlines()]
    where = ReprFileLocation(str(item.path), first + at, kind)
    entry = ReprEntry(lines, None, None, where, "long")
    crash = ReprFileLocation(str(item.path), first + at, f"harness.{kind}: {head}")
    return ExceptionChainRepr([(ReprTraceback([entry], None, style="long"), crash, None)])


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """Count what is to be made again, and what is our fault, as what it is."""
    if str(report.outcome) == "again":
        return "again", "a", "AGAIN"
    if report.failed and getattr(report, OURS, False):
        return "error", "E", "ERROR"
    return None
