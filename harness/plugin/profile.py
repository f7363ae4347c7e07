"""Profile: settings of targets from this machine or from files, read before the host is left."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.targets import profile

PROFILE = pytest.StashKey[profile.Profile]()

INPUT = "tcpspec_profile"
"""The input of a worker that has the profile: it no longer sees the host's settings."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare where settings may come from."""
    parser.getgroup("tcpspec").addoption(
        "--sysctl-from",
        action="append",
        default=[],
        metavar="host|FILE",
        help="settings of this machine, or of a sysctl.d file or folder; repeatable",
    )


def profile_of(config: pytest.Config) -> profile.Profile:
    """Return what the user asked for; UsageError for a file that cannot be read.

    Must first be called before an ordinary user's process leaves the host's network namespace.
    """
    if PROFILE not in config.stash:
        given = getattr(config, "workerinput", {}).get(INPUT)
        config.stash[PROFILE] = (
            profile.Profile.from_json(json.loads(given))
            if given
            else profile.load(config.option.sysctl_from, Path(config.invocation_params.dir))
        )
    return config.stash[PROFILE]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the profile to a worker."""
    node.workerinput[INPUT] = json.dumps(profile_of(node.config).as_json())
