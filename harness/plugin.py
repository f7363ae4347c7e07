"""Plugin: options, fixtures, markers and hooks for pytest, which no other module imports."""

import contextlib
import datetime as dt
import functools
import inspect
import json
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntry, ReprFileLocation, ReprTraceback

from harness.errors import Deviation, HarnessError, Inconclusive, Unsupported, UsageError
from harness.judgement.conclusion import Conclusion, Outcome
from harness.judgement.judge import Judge
from harness.judgement.verdict import Judgement, Verdict
from harness.order import NICENESS, YIELDS, LongestFirst, Turns, yields
from harness.peer.observer import Observer
from harness.peer.peer import Peer
from harness.reporting import allure
from harness.reporting.journal import Journal
from harness.reporting.marked import Marked, scan
from harness.reporting.progress import Progress
from harness.reporting.run import RunTarget
from harness.reporting.summary import Results, summarize
from harness.run import Run
from harness.targets.driver import Facts, Settings
from harness.targets.guardian import die_with_parent
from harness.targets.privilege import ensure_privileges
from harness.targets.registry import OPTIONS, driver
from harness.targets.target import Target
from harness.targets.walk import Walk
from harness.trial import Trial

PROPERTY = "tcpspec"
"""The user property under which a testcase's verdicts travel on its reports."""

SPARE = 15.0
"""Seconds beyond the patience that a wait may last, for the lateness of timers."""

VIRTUAL_PATIENCE = 10_000.0
"""Seconds that may be waited for in virtual time, which costs nobody any: keepalive and more."""

OURS = "tcpspec_ours"
"""The attribute of a report that says that the harness failed, not the target."""

RUN = pytest.StashKey[Run]()
TRIAL = pytest.StashKey[Trial]()
ATTEMPT = pytest.StashKey[int]()
AGAIN: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()
TURNS = "tcpspec_turns"

MARKERS = (
    "measures(*names): what the testcase observes; the claims about it follow from the documents",
    "tuned(**knobs): values of knobs that the testcase needs, unless the user sets them",
    "families(*names): the only families that the testcase makes sense on",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options of tcpspec."""
    group = parser.getgroup("tcpspec", "conformance of TCP stacks")
    add = group.addoption
    add("--target", action="append", metavar="NAME", help="stack under test (netns); repeatable")
    for one in OPTIONS:
        add(f"--{one.name}", metavar=one.metavar, help=one.help)
    add("--sysctl", action="append", default=[], metavar="KEY=VALUE", help="set in every target")
    add("--bind", action="append", default=[], metavar="DOCUMENT", help="let its claims bind too")
    add("--timers", choices=("tuned", "documented"), default="tuned", help="shrunk, or as they are")
    add("--patience", type=float, default=300.0, metavar="SECONDS", help="longest real wait (300)")
    add("--reports", default="reports", metavar="DIR", help="where results go (reports)")
    add(
        "--documents",
        action="append",
        default=[],
        metavar="DIR",
        help="documents that replace ours",
    )
    add(
        "--firewall",
        action="append",
        default=[],
        metavar="RULE",
        help="iptables rule in the target",
    )
    add(
        "--sabotage", action="append", default=[], metavar="SPEC", help="harm what the target sends"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[AGAIN] = []


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Check all that the user said before any worker or testcase starts."""
    config = session.config
    if _is_worker(config):
        die_with_parent()
        if getattr(config, "workerinput", {}).get(YIELDS):
            os.nice(NICENESS)
        return
    if config.option.collectonly or not _about_testcases(config):
        return
    with _usage():
        if any(driver(name).privileged for name in config.option.target or ["netns"]):
            ensure_privileges()
        run = _run(config)
        marked = [one for path in _named(config) for one in scan(path)]
        for one in marked:
            run.library.check_measure(one.measure, f"{one.path}:{one.line}")
        collector = Collector(run, Journal(run.reports), marked, config)
    config.pluginmanager.register(collector, "tcpspec-collector")
    if config.pluginmanager.hasplugin("dsession"):
        run.stop()


@contextlib.contextmanager
def _usage() -> Iterator[None]:
    """Show a user's mistake as pytest shows its own: one line, and its exit status."""
    try:
        yield
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _named(config: pytest.Config) -> list[Path]:
    """Return the files and folders that the user named."""
    here = config.invocation_params.dir
    return [Path(here, arg.split("::")[0]).resolve() for arg in config.args]


def _about_testcases(config: pytest.Config) -> bool:
    """Tell whether this run is about more than the harness's own tests."""
    own = config.rootpath / "tests"
    return not all(path == own or own in path.parents for path in _named(config))


def _run(config: pytest.Config) -> Run:
    """Return this process's run, made from the options when it is first asked for."""
    if RUN not in config.stash:
        option = config.option
        run = Run.prepare(
            targets=option.target or ["netns"],
            settings=Settings(
                sysctls=_sysctls(option.sysctl),
                tuned=option.timers == "tuned",
                firewall=tuple(option.firewall),
                options={
                    one.name: value
                    for one in OPTIONS
                    if (value := config.getoption(f"--{one.name}")) is not None
                },
            ),
            documents=[Path(config.invocation_params.dir, one) for one in option.documents],
            bind=option.bind,
            patience=option.patience,
            reports=Path(config.invocation_params.dir, option.reports),
            sabotage=option.sabotage,
        )
        config.add_cleanup(run.stop)
        for name in run.targets:
            run.start(name)
        config.stash[RUN] = run
    return config.stash[RUN]


def _sysctls(pairs: Sequence[str]) -> dict[str, str]:
    """Read KEY=VALUE pairs; UsageError for one that is none."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise UsageError(f"--sysctl {pair}: write it as KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each testcase once per target and address family."""
    if "trial" not in metafunc.fixturenames:
        return
    with _usage():
        run = _run(metafunc.config)
        wanted = metafunc.definition.get_closest_marker("families")
        cases = [
            (name, family)
            for name in run.targets
            for family in _families(run.start(name), wanted.args if wanted else ())
        ]
    metafunc.parametrize("trial", cases, indirect=True, ids=[f"{n}-{f}" for n, f in cases])


def _families(facts: Facts, wanted: Sequence[str]) -> Sequence[str]:
    """Return the families to run on; one that the target lacks, if it lacks all that are wanted."""
    return [one for one in facts.families if not wanted or one in wanted] or wanted[:1]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest testcases first, by what the documents say of their measures."""
    if not any("trial" in getattr(item, "fixturenames", ()) for item in items):
        return
    with _usage():
        run = _run(config)
        lengths = {item: _nominal(run, item) or 0.0 for item in items}
    items.sort(key=lambda item: -lengths[item])


def _measures(item: pytest.Item) -> tuple[str, ...]:
    return tuple(name for mark in item.iter_markers("measures") for name in mark.args)


def _knobs(item: pytest.Item) -> dict[str, float]:
    return {key: value for mark in item.iter_markers("tuned") for key, value in mark.kwargs.items()}


def _nominal(run: Run, item: pytest.Item) -> float | None:
    callspec = getattr(item, "callspec", None)
    if callspec is None or "trial" not in callspec.params:
        return None
    return run.nominal(callspec.params["trial"][0], _measures(item), _knobs(item))


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Iterator[Trial]:
    """Return all that one testcase may use on one target and family."""
    item = request.node
    run = _run(request.config)
    name, family = request.param
    attempt = item.stash.get(ATTEMPT, 1)
    capture = Path("pcap", re.sub(r"[^\w.-]+", "_", item.nodeid) + f"-{attempt}.pcap")
    facts = run.start(name)
    judge = Judge(
        run.library,
        facts,
        run.ledger,
        testcase=item.nodeid,
        bind=run.bind,
        family=family,
        attempt=attempt,
        measures=_measures(item),
    )
    made = Trial(
        run.driver(name),
        facts,
        family,
        judge,
        run.reports / capture,
        (max(run.patience, VIRTUAL_PATIENCE) if facts.virtual else run.patience) + SPARE,
        knobs=_knobs(item),
        sabotage=run.sabotage,
        fixed=frozenset(run.settings.sysctls),
    )
    item.stash[TRIAL] = made
    if family not in facts.families:
        raise Unsupported(f"{name} has no {family}")
    nominal = _nominal(run, item) or 0.0
    if nominal > run.patience and not facts.virtual:
        raise Unsupported(
            f"{nominal:g} s are documented, beyond --patience {run.patience:g}: needs virtual time"
        )
    try:
        yield made
    finally:
        made.close()


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
    _describe(item, trial, conclusion)
    second = item.stash.get(ATTEMPT, 1) > 1
    text = conclusion.text
    if conclusion.outcome is Outcome.FAILED:
        raise Deviation(f"{text}\n\n{trial.story()}")
    if conclusion.outcome is Outcome.INCONCLUSIVE:
        if not second:
            item.config.stash[AGAIN].append(item)
        elif item.config.option.strict:
            raise Deviation(f"inconclusive: {text}\n\n{reason}\n\n{trial.story()}")
        raise pytest.skip.Exception(f"inconclusive: {text}", _use_item_location=True)
    if conclusion.outcome is Outcome.UNSUPPORTED:
        raise pytest.skip.Exception(f"unsupported: {text}", _use_item_location=True)


def _describe(item: pytest.Item, trial: Trial, conclusion: Conclusion) -> None:
    """Tell Allure, where it listens."""
    if not allure.active():
        return
    allure.enrich(
        allure.Case(
            inspect.getdoc(getattr(item, "function", None)) or item.name,
            conclusion.judgements,
            _run(item.config).library.claims,
            {
                "target": trial.facts.name,
                "family": trial.family,
                "timers": item.config.option.timers,
            },
            trial.story(),
            trial.capture,
        )
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a deviation in the notation, and mark first attempts that will be made again."""
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
    elif report.skipped and item in item.config.stash[AGAIN] and ATTEMPT not in item.stash:
        report.outcome = "again"  # type: ignore[assignment]
    return report


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


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Make second attempts after all others, one at a time over all workers."""
    path = getattr(session.config, "workerinput", {}).get(TURNS)
    turns = Turns(Path(path)) if path else None
    with turns.together() if turns else contextlib.nullcontext():
        result = yield
    again: list[pytest.Item] = session.config.stash[AGAIN]
    for item in tuple(again):
        with turns.alone() if turns else contextlib.nullcontext():
            _try_again(session, item)
    return result


def _try_again(session: pytest.Session, item: pytest.Item) -> None:
    item.stash[ATTEMPT] = 2
    item.user_properties.clear()
    for worker in session.config.pluginmanager.get_plugins():
        # A worker of xdist names the testcase of a report by this.
        if hasattr(worker, "run_one_test"):
            worker.item_index = session.items.index(item)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out the longest testcase that is left first."""
    return LongestFirst(config, log)


@dataclass(slots=True, eq=False)
class Collector:
    """The controlling process's plugin: verdicts arrive here, and the user is told of them."""

    run: Run
    journal: Journal
    marked: Sequence[Marked]
    config: pytest.Config
    began: float = field(default_factory=time.monotonic)
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    judgements: dict[str, list[Judgement]] = field(default_factory=dict)
    stale: dict[str, tuple[str, ...]] = field(default_factory=dict)
    lengths: dict[str, float] = field(default_factory=dict)
    workers: list[float] = field(default_factory=list)
    _progress: Progress | None = None
    _over: threading.Event = field(default_factory=threading.Event)
    _turns: Any = None
    _made: int = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Begin to show what is being waited for."""
        self.show(len(session.items) or None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Begin to show what is being waited for, in a parallel run."""
        self.show(len(ids))

    def show(self, total: int | None) -> None:
        """Show progress until the end, in a thread: no hook is called while all are waiting."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if self._progress is not None or reporter is None or total is None:
            return
        width = shutil.get_terminal_size().columns
        write = functools.partial(reporter.write, flush=True)
        self._progress = Progress(write, width, reporter.isatty, total=total)

        def tick() -> None:
            while not self._over.wait(1.0):
                if self._progress is not None:
                    self._progress.tick(time.monotonic())

        threading.Thread(target=tick, daemon=True).start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where second attempts take turns."""
        if self._turns is None:
            self._turns = tempfile.NamedTemporaryFile(prefix="tcpspec-turns-")  # noqa: SIM115 - held until the end
        node.workerinput[TURNS] = self._turns.name
        node.workerinput[YIELDS] = yields(self._made, len(node.config.option.tx))
        self._made += 1

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self) -> None:
        """Note how long starting a worker took."""
        self.workers.append(time.monotonic() - self.began)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Show that a testcase began."""
        if self._progress is None:
            return
        path, _, rest = nodeid.partition("::")
        function = rest.partition("[")[0]
        measures = [
            one.measure
            for one in self.marked
            if one.function == function and str(one.path).endswith(path)
        ]
        nominal = self.run.nominal(self.run.targets[0], measures, {}) if measures else None
        self._progress.started(nodeid, measures, nominal, time.monotonic())

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Show that a testcase ended."""
        if self._progress is not None:
            self._progress.finished(nodeid, time.monotonic())

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Let the progress line stand for the letters of what passed, on a terminal."""
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        quiet = reporter is not None and reporter.isatty and self.config.option.verbose <= 0
        if quiet and report.when == "call" and report.outcome in ("passed", "skipped"):
            return report.outcome, "", ""
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdicts that arrive with a report, before anything else happens."""
        if self._progress is not None:
            self._progress.clear()
        self.lengths[report.nodeid] = self.lengths.get(report.nodeid, 0.0) + report.duration
        for name, value in report.user_properties:
            if name != PROPERTY or report.when == "teardown":
                continue
            payload, stale = json.loads(str(value))
            for judgement in payload:
                self.journal.append(judgement)
            self.judgements[report.nodeid] = [Judgement.from_json(one) for one in payload]
            self.stale[report.nodeid] = tuple(stale)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write `verdicts.json`, and what describes the run to Allure."""
        self._over.set()
        if self._progress is not None:
            self._progress.end()
        targets = [
            RunTarget(facts.name, facts.stack, facts.version, dict(facts.sysctls))
            for facts in self.run.facts.values()
        ]
        self.journal.finish(targets, self.started, time.monotonic() - self.began)
        folder = getattr(self.config.option, "allure_report_dir", None)
        if folder:
            allure.finish(Path(folder), targets, {"timers": self.config.option.timers})
        if self._turns is not None:
            self._turns.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell the user what was judged, deviations first, and how long things took."""
        terminalreporter.section("documents and deviations")
        if self.journal.interrupted is not None:
            terminalreporter.write_line(
                f"an earlier run was killed; what it knew is in {self.journal.interrupted}"
            )
        summarize(
            functools.partial(terminalreporter.write_line),
            Results(
                [one for found in self.judgements.values() for one in found],
                {name: document.title for name, document in self.run.library.documents.items()},
                [line for found in self.stale.values() for line in found],
                self.run.reports,
            ),
        )
        if self.lengths:
            longest = max(self.lengths, key=self.lengths.__getitem__)
            took = f"longest testcase {self.lengths[longest]:.1f} s ({longest.rpartition('::')[2]})"
            if self.workers:
                ready = f"{len(self.workers)} workers ready after {max(self.workers):.1f} s"
                took = f"{ready}, {took}"
            whole = time.monotonic() - self.began
            terminalreporter.write_line(f"{took}, whole run {whole:.1f} s")
