"""Reading runs: whatever is wrong with a file is said in one line that names it."""

import json
from typing import Any

import pytest

from harness.errors import UsageError
from harness.reporting.run import read_run

from .examples import judgement

WHOLE: dict[str, Any] = {
    "schema": 1,
    "started": "2025-11-20T10:46:00+00:00",
    "wall_s": 1,
    "targets": [{"name": "netns", "stack": "linux", "version": "6.18", "sysctls": {"a": "1"}}],
    "verdicts": [judgement().as_json()],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a whole run with the member at `path` replaced, or removed for Ellipsis."""
    run = json.loads(json.dumps(WHOLE))
    *way, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    place = run
    for word in way:
        place = place[word]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return run


def refusal(path) -> str:
    with pytest.raises(UsageError) as raised:
        read_run(path)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text


def test_a_whole_run_is_read(tmp_path):
    """The file that the other tests damage is sound."""
    (tmp_path / "run.json").write_text(json.dumps(WHOLE))
    run = read_run(tmp_path / "run.json")
    assert run.verdicts == (judgement(),)
    assert run.wall_s == 1.0


@pytest.mark.parametrize(
    ("path", "value", "wrong"),
    [
        ("schema", 2, "schema 2, where this version of tcpspec reads schema 1"),
        ("schema", True, "schema True"),
        ("schema", ..., "no schema"),
        ("started", 3, "started: a whole number, where text should stand"),
        ("wall_s", "3", "wall_s: text, where a whole number or a number should stand"),
        ("wall_s", True, "wall_s: true or false"),
        ("targets", {}, "targets: an object, where a list should stand"),
        ("targets.0", "netns", "targets[0]: text, where an object should stand"),
        ("targets.0.version", ..., "targets[0].version: missing"),
        ("targets.0.sysctls.a", 1, "targets[0].sysctls.a: a whole number"),
        ("verdicts", None, "verdicts: null, where a list should stand"),
        ("verdicts.0", [], "verdicts[0]: a list, where an object should stand"),
        ("verdicts.0.claim", ..., "verdicts[0].claim: missing"),
        ("verdicts.0.values", ..., "verdicts[0].values: missing"),
        ("verdicts.0.known", 1, "verdicts[0].known: a whole number, where true or false"),
        ("verdicts.0.attempt", True, "verdicts[0].attempt: true or false, where a whole number"),
        ("verdicts.0.noise_s", "0", "verdicts[0].noise_s: text"),
        ("verdicts.0.verdict", "passed", "verdicts[0].verdict: 'passed' is none of conforms"),
        ("verdicts.0.family", "ipx", "verdicts[0].family: 'ipx' is neither"),
    ],
)
def test_a_wrong_member_is_named(tmp_path, path, value, wrong):
    """A wrong type or a missing member is told with its place and what should stand there."""
    file = tmp_path / "run.json"
    file.write_text(json.dumps(changed(path, value)))
    assert f": {wrong}" in refusal(file)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "empty, not a run"),
        (b" \n", "empty, not a run"),
        (json.dumps(WHOLE).encode()[:-30], "damaged, or not a run"),
        (b"\x00\xff\xfe", "damaged, or not a run"),
        (b"[]", "the file: a list, where an object should stand"),
        (b"null", "the file: null"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "damaged, or not a run"),
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path, content, wrong):
    """Truncated, empty, binary and foreign files are refused, never raised about."""
    file = tmp_path / "run.json"
    file.write_bytes(content)
    assert wrong in refusal(file)


def test_a_missing_run_is_refused(tmp_path):
    """A run that does not exist is told with the command that makes one."""
    assert "pytest testcases" in refusal(tmp_path / "none")


def test_a_folder_without_a_run_names_the_file_that_is_missing(tmp_path):
    """For a folder the refusal names the file that was looked for."""
    with pytest.raises(UsageError, match=r"verdicts\.json: no such run"):
        read_run(tmp_path)


def test_a_wrong_line_of_a_journal_is_named(tmp_path):
    """Only the last line of a killed run may be cut off."""
    file = tmp_path / "killed.jsonl"
    file.write_text(json.dumps(judgement().as_json()) + "\n{}\n")
    assert "line 2.testcase: missing" in refusal(file)
