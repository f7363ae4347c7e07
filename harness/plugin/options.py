"""Options: what the user may say to pytest, and the run that is made of it."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.plugin.profile import profile_of
from harness.run import Run
from harness.targets.driver import Settings
from harness.targets.registry import OPTIONS

RUN = pytest.StashKey[Run]()

HANDED_ON = "tcpspec_run"
"""The input of a worker that holds the controller's run."""

MARKERS = (
    "measures(*names): what the testcase observes; the claims about it follow from the documents",
    "tuned(**knobs): values of knobs that the testcase needs, unless the user sets them",
    "lasts(seconds): how long the testcase waits at least, whatever its measures and knobs say",
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
    add("--once", action="store_true", help="try nothing again")
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
        "--sabotage",
        action="append",
        default=[],
        metavar="SPEC",
        help="harm what the target sends, is sent, or says",
    )
    add("--sabotage-from", metavar="FILE", help="harm each testcase as it says there")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@contextlib.contextmanager
def usage() -> Iterator[None]:
    """Show a user's mistake as pytest shows its own: one line, and its exit status."""
    try:
        yield
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def run_of(config: pytest.Config) -> Run:
    """Return this process's run: the controller's, or made from the options when first asked."""
    if RUN not in config.stash:
        handed_on = getattr(config, "workerinput", {}).get(HANDED_ON)
        run = Run.take_over(handed_on) if handed_on else _prepared(config)
        config.add_cleanup(run.stop)
        for name in run.targets:
            run.start(name)
        config.stash[RUN] = run
    return config.stash[RUN]


def _prepared(config: pytest.Config) -> Run:
    option = config.option
    return Run.prepare(
        targets=option.target or ["netns"],
        settings=Settings(
            sysctls=_sysctls(option.sysctl),
            tuned=option.timers == "tuned",
            firewall=tuple(option.firewall),
            profile=profile_of(config),
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
        own_sabotage=Path(config.invocation_params.dir, option.sabotage_from)
        if option.sabotage_from
        else None,
    )


def _sysctls(pairs: Sequence[str]) -> dict[str, str]:
    """Read KEY=VALUE pairs; UsageError for one that is none."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise UsageError(f"--sysctl {pair}: write it as KEY=VALUE")
        found[key.strip()] = value.strip()
    return found
