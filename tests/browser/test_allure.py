"""Allure: its report opens in the browser, shows the environments, and two runs give a trend."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.reporting.allure3 import program
from tests.browser.conftest import TARGETS, build


@pytest.fixture(scope="module")
def allure(runs, tmp_path_factory) -> Path:
    """Return Allure's report of two runs."""
    if program.script() is None:
        pytest.skip(f"Allure is not installed: {program.HINT}")
    return build(*runs, output=tmp_path_factory.mktemp("allure"), only="allure")


@pytest.fixture
def address(allure) -> Iterator[str]:
    """Serve the report: Allure's pages do not open from a disk."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_words) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(allure))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_every_target_is_an_environment(address, browser):
    """The page shows both, and a testcase has its diagram and its capture."""
    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.goto(address + "awesome/index.html")
    page.wait_for_load_state("networkidle")
    for name in TARGETS:
        page.get_by_text(name).first.wait_for()
    page.close()


def test_two_runs_make_a_trend(allure):
    """Results know what they were in the run before, and the categories are ours."""
    results = list((allure / "awesome" / "data" / "test-results").glob("*.json"))
    assert results
    found = [json.loads(path.read_text()) for path in results]
    assert any(one.get("history") for one in found)
    assert {one["environment"] for one in found} >= set(TARGETS)
    assert any(one["categories"] for one in found)
    for one in found:
        names = [each["link"]["name"] for each in one["attachments"]]
        assert "sequence" in names or not any(name.endswith(".pcap") for name in names)
