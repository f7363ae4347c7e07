"""The numbers of documents: each decides over its own claim, and over nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTCASES = (
    "opening/test_syn_received.py",
    "opening/test_silence.py",
    "closing/test_fin_ladder.py",
    "closing/test_fin_wait_2.py",
    "closing/test_time_wait.py",
    "keeping/test_keepalive.py",
    "data/test_receiving.py",
    "data/test_retransmission.py",
)

CHANGES = [
    ("rfc9293", "RFC9293:MUST-13", "time_wait_duration", "at_least = 240", "at_least = 60"),
    ("rfc9293", "RFC9293:MUST-19", "fin_wait_1_ladder", "ratio = 2", "ratio = 3"),
    ("rfc9293", "RFC9293:MUST-28", "keepalive_time", "7200", "9000"),
    ("rfc9293", "RFC9293:MUST-40", "ack_delay_longest", "0.5", "0.01"),
    ("rfc9293", "RFC9293:MUST-39", "silly_receiver_edge", "536", "5360"),
    ("rfc6298", "RFC6298:2.1", "synack_retry_ladder", "first = 1", "first = 3"),
    ("rfc6298", "RFC6298:5.7", "rto_after_syn_timeout", "3", "1"),
    ("rfc1122", "RFC1122:4.2.3.1-lower", "fin_wait_1_ladder", "at_most = 1", "at_most = 0.1"),
    ("rfc1337", "RFC1337:1", "time_wait_late_fin", "ack 2", "ack 3"),
    ("rfc2018", "RFC2018:4-each", "sack_first", "11:21", "12:21"),
    ("rfc2525", "RFC2525:2.14", "data_timeout_flight", "expect = 1", "expect = 2"),
    ("rfc4987", "RFC4987:4-synack", "synack_retry_ladder", "at_least = 1", "at_least = 9"),
    ("rfc5681", "RFC5681:4.2-500", "ack_delay_longest", "0.5", "0.01"),
    ("linux", "linux:tcp_keepalive_probes-default", "keepalive_ladder", "8", "7"),
    ("linux", "linux:tcp_fin_timeout-default", "orphan_fin_wait_2_duration", "60", "180"),
    ("linux-man", "linux:tcp(7)-keepalive-default", "keepalive_ladder", "75", "60"),
    ("linux-man", "linux:tcp(7)-fin_timeout-default", "orphan_fin_wait_2_duration", "60", "180"),
    ("berkeley", "S4-009", "embryonic_lifetime", "75", "63"),
    ("windows-2003", "S0-045", "synack_retry_ladder", "count = 2", "count = 5"),
    ("windows-2003", "S0-060", "keepalive_ladder", "constant = 1", "constant = 75"),
    ("s0", "S0-100", "time_wait_duration", "480", "60"),
    ("s2", "S2-042", "fin_wait_1_lifetime", "53", "530"),
    ("s2", "S2-038", "synack_retry_ladder", "8, 16", "8"),
    ("s3", "S3-028", "time_wait_duration", "120", "60"),
    ("s4", "S4-027", "time_wait_duration", "60", "90"),
]


@pytest.fixture(scope="session")
def found(tmp_path_factory):
    """Run the model once, in virtual time, and return what each change changes."""
    folder = tmp_path_factory.mktemp("changes")
    changes = folder / "changes.json"
    changes.write_text(json.dumps(CHANGES))
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "tests.documents.retelling",
            "-p", "no:cacheprovider", "-p", "no:xdist", "--target", "model-linux",
            "--timers", "documented", "-k", "ipv4", "--reports", str(folder / "reports"),
            *(str(ROOT / "testcases" / name) for name in TESTCASES),
        ],
        cwd=ROOT,
        env=os.environ | {"TCPSPEC_CHANGES": str(changes)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    seen = changes.with_suffix(".found")
    assert seen.exists(), run.stdout + run.stderr
    lines = seen.read_text().splitlines()
    changed: dict[str, list[tuple[str, ...]]] = {}
    for name, verdicts in map(json.loads, lines):
        changed.setdefault(name, []).extend(map(tuple, verdicts))
    return changed


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change[1]}-{change[2]}")
def test_a_documented_number_decides_over_its_own_verdict_and_no_other(found, change):
    """Another number in one document changes that document's verdict, and only that."""
    document, claim, measure, *_ = change
    assert set(found[json.dumps(change)]) == {(document, claim, measure)}


def test_an_unchanged_document_changes_nothing(found):
    """Judged again, by the same documents, everything is as it was."""
    assert found[""] == []
