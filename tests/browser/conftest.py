"""Browser: a headless Chromium, a run to look at, and what every page must keep to."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.reporting.allure3 import program
from tests.reporting.world import ROOT

TESTCASES = (
    "testcases/opening/test_syn_sent.py",
    "testcases/laboratory/test_abnormal.py",
    "testcases/reset/test_matrix.py",
)
TARGETS = ("model-rfc9293", "model-linux")


def chromium() -> str | None:
    """Where Chromium is: the environment says so, or it is on the path."""
    names = (os.environ.get("TCPSPEC_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def axe() -> Path | None:
    """Where axe-core is, if it was installed."""
    found = program.folder() / "node_modules" / "axe-core" / "axe.min.js"
    return found if found.is_file() else None


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Return a Chromium without a window."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: pip install 'tcpspec[browser]'"
    )
    executable = chromium()
    if executable is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as started:
        # A container that runs as root has no sandbox of its own to offer.
        launched = started.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield launched
        launched.close()


class Visit:
    """A page, and all that it asked for and complained of."""

    def __init__(self, page, page_folder: Path) -> None:
        self.page = page
        self.folder = page_folder
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))

    def go(self, address: str = "") -> "Visit":
        """Open the site at an address, anew."""
        self.page.goto("about:blank")
        self.page.goto((self.folder / "index.html").as_uri() + address)
        self.page.wait_for_selector("html[data-ready]")
        return self

    def foreign(self) -> list[str]:
        """What was asked for that does not lie beside the page."""
        own = self.folder.as_uri() + "/"
        return [url for url in self.asked if not url.startswith((own, "data:", "about:", "blob:"))]


@pytest.fixture
def visit(browser) -> Iterator:
    """Return a way to visit a site; every visit must be without complaint and foreign request."""
    visits: list[Visit] = []

    def start(folder: Path, **options) -> Visit:
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        context.set_default_timeout(20_000)
        made = Visit(context.new_page(), folder)
        visits.append(made)
        return made

    yield start
    for one in visits:
        one.page.context.close()
        assert one.complaints == []
        assert one.foreign() == []


def run_testcases(folder: Path) -> Path:
    """Run some testcases on models, results for Allure included; return the run's folder."""
    words = [sys.executable, "-m", "pytest", *TESTCASES, "-q", "-p", "no:cacheprovider"]
    for name in TARGETS:
        words += ["--target", name]
    words += ["--timers", "documented", "-k", "ipv4 and (silence or abnormal or listen or closed)"]
    words += ["--reports", str(folder), "--alluredir", str(folder / "allure-results")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (folder / "verdicts.json").exists(), done.stdout + done.stderr
    return folder


def later(run: Path, folder: Path) -> Path:
    """Return a later run, in which notes on Windows 2003 bind that did not before."""
    shutil.copytree(run, folder)
    path = folder / "verdicts.json"
    table = json.loads(path.read_text())
    table["started"] = "2099-01-01T00:00:00+00:00"
    for one in table["verdicts"]:
        one["binding"] |= one["document"] == "windows-2003"
    path.write_text(json.dumps(table))
    return folder


def build(*runs: Path, output: Path, only: str = "site") -> Path:
    """Run `tcpspec report`; return the folder of what was built."""
    words = [sys.executable, "-m", "harness.cli", "report", *map(str, runs)]
    done = subprocess.run(
        [*words, "--only", only, "--output", str(output)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()).parent


@pytest.fixture(scope="session")
def runs(browser, tmp_path_factory) -> list[Path]:
    """Return two runs of the same testcases, the second binding another document."""
    assert browser, "there is nothing to look with, so that there need be nothing to look at"
    folder = tmp_path_factory.mktemp("runs")
    first = run_testcases(folder / "first")
    return [first, later(first, folder / "second")]


@pytest.fixture(scope="session")
def site(runs, tmp_path_factory) -> Path:
    """Return the site of both runs."""
    return build(*runs, output=tmp_path_factory.mktemp("site"))
