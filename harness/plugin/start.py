"""Start: everything that the user said is checked before any worker or testcase starts."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.nursery import Nursery
from harness.order import NICENESS, YIELDS
from harness.plugin.baseline import baseline_of
from harness.plugin.collector import Collector
from harness.plugin.options import run_of, usage
from harness.plugin.profile import profile_of
from harness.reporting.journal import Journal
from harness.reporting.marked import Marked, scan
from harness.run import Run
from harness.targets.guardian import die_with_parent
from harness.targets.privilege import ensure_privileges
from harness.targets.registry import driver


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
    with usage():
        baseline_of(config)
        profile_of(config)  # the host's network is left behind with what comes next
        if any(driver(name).privileged for name in config.option.target or ["netns"]):
            ensure_privileges()
        run = run_of(config)
        if config.getoption("cells"):
            return
        marked = [one for path in _named(config) for one in scan(path)]
        for one in marked:
            run.library.check_measure(one.measure, f"{one.path}:{one.line}")
        if run.own_sabotage:
            _check_sabotage(config, run, marked)
        collector = Collector(run, Journal(run.reports), marked, config)
    config.pluginmanager.register(collector, "tcpspec-collector")
    if config.pluginmanager.hasplugin("dsession"):
        run.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Have workers on this machine forked from one process, where that is possible."""
    here = [spec for spec in specs if spec.popen and not spec.python]
    if not here or sys.platform != "linux" or not _about_testcases(config):
        return
    run_of(config)  # the drivers are imported by now
    nursery = Nursery(["pytest", *filter(_shared, tuple(sys.modules))])
    config.add_cleanup(nursery.close)
    for spec in here:
        spec.python = nursery.python


def _shared(module: str) -> bool:
    """Tell whether workers find a module of ours already there.

    Plugins they load themselves, and xdist, which the order of testcases is made of.
    """
    ours = module.startswith("harness.")
    return ours and not module.startswith(("harness.plugin", "harness.order"))


def _check_sabotage(config: pytest.Config, run: Run, marked: Sequence[Marked]) -> None:
    """Refuse a sabotage of a testcase that does not exist; it may be one that is not run."""
    known = {one.name(config.rootpath) for one in marked}
    for testcase in run.own_sabotage:
        path = Path(config.rootpath, testcase.partition("::")[0])
        if testcase not in known and path.is_file():
            known |= {one.name(config.rootpath) for one in scan(path)}
        if testcase not in known:
            raise UsageError(f"--sabotage-from: there is no testcase {testcase}")


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
