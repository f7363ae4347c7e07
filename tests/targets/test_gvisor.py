"""GVisor: what a user has to register, and which stack it is."""

import os
import stat
import subprocess

import pytest

from harness.errors import HarnessError, Inconclusive
from harness.targets import gvisor, knobs


def program(tmp_path, text):
    """Return a program that says something, whatever it is asked."""
    path = tmp_path / "runsc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_our_runtime_is_preferred_and_none_is_no_error():
    """Ours shows true frames; where there is only the usual one, it serves."""
    usual, ours = {"runc": "runc", "runsc": "/usr/bin/runsc"}, {"tcpspec-gvisor": "/w/runsc"}
    assert gvisor._runtime(usual | ours) == ("tcpspec-gvisor", "/w/runsc")
    assert gvisor._runtime(usual) == ("runsc", "/usr/bin/runsc")
    assert gvisor._runtime({"runc": "runc"}) is None


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("runsc version 0.0~20221219.0", "20221219.0"),
        ("runsc version release-20240513.0", "20240513.0"),
    ],
)
def test_the_version_is_that_of_the_runtime(tmp_path, said, version):
    """Debian's way of writing it and gVisor's own give the same number."""
    assert gvisor._version(program(tmp_path, f"echo {said}; echo spec: 1.0.2")) == version


def test_a_runtime_without_a_version_is_told(tmp_path):
    """The error has the runtime's own words."""
    with pytest.raises(HarnessError, match="not found"):
        gvisor._version(program(tmp_path, "echo runsc: not found >&2; exit 127"))


def test_a_sandbox_that_does_not_start_makes_its_testcase_inconclusive():
    """What went wrong in the thread is said where the sandbox is waited for."""

    def start():
        raise HarnessError("the engine has ended")

    starting = gvisor.Starting(start)
    with pytest.raises(Inconclusive, match="the engine has ended"):
        starting.get()
    starting.end()


def test_the_wrapper_is_a_program_that_the_shell_can_read():
    """What the user is told to register is there, and may be run."""
    assert os.access(gvisor.WRAPPER, os.X_OK)
    assert subprocess.run(["sh", "-n", str(gvisor.WRAPPER)], check=False).returncode == 0


def test_every_knob_of_gvisor_is_one_that_testcases_can_ask_for():
    """Knobs are named by meaning: those of one stack have the names that others have too."""
    ours, all_of_them = knobs.load("gvisor"), knobs.load()
    assert set(ours.by_name) <= set(all_of_them.by_name)
    for name, knob in ours.by_name.items():
        assert knob.tuned == all_of_them.by_name[name].tuned
