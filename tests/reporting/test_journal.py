"""The journal: nothing is lost, nothing is half written, nothing is mixed up."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.reporting.journal import JOURNAL_NAME, Journal
from harness.reporting.run import RunTarget, read_run

from .examples import judgement

STARTED = dt.datetime(2025, 11, 20, 10, 46, tzinfo=dt.UTC)
NETNS = RunTarget("netns", "linux", "6.18.44", {"net.ipv4.tcp_syn_retries": "6"})


def finish(journal: Journal) -> Path:
    return journal.finish([NETNS], STARTED, 12.34567)


def run_in_child(folder: Path, body: str) -> subprocess.Popen[str]:
    code = f"""
        import sys, time
        from pathlib import Path
        from harness.reporting.journal import Journal
        from tests.reporting.examples import judgement
        journal = Journal(Path({str(folder)!r}))
    """
    code = textwrap.dedent(code) + textwrap.dedent(body)
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True
    )


def killed_run(folder: Path, verdicts: int) -> None:
    body = f"""
        for number in range({verdicts}):
            journal.append(judgement(claim=f"C-{{number}}").as_json())
        print("written", flush=True)
        time.sleep(60)
    """
    with run_in_child(folder, body) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        child.send_signal(signal.SIGKILL)


def test_a_finished_run_is_read_back_as_it_was_written(tmp_path):
    """What finish() writes is what read_run() returns, by folder and by file."""
    journal = Journal(tmp_path)
    journal.append(judgement().as_json())
    path = finish(journal)

    run = read_run(tmp_path)
    assert path == tmp_path / "verdicts.json" == run.path
    assert run == read_run(path)
    assert run.targets == (NETNS,)
    assert run.verdicts == (judgement(),)
    assert (run.started, run.wall_s) == ("2025-11-20T10:46:00+00:00", 12.346)


def test_only_verdicts_json_is_left_in_the_folder(tmp_path):
    """The journal and the temporary file are gone once the run has finished."""
    finish(Journal(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["verdicts.json"]


def test_the_file_has_the_members_of_the_schema_and_a_verdict_a_line(tmp_path):
    """The file is one object with the documented members, and a line tool finds each verdict."""
    journal = Journal(tmp_path)
    journal.append(judgement(claim="A").as_json())
    journal.append(judgement(claim="B").as_json())
    text = finish(journal).read_text()

    assert list(json.loads(text)) == ["schema", "started", "wall_s", "targets", "verdicts"]
    assert sum('"claim"' in line for line in text.splitlines()) == 2
    assert list(json.loads(text)["verdicts"][0]) == list(judgement().as_json())


def test_the_last_attempt_replaces_the_first(tmp_path):
    """Of a testcase tried twice only the second attempt's verdicts are in the file."""
    journal = Journal(tmp_path)
    for claim in ("A", "B"):
        journal.append(judgement(claim=claim, verdict="inconclusive", reason="noise").as_json())
    journal.append(judgement(claim="A", family="ipv6").as_json())
    journal.append(judgement(claim="A", attempt=2).as_json())
    finish(journal)

    found = [(one.claim, one.family, one.attempt) for one in read_run(tmp_path).verdicts]
    assert found == [("A", "ipv4", 2), ("A", "ipv6", 1)]


def test_a_target_that_several_workers_report_is_listed_once(tmp_path):
    """Every worker of a parallel run tells of the same target; the file names it once."""
    Journal(tmp_path).finish([NETNS, NETNS], STARTED, 1.0)
    assert read_run(tmp_path).targets == (NETNS,)


def test_what_json_cannot_hold_becomes_text(tmp_path):
    """An infinite duration or an object among the values does not lose the verdict."""
    journal = Journal(tmp_path)
    values = {"after": float("inf"), "path": Path("a"), 1: (float("nan"), 2.5, True)}
    journal.append(judgement(values=values, observed="\ud800 \x1b[31m").as_json())
    finish(journal)

    (verdict,) = read_run(tmp_path).verdicts
    assert verdict.values == {"after": "inf", "path": "a", "1": ["nan", 2.5, True]}
    assert verdict.observed == "\ud800 \x1b[31m"


def test_a_killed_run_leaves_its_verdicts_and_the_earlier_file(tmp_path):
    """SIGKILL loses no verdict, and the next run neither overwrites nor merges them."""
    finish(Journal(tmp_path))
    before = (tmp_path / "verdicts.json").read_bytes()
    killed_run(tmp_path, verdicts=3)
    assert (tmp_path / "verdicts.json").read_bytes() == before
    assert len((tmp_path / JOURNAL_NAME).read_text().splitlines()) == 3

    journal = Journal(tmp_path)
    assert journal.interrupted is not None
    assert journal.interrupted.name.startswith("interrupted-")
    finish(journal)
    assert read_run(tmp_path).verdicts == ()
    assert [one.claim for one in read_run(journal.interrupted).verdicts] == ["C-0", "C-1", "C-2"]


def test_two_killed_runs_are_kept_apart(tmp_path):
    """Journals put aside in the same second do not overwrite each other."""
    for _ in range(2):
        (tmp_path / JOURNAL_NAME).write_text("{}\n")
        os.utime(tmp_path / JOURNAL_NAME, (0, 0))
        Journal(tmp_path).close()
    names = sorted(path.name for path in tmp_path.glob("interrupted-*"))
    assert names == ["interrupted-19700101T000000Z-2.jsonl", "interrupted-19700101T000000Z.jsonl"]


def test_a_half_written_last_line_of_a_killed_run_is_left_out(tmp_path):
    """The line that was being written when the run died is no verdict."""
    whole = json.dumps(judgement().as_json())
    (tmp_path / "killed.jsonl").write_text(f"{whole}\n{whole[:40]}")
    run = read_run(tmp_path / "killed.jsonl")
    assert run.verdicts == (judgement(),)
    assert [target.name for target in run.targets] == ["netns"]


def test_two_runs_cannot_write_to_one_folder(tmp_path):
    """A second run is refused in one line while the first is alive."""
    with run_in_child(tmp_path, "print('open', flush=True); time.sleep(60)") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with pytest.raises(UsageError, match="another run is writing"):
            Journal(tmp_path)
        child.kill()
    Journal(tmp_path).close()


def test_a_failing_write_leaves_the_old_file_and_the_journal(tmp_path, monkeypatch):
    """When the disk is full at the end, nothing that was there before is damaged."""
    finish(Journal(tmp_path))
    before = (tmp_path / "verdicts.json").read_bytes()
    journal = Journal(tmp_path)
    journal.append(judgement().as_json())

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HarnessError, match="No space left on device"):
        finish(journal)
    assert (tmp_path / "verdicts.json").read_bytes() == before
    assert (tmp_path / JOURNAL_NAME).stat().st_size > 0
    assert not list(tmp_path.glob(".*"))
    journal.close()


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none/reports"])
def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path, place):
    """A reports folder that is a file, below a file, or nowhere is told in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--reports") as raised:
        Journal(tmp_path / place)
    assert "\n" not in str(raised.value)


def test_a_folder_in_the_place_of_the_file_is_told_before_the_run(tmp_path):
    """That verdicts.json is a folder shows before the first testcase, not after the last."""
    (tmp_path / "verdicts.json").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        Journal(tmp_path)
