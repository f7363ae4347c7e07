"""KTAP: what the kernel's parsers read, whatever a run says."""

import re
import subprocess
import sys

from harness.reporting import ktap
from harness.reporting.ktap import Came

from .examples import judgement
from .world import ROOT

LINE = re.compile(
    r" *(KTAP version 1|1\.\.\d+|# Subtest: .+|(not )?ok \d+ [^#]+( # ((SKIP|XFAIL|ERROR) )?.+)?)"
)


def test_every_verdict_is_a_subtest():
    """Known deviations are expected, what was not judged is skipped, the rest says what was."""
    verdicts = [
        judgement(),
        judgement(verdict="deviates", known=True, reason="a constant"),
        judgement(verdict="deviates", documented="1 s", observed="7 s"),
        judgement(verdict="deviates", binding=False, documented="1 s", observed="7 s"),
        judgement(verdict="unsupported", reason="tuned: # of retries"),
    ]
    found = list(ktap.lines({"a.py::b#c": Came("failed", "deviates")}, {"a.py::b#c": verdicts}))
    assert found == [
        "KTAP version 1",
        "1..1",
        "  KTAP version 1",
        "  # Subtest: a.py::b_c",
        "  1..5",
        "  ok 1 RFC9293:MUST-13 time_wait_duration",
        "  ok 2 RFC9293:MUST-13 time_wait_duration # XFAIL a constant",
        "  not ok 3 RFC9293:MUST-13 time_wait_duration # documented 1 s, observed 7 s",
        "  ok 4 RFC9293:MUST-13 time_wait_duration # documented 1 s, observed 7 s",
        "  ok 5 RFC9293:MUST-13 time_wait_duration # SKIP unsupported: tuned: # of retries",
        "not ok 1 a.py::b_c # deviates",
    ]


def test_no_line_is_broken_by_what_is_said():
    """Line ends and control characters are shown."""
    hostile = judgement(claim="a\nok 1 b", verdict="deviates", observed="\x1b\nnot ok 2")
    found = list(ktap.lines({"a\nb": Came("error", "x\ny")}, {"a\nb": [hostile]}))
    assert all(LINE.fullmatch(line) for line in found)


def test_a_run_leaves_a_file(tmp_path):
    """The option works in one process and with workers, for what passes and what is skipped."""
    for more in ((), ("-n", "1")):
        file = tmp_path / f"{len(more)}.ktap"
        words = ["-m", "pytest", "testcases/opening/test_closed_port.py", "-q", "-k", "ipv4", *more]
        words += ["--target", "model-rfc9293", "--reports", str(tmp_path), "--ktap", str(file)]
        subprocess.run(
            [sys.executable, *words, "-p", "no:cacheprovider"],
            cwd=ROOT, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        found = file.read_text().splitlines()
        assert all(LINE.fullmatch(line) for line in found)
        assert sum(line.startswith("ok ") for line in found) == int(found[1].partition("..")[2])
