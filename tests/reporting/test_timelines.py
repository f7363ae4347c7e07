"""Timelines: what is written beside a capture is read back, and nothing else is ever read."""

import json
import subprocess
import sys

import pytest

from harness.errors import UsageError
from harness.peer.timeline import FROM, TOWARDS, Timeline
from harness.reporting import timelines
from harness.segment.segment import Flags, Segment

from .world import ROOT


def timeline() -> Timeline:
    made = Timeline()
    made.note(10.0, "connect(2017)")
    made.segment(10.5, FROM, Segment(source_port=5, destination_port=2017, flags=Flags.SYN))
    made.segment(11.0, TOWARDS, Segment(source_port=2017, destination_port=5, flags=Flags.RST))
    made.segment(12.0, FROM, Segment(source_port=6, destination_port=2017, flags=Flags.SYN))
    return made


def test_a_story_is_read_as_it_was_written(tmp_path):
    """Times begin with the first event, and both directions of a connection have one number."""
    told = timelines.story(timeline(), testcase="a::b", behaviour="It does.", pair=False)
    timelines.write(tmp_path, "pcap/a-1.pcap", told)
    read = timelines.read(tmp_path, "pcap/a-1.pcap")
    assert read == told
    assert [one.at for one in read.events] == [0.0, 0.5, 1.0, 2.0]
    assert [one.connection for one in read.events] == [None, 0, 0, 1]


def test_there_need_not_be_a_timeline(tmp_path):
    """A run of an earlier version has none."""
    assert timelines.read(tmp_path, "pcap/a-1.pcap") is None


@pytest.mark.parametrize("pcap", ["../../secret.pcap", "/secret.pcap", "..", "a\0b", "x" * 5000])
def test_a_name_that_climbs_out_finds_nothing(tmp_path, pcap):
    """Only the name of a capture counts; what is no name is an error in one line."""
    (tmp_path / "reports").mkdir()
    (tmp_path / "secret.json").write_text("{}")
    said = ""
    try:
        read = timelines.read(tmp_path / "reports", pcap)
    except UsageError as error:
        read, said = None, str(error)
    assert read is None
    assert "\n" not in said


GOOD = {"schema": 1, "testcase": "a", "behaviour": "b", "pair": False, "events": []}
BAD = [
    "",
    "{",
    "[]",
    "null",
    json.dumps(GOOD | {"schema": 2}),
    json.dumps(GOOD | {"events": [[1, "?", "x", None]]}),
    json.dumps(GOOD | {"events": [["soon", "<", "x", None]]}),
    json.dumps(GOOD | {"events": [[1, "<"]]}),
    json.dumps(GOOD | {"events": [[float("nan"), "<", "x", None]]}),
    "[" * 100_000,
]


@pytest.mark.parametrize("text", BAD)
def test_what_is_damaged_is_named(tmp_path, text):
    """The error says which file cannot be used."""
    path = tmp_path / timelines.place("pcap/a.pcap")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UsageError, match=r"timelines/a\.json: damaged"):
        timelines.read(tmp_path, "pcap/a.pcap")


def test_a_run_keeps_a_timeline_beside_each_capture(tmp_path):
    """And Allure has it as a picture."""
    words = ["-m", "pytest", "testcases/opening/test_closed_port.py", "-q", "-k", "ipv4"]
    words += ["--target", "model-rfc9293", "--reports", str(tmp_path)]
    words += ["--alluredir", str(tmp_path / "allure-results"), "-p", "no:cacheprovider"]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=120)
    captures = sorted(path.stem for path in (tmp_path / "pcap").iterdir())
    assert captures == sorted(path.stem for path in (tmp_path / timelines.FOLDER).iterdir())
    read = timelines.read(tmp_path, f"pcap/{captures[0]}.pcap")
    assert read.behaviour.endswith(".")
    assert any(one.direction == FROM for one in read.events)
    drawn = list((tmp_path / "allure-results").glob("*.svg"))
    assert len(drawn) == len(captures)
    assert all(b"<svg" in path.read_bytes() for path in drawn)
