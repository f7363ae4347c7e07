"""Campaigns: planned, run where there is no result yet, stored; by whatever workers there are."""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from harness.commands import sweep
from harness.errors import HarnessError, UsageError
from harness.reporting.sweep import Told
from harness.sweep import campaign as campaigns
from harness.sweep.cell import Result, fingerprint
from harness.sweep.estimate import Estimate
from harness.sweep.hand import Hand, Job
from harness.sweep.spec import read
from harness.sweep.store import Store

ROOT = Path(__file__).parents[2]

SPEC = """
targets = ["model-linux"]
families = ["ipv4"]
[[grid]]
testcases = ["closing/test_fin_wait_2.py::test_fin_wait_2_of_an_orphan_times_out"]
[grid.sysctls]
"net.ipv4.tcp_fin_timeout" = { from = 3, to = 12 }
"net.ipv4.tcp_syn_retries" = [1, 2]
"""
CASE = "testcases/closing/test_fin_wait_2.py::test_fin_wait_2_of_an_orphan_times_out"


class Fakes:
    """Workers that do nothing but say that they did; `lose` batches come never."""

    def __init__(self, *, missing=None, harness=None, lose=0, outcome="passed", refused=None):
        self.ran = Counter()
        self.missing = missing
        self.harness = harness or fingerprint()
        self.lose = lose
        self.outcome = outcome
        self.refused = refused

    def prepare(self, targets):
        return {"one": dict.fromkeys(targets, self.missing), "two": dict.fromkeys(targets, "no")}

    def call(self, *_, target):
        if self.refused:
            return {"refused": self.refused}
        case = {
            "testcase": f"{CASE}[{target}-ipv4]",
            "function": CASE,
            "target": target,
            "family": "ipv4",
            "measures": ["m"],
            "tuned": {},
            "nominal": 60.0,
        }
        about = {"stack": "linux", "version": "6", "virtual": True, "sysctls": {}}
        return {
            "testcases": [case],
            "targets": {target: about},
            "sources": {CASE.partition("::")[0]: "s"},
            "harness": self.harness,
            "worker": "one",
        }

    def map(self, _, tasks):
        done = itertools.islice(tasks.items(), len(tasks) - self.lose)
        for name, (_, _, (_, cells)) in done:
            self.ran.update(key for key, _, _ in cells)
            yield name, [Result(key, self.outcome, "r", (), 0.1, "one") for key, _, _ in cells]
        if self.lose:
            raise HarnessError("the scheduler is lost")


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return read(path)


def run(spec, store, workers):
    campaign = campaigns.prepare(spec, ROOT / "testcases", workers)
    return campaign, campaigns.run(campaign, store, workers, lambda _: None)


def test_an_interrupted_sweep_goes_on_where_it_stopped(spec, tmp_path):
    """Each cell is run once in all, and stored once."""
    first, second, third = Fakes(lose=1), Fakes(), Fakes()
    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises(HarnessError, match="lost"):
            run(spec, store, first)
        assert 0 < len(store) < 20
        campaign, broken = run(spec, store, second)
        run(spec, store, third)
        assert len(campaign.cells) == len(store) == 20
    assert not broken
    assert (first.ran + second.ran).most_common(1)[0][1] == 1
    assert len(first.ran + second.ran) == 20
    assert not third.ran


def test_what_failed_by_our_fault_is_not_stored_and_tried_again(spec, tmp_path):
    """It says nothing of the target."""
    with Store(tmp_path / "s.sqlite") as store:
        _, broken = run(spec, store, Fakes(outcome="error"))
        assert (len(broken), len(store)) == (20, 0)
        assert run(spec, store, Fakes())[1] == {}
        assert len(store) == 20


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (Fakes(missing="iptables is not installed"), "no worker can run model-linux: iptables"),
        (Fakes(harness="other"), "another version"),
        (Fakes(refused="file not found"), "file not found"),
    ],
)
def test_workers_that_cannot_do_it_are_found_before_anything_runs(spec, tmp_path, workers, said):
    """One line says which target, and why."""
    with Store(tmp_path / "s.sqlite") as store, pytest.raises(UsageError, match=said):
        run(spec, store, workers)


def job(testcase):
    return Job(str(ROOT / "testcases"), (testcase,), "model-linux", True, 60)


def test_a_session_runs_cells_one_after_another():
    """Each at its own settings; what the target refuses is unsupported, and the next one runs."""
    hand = Hand(
        Job(str(ROOT / "testcases"), ("closing/test_fin_wait_2.py",), "model-linux", True, 60)
    )
    try:
        case = f"{CASE}[model-linux-ipv4]"
        assert case in [one["testcase"] for one in hand.ready["testcases"]]

        def ask(value):
            sysctls = {"net.ipv4.tcp_fin_timeout": value}
            return hand.ask({"testcase": case, "sysctls": sysctls})

        seen = []
        for value in ("5", "soon", "8", "5"):
            told = ask(value)
            duration = [o for o in told["judgements"] if o["measure"].startswith("orphan")]
            seen.append((told["outcome"], {one["observed"] for one in duration}))
        assert seen == [
            ("passed", {"5 s"}),
            ("unsupported", set()),
            ("passed", {"8 s"}),
            ("passed", {"5 s"}),
        ]
        assert hand.ask({"testcase": "no such", "sysctls": {}})["outcome"] == "error"
    finally:
        hand.close()


def test_a_session_that_cannot_start_says_why():
    """The user named what is not there."""
    with pytest.raises(UsageError, match="no such file of testcases"):
        Hand(job("closing/none.py"))


def test_an_estimate_is_honest():
    """None while it would be a guess; then in proportion to the work, not to the cells."""
    estimate = Estimate(0.0)
    estimate.expect([9.95] * 10 + [0.0] * 100)
    assert "too early" in estimate.text(1.0)
    estimate.finish([9.95])
    assert "too early" in estimate.text(2.0)
    estimate.finish([9.95] * 4)
    assert estimate.left(50.0) == pytest.approx(55.0)
    assert "about 55 s left" in estimate.text(50.0)
    estimate.finish([9.95] * 5 + [0.0] * 100)
    assert "all done" in estimate.text(99.0)


def test_without_dask_the_user_is_told_of_the_extra(spec, monkeypatch, tmp_path):
    """One line, no traceback."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "harness.sweep.cluster", raising=False)
    options = sweep_options(spec.path, tmp_path)
    with pytest.raises(UsageError, match=r"tcpspec\[sweep\]"):
        sweep._sweep(options)


def sweep_options(path, reports):
    commands = argparse.ArgumentParser().add_subparsers()
    sweep.add(commands)
    return commands.choices["sweep"].parse_args([str(path), "--reports", str(reports)])


def command(*words):
    return [sys.executable, "-m", "harness.cli", "sweep", *map(str, words)]


def test_a_scheduler_that_nobody_reaches_is_a_mistake(spec, tmp_path):
    """So is an address that is none."""
    pytest.importorskip("distributed")
    for address in ("nonsense://x", "127.0.0.1:1"):
        words = command(spec.path, "--reports", tmp_path, "--scheduler", address)
        done = subprocess.run(
            words, cwd=ROOT, capture_output=True, check=False, text=True, timeout=100
        )
        assert done.returncode == 2
        last = done.stderr.strip().splitlines()[-1]
        assert f"--scheduler {address}: no scheduler answers" in last
        assert "Traceback" not in done.stderr


def test_a_sweep_survives_the_death_of_a_worker(spec, tmp_path):
    """On a cluster of its own; no cell is lost and none is stored twice."""
    pytest.importorskip("distributed")
    words = command(spec.path, "--reports", tmp_path / "r", "--workers", 1, "--threads", 1)
    with subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        killed = False
        deadline = time.monotonic() + 100
        while client.poll() is None and not killed and time.monotonic() < deadline:
            time.sleep(0.2)
            for child in workers_of(client.pid):
                os.kill(child, signal.SIGKILL)
                killed = True
        out, err = client.communicate(timeout=200)
    assert killed, err
    assert client.returncode == 0, err
    whole = json.loads((tmp_path / "r" / "sweep.json").read_text())
    assert len(whole["cells"]) == 20
    assert {one["outcome"] for one in whole["cells"]} == {"passed"}
    assert "20 of 20 cells" in out
    (effect,) = [one for one in whole["effects"] if one["moved"]]
    assert effect["sysctl"] == "net.ipv4.tcp_fin_timeout"


def workers_of(client):
    """Return the processes of a client's Dask workers, once they have a session."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            words = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        found[int(path.parent.name)] = parent, words
    sessions = {parent for parent, words in found.values() if b"--cells" in words}
    return [pid for pid, (parent, _) in found.items() if parent == client and pid in sessions]


def test_what_is_another_number_each_time_moves_with_no_setting():
    """A port that is drawn, and the value of a clock, are no effect of a sysctl."""
    syns = ("S 0:0(0) <TS val 5 ecr 0>", "S 0:0(0) <TS val 7 ecr 0>")
    cells = [
        Told(
            "t",
            "test_x",
            "ipv4",
            {"a": str(number)},
            "passed",
            "",
            [
                {"measure": "port", "observed": str(number), "values": number},
                {"measure": "syn", "observed": syn, "values": None},
                {"measure": "silent", "observed": "", "values": None},
            ],
        )
        for number, syn in enumerate(syns)
    ]
    seen = [one for cell in cells for one in sweep._seen(cell, lambda measure: measure == "port")]
    assert {one.measure for one in seen} == {"syn"}
    assert len({one.observed for one in seen}) == 1
