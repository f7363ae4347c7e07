"""Sabotage: what may be done to a testcase's stack, as a user writes it."""

import pytest

from harness import sabotage
from harness.errors import UsageError
from harness.sabotage import spoiled_host, spoiled_link
from harness.targets.driver import Host
from harness.targets.liar import Liar, parse_lie
from harness.wire.saboteur import Saboteur, parse_sabotage
from tests.wire.hosts import pair


def test_segments_and_calls_are_spoiled_where_they_pass():
    """Each kind of sabotage has its place."""
    clock, near, _ = pair()
    host = Host(object(), {}, "")
    both = [sabotage.parse("drop any"), sabotage.parse("lie connect")]
    assert both == [parse_sabotage("drop any"), parse_lie("lie connect")]
    assert isinstance(spoiled_link(near, both), Saboteur)
    assert isinstance(spoiled_host(host, both, clock).channel, Liar)
    assert spoiled_link(near, both[1:]) is near
    assert spoiled_host(host, both[:1], clock) is host


def test_a_stack_may_be_made_not_to_hear_what_is_tuned():
    """Then it stays at its defaults; a knob that it does not have is not set at all."""
    knobs = {"syn_retries": 2.0, "window": 7.0}
    assert sabotage.heard(knobs, {"syn_retries": 6.0}, [sabotage.parse("drop any")]) is knobs
    deaf = [sabotage.parse("ignore knobs")]
    assert sabotage.heard(knobs, {"syn_retries": 6.0, "other": 1.0}, deaf) == {"syn_retries": 6.0}


def test_each_testcase_may_have_a_sabotage_of_its_own(tmp_path):
    """They stand in a table of a file."""
    path = tmp_path / "red.toml"
    path.write_text('[sabotage]\n"a.py::test_one" = "drop inbound 3rd any"\n[none]\n')
    assert sabotage.read(path) == {"a.py::test_one": parse_sabotage("drop inbound 3rd any")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no table"),
        ("[sabotage", "no table"),
        ("[other]", "no table"),
        ("sabotage = 3", "as text"),
        ('[sabotage]\n"a.py::test_one" = 3', "as text"),
        ('[sabotage]\n"a.py::test_one" = "lose S"', "lose S"),
    ],
)
def test_a_file_of_anything_else_is_refused(tmp_path, text, said):
    """The error is one line with the file, or with the sabotage."""
    path = tmp_path / "red.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=said) as raised:
        sabotage.read(path)
    assert "\n" not in str(raised.value)
