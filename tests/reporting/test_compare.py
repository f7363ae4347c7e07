"""Compare: what differs is shown on both sides, and noise is no difference."""

import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.reporting.compare import as_json, compare, sides_of
from harness.reporting.comparison import as_markdown, as_text

from . import world
from .examples import FUNCTION, both_families, judgement


def compared(tmp_path, first, second, **options):
    left, right = (world.run_of(tmp_path / name, js) for name, js in (("a", first), ("b", second)))
    sides = [str(Path(run).relative_to(tmp_path)) for run in (left, right)]
    return compare(sides_of(sides), **options)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Name runs as users do, from where they are: a long path would be cut in the text."""
    monkeypatch.chdir(tmp_path)


def text(tmp_path, comparison) -> str:
    return "\n".join(as_text(comparison)).replace(f"{tmp_path}/", "")


def test_equal_runs_have_no_difference(tmp_path):
    """Two runs of other targets with the same verdicts are equal; noise does not count."""
    other = both_families(target="docker", observed="60.9 s", reason=None)
    found = compared(tmp_path, both_families(), other)
    assert found.equal
    assert text(tmp_path, found) == "no difference between a and b: 2 verdicts the same"


def test_what_differs_is_shown_with_both_observations(tmp_path):
    """A difference is one block for both families, a line a side; what is missing follows."""
    first = [*both_families(verdict="deviates", known=True), *both_families(claim="Z")]
    second = both_families(observed="240.2 s")
    found = compared(tmp_path, first, second)
    assert text(tmp_path, found).splitlines() == [
        "2 of 4 verdicts differ, 2 not judged on every side: a and b",
        "",
        f"RFC9293:MUST-13  time_wait_duration (ipv4 and ipv6)  {FUNCTION.rpartition('/')[2]}",
        "  a  deviates (known)  60.3 s",
        "  b  conforms          240.2 s",
        "",
        "not judged on b (2)",
        "  Z  time_wait_duration (ipv4 and ipv6)  test_time_wait.py::test_time_wait_lasts",
    ]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("7200 s is beyond --patience 300: long", "75 s is beyond --patience 60: other", True),
        ("no firewall", "lacks TCP_INFO", False),
        ("no firewall", None, False),
    ],
)
def test_reasons_are_compared_by_their_kind(tmp_path, one, other, equal):
    """The same reason with other numbers is the same; another reason is a difference."""
    pair = ([judgement(verdict="unsupported", reason=reason)] for reason in (one, other))
    assert compared(tmp_path, *pair).equal is equal


def test_a_reason_that_names_its_target_is_the_same_on_another(tmp_path):
    """What one stack lacks and another too is no difference between them."""
    pair = (
        [judgement(target=name, verdict="unsupported", reason=f"{name} has no knob rto_max")]
        for name in ("netns", "docker")
    )
    assert compared(tmp_path, *pair).equal


def test_observations_count_when_asked_for(tmp_path):
    """With --observations a different answer differs although the verdict does not."""
    first, second = [judgement(observed="R. ack 1")], [judgement(observed="R. ack 2")]
    assert compared(tmp_path, first, second).equal
    assert not compared(tmp_path, first, second, observations=True).equal
    near = [judgement(observed="60.9 s")]
    assert compared(tmp_path, near, [judgement()], observations=True).equal


def test_targets_of_one_run_are_compared(tmp_path):
    """One run with two targets needs no more words; its targets may also be named."""
    run = str(world.run_of(tmp_path, [judgement(), judgement(target="uml-6.12")]))
    named = [f"{run}:netns", f"{run}:uml-6.12"]
    for sides in (sides_of([run]), sides_of([run], ["netns", "uml-6.12"]), sides_of(named)):
        assert [side.name for side in sides] == named
        assert compare(sides).equal


def test_runs_with_several_targets_are_compared_target_by_target(tmp_path):
    """Targets of the same name belong together, and a difference says which it is."""
    first = [judgement(), judgement(target="docker")]
    second = [judgement(), judgement(target="docker", verdict="deviates")]
    found = compared(tmp_path, first, second)
    assert (found.same, [row.subject.target for row in found.differs]) == (1, ["docker"])
    assert "(docker, ipv4)" in text(tmp_path, found)


def test_a_path_with_a_colon_is_a_path(tmp_path):
    """RUN:TARGET is only split where no such path exists."""
    run = world.run_of(tmp_path / "a:netns", [judgement()])
    assert sides_of([str(run), f"{run}:netns"][::-1])[0].name == f"{run}:netns"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["one"], "nothing to compare with"),
        (["one", "one"], "the same side is named twice"),
        (["one:netns", "one:netns"], "the same side is named twice"),
        (["one:docker", "two"], "one has no target 'docker'; it has netns"),
        (["one:netns", "two"], "two has several targets; say which, as in two:netns"),
        (["none", "one"], "none: no such run"),
        (["none:netns", "one"], "none: no such run"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path, monkeypatch, words, wrong):
    """One line says what is missing, and how to name it."""
    world.run_of(tmp_path / "one", [judgement()])
    world.run_of(tmp_path / "two", [judgement(), judgement(target="docker")])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        sides_of(words)
    assert wrong in str(raised.value)
    assert "\n" not in str(raised.value)


def test_json_shows_both_sides(tmp_path):
    """Programs get every difference with verdict, reason and observation of each side."""
    found = as_json(compared(tmp_path, [judgement()], [judgement(verdict="deviates")]))
    assert json.loads(json.dumps(found)) == found
    (row,) = found["differs"]
    assert [cell["verdict"] for (cell,) in row["sides"].values()] == ["conforms", "deviates"]
    assert (found["same"], found["only_in_some"]) == (0, [])


def test_markdown_is_one_table_and_escapes_markup(tmp_path):
    """The table can be pasted into a report, whatever was observed."""
    found = compared(tmp_path, [judgement()], [judgement(verdict="deviates", observed="<a>|*b*")])
    lines = [line.replace(f"{tmp_path}/", "") for line in as_markdown(found)]
    assert lines[4] == (
        r"| RFC9293:MUST-13 | time\_wait\_duration | test\_time\_wait\_lasts (ipv4) "
        r"| conforms: 60.3 s | deviates: \<a\>\|\*b\* |"
    )


def test_hostile_strings_are_escaped(tmp_path):
    """No control character of a run reaches the terminal or the table."""
    hostile = "\x1b[31m\n\u202e"
    fields = {"claim": hostile, "measure": hostile, "observed": hostile, "testcase": hostile}
    found = compared(
        tmp_path, [judgement(**fields)], [judgement(**fields, verdict="deviates"), judgement()]
    )
    assert all(line.isprintable() for line in as_text(found) + as_markdown(found))
