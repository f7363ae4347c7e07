"""World: a folder with measures, a document, testcases and a run, all made up."""

import datetime as dt
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from harness.documents.library import Library
from harness.judgement.verdict import Judgement
from harness.reporting.journal import Journal
from harness.reporting.run import RunTarget

ROOT = Path(__file__).parents[2]

MEASURES = """
    [wait]
    kind = "duration"
    observes = "How long the wait lasts."

    [answer]
    kind = "segment"
    observes = "What is answered."
"""

DOCUMENT = """
    [document]
    id = "doc"
    title = "A document"
    url = "https://example.org/doc#{section}"
    stacks = "any"
    binding = true

    [[claim]]
    id = "DOC:1"
    section = "3.6"
    strength = "MUST"
    topic = "TIME-WAIT"
    says = "The wait lasts a minute."
    judged = [
        { measure = "wait", expect = 60, default_of = ["syn_retries"] },
        { measure = "answer", expect = ". ack 2" },
    ]

    [[claim]]
    id = "DOC:2"
    section = "3.7"
    strength = "SHOULD"
    topic = "TIME-WAIT"
    says = "The answer is an acknowledgement."
    judged = [{ measure = "answer", expect = ". ack 2" }]

    [[claim]]
    id = "DOC:3"
    section = "3.8"
    strength = "MAY"
    topic = "API"
    says = "The user may be told."
    unobservable = "Nothing on the wire shows it."

    [[claim]]
    id = "DOC:4"
    section = "3.9"
    strength = "MUST"
    topic = "data"
    says = "Data arrive in order."
    open = "data"
"""

TESTCASES = """
    import pytest

    @pytest.mark.measures("wait")
    def test_wait_lasts(documented): ...
"""


def library(folder: Path) -> Library:
    """Make measures and a document, and read them."""
    write(folder / "packaged" / "measures" / "all.toml", MEASURES)
    write(folder / "packaged" / "texts" / "doc.toml", DOCUMENT)
    return Library.load(packaged=folder / "packaged")


def write(path: Path, text: str) -> Path:
    """Write a text without its common indentation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def run_of(folder: Path, judgements: Iterable[Judgement]) -> Path:
    """Write a run to a folder."""
    found = list(judgements)
    journal = Journal(folder)
    for one in found:
        journal.append(one.as_json())
    names = dict.fromkeys(one.target for one in found)
    targets = [RunTarget(name, "linux", "6.18", {}) for name in names]
    journal.finish(targets, dt.datetime(2025, 11, 20, tzinfo=dt.UTC), 1.0)
    return folder


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `tcpspec` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
