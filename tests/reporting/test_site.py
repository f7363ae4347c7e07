"""Site: what is built from runs, however they are, and what a hostile run cannot do."""

import base64
import gzip
import json
import re
import time
from pathlib import Path

import pytest

from harness.documents.library import Library
from harness.errors import UsageError
from harness.judgement.ledger import Ledger
from harness.judgement.verdict import Verdict
from harness.reporting.picture import drawing
from harness.reporting.picture.scene import Scene
from harness.reporting.run import read_run
from harness.reporting.site import build, columns, stories, templates
from harness.reporting.site.core import Report

from .examples import judgement
from .world import command, run_of

LIBRARY = Library.load()
EIGHT = ("netns", "docker", "gvisor", "lwip", "slirp", "uml-6.1", "uml-6.12", "uml-7.2")
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\x1b[31m\ud800"


def report(*folders: Path) -> Report:
    found = columns.of_runs([read_run(folder) for folder in folders])
    return Report("tcpspec", found, LIBRARY, Ledger())


def data(site: Path, name: str):
    text = (site / "data" / f"{name}.js").read_text(encoding="ascii")
    packed = re.fullmatch(rf'tcpspec\.arrived\("{name}","([A-Za-z0-9+/=]*)"\);\n', text)
    assert packed
    return json.loads(gzip.decompress(base64.b64decode(packed[1])))


def test_a_site_has_every_verdict_and_nothing_else_in_its_page(tmp_path):
    """The page asks for files beside it only."""
    run = run_of(tmp_path / "run", [judgement(), judgement(target="docker", verdict="deviates")])
    page = build.build(report(run), tmp_path / "site")
    core = data(page.parent, "core")
    assert [one["name"] for one in core["columns"]] == ["netns", "docker"]
    verdicts = core["verdicts"]
    assert [core["claims"][at][0] for at in verdicts["claim"]] == ["RFC9293:MUST-13"] * 2
    assert core["texts"][verdicts["observed"][0]] == "60.3 s"
    asked = re.findall(r'(?:src|href)="([^"]*)"', page.read_text())
    assert all((page.parent / name).is_file() for name in asked if name[:1] not in "#d")


def test_the_same_run_makes_the_same_site(tmp_path):
    """A site can be compared with another one, octet by octet."""
    run = run_of(tmp_path / "run", [judgement()])
    sites = [build.build(report(run), tmp_path / name).parent for name in ("a", "b")]
    names = [sorted(path.relative_to(site) for path in site.rglob("*")) for site in sites]
    assert names[0] == names[1]
    for name in names[0]:
        if (sites[0] / name).is_file():
            assert (sites[0] / name).read_bytes() == (sites[1] / name).read_bytes()


def test_a_site_is_built_anew_and_never_over_anything_else(tmp_path):
    """A folder with something else in it is left alone."""
    run = run_of(tmp_path / "run", [judgement()])
    build.build(report(run), tmp_path / "site")
    (tmp_path / "site" / "data" / "old.js").touch()
    build.build(report(run), tmp_path / "site")
    assert not (tmp_path / "site" / "data" / "old.js").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="something else in it"):
        build.build(report(run), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_later_runs_come_before_earlier_ones_of_the_same_target(tmp_path):
    """The latest run of a target is its column, what it was before is kept beside it."""
    old = run_of(tmp_path / "old", [judgement()])
    new = run_of(tmp_path / "new", [judgement(verdict="deviates"), judgement(target="docker")])
    text = (new / "verdicts.json").read_text().replace("2025-11-20", "2025-11-21")
    (new / "verdicts.json").write_text(text)
    found = columns.of_runs([read_run(new), read_run(old)])
    assert [(one.name, one.older, one.run.path.parent.name) for one in found] == [
        ("netns", False, "new"),
        ("docker", False, "new"),
        ("netns", True, "old"),
    ]


@pytest.mark.parametrize(
    "pcap",
    ["../secret.pcap", "/etc/passwd", "pcap/link.pcap", "pcap", "..", "", "a\0b", "x" * 5000],
)
def test_a_capture_outside_of_the_run_is_not_taken(tmp_path, pcap):
    """Neither a path that climbs out, nor a link, nor a folder, nor no name at all."""
    (tmp_path / "secret.pcap").write_text("secret")
    folder = tmp_path / "run"
    (folder / "pcap").mkdir(parents=True)
    (folder / "pcap" / "link.pcap").symlink_to(tmp_path / "secret.pcap")
    assert stories.inside(folder, pcap) is None
    run = run_of(folder, [judgement(pcap=pcap)])
    site = build.build(report(run), tmp_path / "site").parent
    assert not list(site.rglob("*.pcap"))
    assert not any(b"secret" in path.read_bytes() for path in site.rglob("*.pcap"))


@pytest.mark.parametrize("text", ["", "{", '{"schema": 9}'])
def test_a_damaged_timeline_is_told_and_spoils_nothing_else(tmp_path, text):
    """The testcase's page says so, in place of its diagram."""
    run = run_of(tmp_path / "run", [judgement(pcap="pcap/a.pcap"), judgement(target="docker")])
    (run / "timelines").mkdir()
    (run / "timelines" / "a.json").write_text(text)
    site = build.build(report(run), tmp_path / "site").parent
    (told,) = data(site, "stories-0").values()
    assert "damaged" in told["0 ipv4"]["trouble"]


def test_what_a_hostile_run_says_stays_text(tmp_path):
    """No name of a run, target, testcase or document gets into a page or a script's code."""
    hostile = judgement(
        testcase=f"a.py::{HOSTILE}", claim=HOSTILE, document=HOSTILE, measure=HOSTILE,
        target=HOSTILE, observed=HOSTILE, documented=HOSTILE, reason=HOSTILE, pcap=HOSTILE,
        values={HOSTILE: [HOSTILE]},
    )  # fmt: skip
    run = run_of(tmp_path / "run", [hostile, judgement()])
    site = build.build(report(run), tmp_path / "site").parent
    for path in site.glob("*"):
        if path.is_file():
            assert "onerror=alert" not in path.read_text()
    core = data(site, "core")
    assert any("\\x1b" in text and "onerror" in text for text in core["texts"])
    assert "\\u001b" not in json.dumps(core)


BROKEN = [
    ("", "empty"),
    ("{", "damaged"),
    ('{"schema": 2}', "schema 2"),
    ('{"schema": 1, "started": "", "wall_s": 1, "targets": [], "verdicts": [{}]}', "missing"),
    ('{"schema": 1, "started": "", "wall_s": 1, "targets": [], "verdicts": []}', "nothing was"),
]


@pytest.mark.parametrize(("text", "word"), BROKEN)
def test_a_run_that_cannot_be_read_is_one_line(tmp_path, text, word):
    """Truncated, empty, of another schema, without verdicts: it says so, and no page is made."""
    (tmp_path / "verdicts.json").write_text(text)
    done = command("report", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert word in done.stderr
    assert not (tmp_path / "site").exists()


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    """Neither pages nor pictures fail by a traceback."""
    monkeypatch.setattr(templates, "jinja2", None)
    monkeypatch.setattr(drawing, "drawsvg", None)
    run = run_of(tmp_path / "run", [judgement()])
    with pytest.raises(UsageError, match=r"tcpspec\[report\]"):
        build.build(report(run), tmp_path / "site")
    assert not drawing.available()
    with pytest.raises(UsageError, match=r"tcpspec\[report\]"):
        drawing.svg(Scene(1, 1, "", ""))


def test_without_allure_the_site_is_built_and_a_hint_is_given(tmp_path, monkeypatch):
    """What is not installed is no failure, unless it alone was asked for."""
    monkeypatch.setenv("TCPSPEC_ALLURE_FOLDER", str(tmp_path / "nowhere"))
    run_of(tmp_path / "run", [judgement()])
    (tmp_path / "run" / "allure-results").mkdir()
    done = command("report", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "run/site/index.html"
    assert "tcpspec report --install" in done.stdout
    only = command("report", "run", "--only", "allure", cwd=tmp_path)
    assert (only.returncode, len(only.stderr.splitlines())) == (2, 1)
    assert "tcpspec report --install" in only.stderr


def test_report_needs_a_run(tmp_path):
    """Without one, or with the same twice, it says what is missing."""
    assert "name a RUN" in command("report", cwd=tmp_path).stderr
    run_of(tmp_path / "run", [judgement()])
    assert "twice" in command("report", "run", "run/verdicts.json", cwd=tmp_path).stderr


def test_compare_makes_pages_whose_columns_are_the_sides(tmp_path):
    """They open with what differs."""
    run_of(tmp_path / "one", [judgement()])
    run_of(tmp_path / "two", [judgement(verdict=Verdict.DEVIATES)])
    done = command("compare", "one", "two", "--format", "html", cwd=tmp_path)
    assert done.stdout.splitlines() == ["comparison/index.html"]
    core = data(tmp_path / "comparison", "core")
    assert core["home"] == {"differ": "1"}
    assert [one["name"] for one in core["columns"]] == ["one", "two"]


def test_five_thousand_verdicts_are_soon_a_site(tmp_path):
    """And a small one: many say the same."""
    claims = [
        (claim.id, claim.document.id, judged.measure)
        for claim in LIBRARY.claims.values()
        for judged in claim.judged
    ]
    many = [
        judgement(
            claim=claim, document=document, measure=measure, target=target,
            testcase=f"testcases/a/test_{number % 60}.py::test_{number}[{target}-ipv4]",
            observed=f"{number / 7:.2f} s", values=number / 7,
        )
        for target in EIGHT
        for number, (claim, document, measure) in enumerate(claims[:640])
    ]  # fmt: skip
    run = run_of(tmp_path / "run", many)
    began = time.process_time()
    site = build.build(report(run), tmp_path / "site").parent
    assert len(many) > 5000
    assert time.process_time() - began < 20
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 5_000_000
