"""Allure: a throw-away session's results say all that is known, and none are written unasked."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.reporting import allure
from harness.reporting.run import RunTarget

from .world import ROOT

TESTS = """
    import pytest
    from pathlib import Path
    from harness.documents.library import Library
    from harness.errors import Deviation, HarnessError
    from harness.reporting.allure import Case, enrich
    from tests.reporting.examples import judgement

    CLAIMS = Library.load().claims

    def enriched(*judgements):
        Path("a.pcap").write_bytes(b"pcap")
        text = "A wait <lasts>.\\n\\nAnd more."
        enrich(Case(text, judgements, CLAIMS, {"target": "netns"}, "+0.0 < S\\x1b", Path("a.pcap")))

    def test_conforms():
        enriched(
            judgement(observed="<b>60 s</b>\\ud800"),
            judgement(claim="S0-002", document="s0", binding=False),
        )

    def test_known():
        enriched(judgement(verdict="deviates", known=True, reason="a constant"))

    def test_deviates():
        enriched(
            judgement(verdict="deviates"),
            judgement(verdict="deviates", known=True, reason="a constant"),
        )
        raise Deviation("RFC9293:MUST-13 on netns: ...\\n\\nlinux.toml:3: A: no longer deviates")

    def test_stale():
        raise Deviation("linux.toml:3: A, b: no longer deviates on netns (6); remove the entry")

    def test_strict():
        raise Deviation("inconclusive: noise")

    def test_inconclusive():
        pytest.skip("inconclusive: noise")

    def test_unsupported():
        pytest.skip("unsupported: no firewall")

    def test_broken():
        raise HarnessError("the capture ended")

    def test_wrong():
        assert 1 == 2
"""


def session(folder: Path, *options: str) -> dict[str, dict]:
    (folder / "test_all.py").write_text(textwrap.dedent(TESTS))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_all.py"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    results = [json.loads(path.read_text()) for path in folder.glob("out/*-result.json")]
    return {result["name"]: result for result in results}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("session")


@pytest.fixture(scope="module")
def results(folder):
    return session(folder, "--alluredir", "out")


def labels(result: dict, name: str) -> list[str]:
    return [label["value"] for label in result["labels"] if label["name"] == name]


def test_a_testcase_stands_under_every_document_that_judges_it(results):
    """Epics are documents, features topics, the story is the behaviour, severity the strength."""
    result = results["test_conforms"]
    epics = labels(result, "epic")
    assert epics[0] == "RFC 9293: Transmission Control Protocol"
    assert len(epics) == 2
    assert labels(result, "feature") == ["TIME-WAIT", "connection"]
    assert labels(result, "story") == ["A wait <lasts>."]
    assert labels(result, "severity") == ["critical"]
    assert {"name": "target", "value": "'netns'"} in result["parameters"]
    assert [link["name"] for link in result["links"]] == ["RFC9293:MUST-13"]


def test_verdicts_timeline_and_capture_are_with_the_testcase(results, folder):
    """The page has a table that runs nothing, and the files are attached."""
    result = results["test_conforms"]
    page = result["descriptionHtml"]
    assert page.startswith("<p>A wait &lt;lasts&gt;.</p><p>And more.</p><table>")
    assert r"<td>&lt;b&gt;60 s&lt;/b&gt;\ud800</td>" in page
    files = {one["name"]: folder / "out" / one["source"] for one in result["attachments"]}
    assert files["timeline"].read_text() == r"+0.0 < S\x1b"
    assert files["verdicts"].read_text().startswith("claim,verdict,documented")
    assert files["a.pcap"].read_bytes() == b"pcap"


def test_every_outcome_has_one_category(results):
    """Each result matches one category, by Allure 2's rule and by Allure 3's."""
    found = {}
    for name, result in results.items():
        message = result.get("statusDetails", {}).get("message", "")
        for rule in (lambda regex, text: re.fullmatch(regex, text, re.DOTALL), re.search):
            matching = [
                category
                for category, statuses, regex in allure.CATEGORIES
                if result["status"] in statuses and rule(regex, message)
            ]
            found.setdefault(name, []).append(matching)
    assert found == {
        "test_conforms": [[], []],
        "test_known": [["Known deviations"]] * 2,
        "test_deviates": [["Deviations"]] * 2,
        "test_stale": [["Stale ledger entries"]] * 2,
        "test_strict": [["Inconclusive"]] * 2,
        "test_inconclusive": [["Inconclusive"]] * 2,
        "test_unsupported": [["Unsupported"]] * 2,
        "test_broken": [["Harness errors"]] * 2,
        "test_wrong": [["Harness errors"]] * 2,
    }


def test_a_known_deviation_is_tagged_and_says_its_reason(results):
    """Allure shows the ledger's reason, though the testcase has passed."""
    result = results["test_known"]
    assert result["status"] == "passed"
    assert result["statusDetails"]["message"] == "known deviation: RFC9293:MUST-13: a constant"
    assert "known deviation" in labels(result, "tag")


def test_parallel_workers_write_the_same(results, tmp_path):
    """Under xdist a worker writes what a process of its own writes."""
    parallel = session(tmp_path, "--alluredir", "out", "-n", "1")
    for name, result in results.items():
        for label in ("epic", "feature", "story", "severity", "tag"):
            assert labels(parallel[name], label) == labels(result, label)


def test_nothing_is_written_unless_asked_for(tmp_path):
    """Without --alluredir no file comes into being, and nothing fails."""
    assert session(tmp_path) == {}
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "a.pcap",
        "test_all.py",
    ]


def test_the_environment_is_written_as_java_reads_it(tmp_path):
    """Keys and values are escaped; categories are the ones that the messages match."""
    target = RunTarget("netns", "linux", "6.18", {"net.ipv4.tcp_x": "1\\2 é\n𝄞"})
    allure.finish(tmp_path / "out", [target], {"timers": "tuned"})
    lines = (tmp_path / "out" / "environment.properties").read_text().splitlines()
    assert "timers=tuned" in lines
    assert r"target\ netns=linux 6.18" in lines
    assert r"netns\ net.ipv4.tcp_x=1\\2 \u00e9\\n\ud834\udd1e" in lines
    categories = json.loads((tmp_path / "out" / "categories.json").read_text())
    assert [one["name"] for one in categories] == [name for name, _, _ in allure.CATEGORIES]
