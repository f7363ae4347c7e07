"""Contradictions: documents that disagree about one stack, and whom a target bears out."""

import json

import pytest

from harness import cli
from harness.documents.library import Library
from harness.reporting import contradictions

from . import world
from .examples import both_families, judgement

HEAD = '[document]\nid = "{}"\ntitle = "{}"\nurl = "https://example.org"\nstacks = {}\n'
CLAIM = """
[[claim]]
id = "{}"
lines = "1"
strength = "{}"
topic = "TIME-WAIT"
says = "So it is."
judged = [{{ measure = "wait", expect = {} }}]
"""


def library(folder, *claims):
    """Make a document a claim: name, stacks, strength, expectation."""
    world.write(folder / "measures" / "all.toml", world.MEASURES)
    for name, stacks, strength, expected in claims:
        text = HEAD.format(name, name, stacks) + CLAIM.format(name.upper(), strength, expected)
        world.write(folder / "texts" / f"{name}.toml", text)
    return Library.load(packaged=folder)


def said(claim, verdict, **fields):
    return judgement(claim=claim, document=claim.lower(), verdict=verdict, measure="wait", **fields)


ANY = '"any"'
LINUX = '["linux"]'


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ((ANY, "MUST", "60"), (ANY, "MUST", "240"), True),
        ((ANY, "MUST", "60"), (ANY, "MUST", "{ at_least = 60 }"), False),
        ((ANY, "MUST", "60"), (LINUX, "says", "{ at_least = 100 }"), True),
        ((ANY, "MUST", "60"), (ANY, "SHOULD", "240"), False),
        (('["bsd"]', "says", "60"), (LINUX, "says", "240"), False),
    ],
)
def test_claims_contradict_when_nothing_fits_both_and_both_must_hold(
    tmp_path, one, other, contradict
):
    """What is only recommended, or is about another stack, contradicts nothing."""
    found = contradictions.find(
        library(tmp_path, ("a", *one), ("b", *other)),
        [said("A", "conforms"), said("B", "deviates")],
    )
    assert bool(found) is contradict


def test_a_contradiction_is_one_though_a_target_bears_out_neither(tmp_path):
    """Two documents that are both wrong about a target disagree all the same."""
    (found,) = contradictions.find(
        library(tmp_path, ("a", ANY, "MUST", "60"), ("b", ANY, "MUST", "240")),
        [said("A", "deviates"), said("B", "deviates")],
    )
    assert found.pairs == (("A", "B"),)
    assert found.observations[0].borne_out == ()
    assert found.observations[0].refuted == ("A", "B")


def test_what_was_not_judged_contradicts_nothing(tmp_path):
    """A claim that a target cannot be judged by takes no part."""
    found = contradictions.find(
        library(tmp_path, ("a", ANY, "MUST", "60"), ("b", ANY, "MUST", "240")),
        [said("A", "conforms"), said("B", "unsupported", reason="tuned")],
    )
    assert found == []


def test_what_is_computed_contradicts_where_an_observation_tells_it_apart(tmp_path):
    """A value that follows from knobs is compared by what was observed."""
    world_ = library(
        tmp_path, ("a", LINUX, "says", '{ computed = "linux_fin_wait_2" }'), ("b", ANY, "MUST", "9")
    )
    both = [said("A", "conforms"), said("B", "conforms")]
    assert contradictions.find(world_, both) == []
    assert contradictions.find(world_, [both[0], said("B", "deviates")])


def test_each_target_has_its_observation_and_families_are_one(tmp_path):
    """What families show alike is told once, what targets show is told apart."""
    (found,) = contradictions.find(
        library(tmp_path, ("a", ANY, "MUST", "60"), ("b", ANY, "MUST", "240"), ("c", ANY, "MUST",
                "{ at_least = 1 }")),
        [
            *both_families(claim="A", document="a", measure="wait"),
            *both_families(claim="B", document="b", measure="wait", verdict="deviates"),
            *both_families(claim="C", document="c", measure="wait"),
            said("A", "deviates", target="lwip", observed="240 s", known=True),
            said("B", "conforms", target="lwip", observed="240 s"),
        ],
    )  # fmt: skip
    assert found.documents == ("a", "b")
    assert [one.where for one in found.observations] == ["netns (ipv4 and ipv6)", "lwip (ipv4)"]
    assert [one.borne_out for one in found.observations] == [("A",), ("B",)]
    assert contradictions.as_text([found]) == [
        "1 measure of which documents contradict each other",
        "",
        "wait: How long the wait lasts.",
        "  observed    60.3 s on netns (ipv4 and ipv6)",
        "    A  conforms  documented at least 240 s",
        "    B  deviates  documented at least 240 s",
        "  observed    240 s on lwip (ipv4)",
        "    A  deviates (known)  documented at least 240 s",
        "    B  conforms          documented at least 240 s",
    ]


def test_the_command_speaks_json(tmp_path, monkeypatch, capsys):
    """Programs get an object per measure: its claims, its pairs, and every observation."""
    monkeypatch.chdir(tmp_path)
    known = {"document": "linux", "measure": "time_wait_rst"}
    world.run_of(
        tmp_path / "reports",
        [
            judgement(claim="linux:tcp_rfc1337", verdict="deviates", **known),
            judgement(claim="RFC9293:U-6", **known | {"document": "rfc9293"}),
        ],
    )
    assert cli.main(["contradictions", "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["measure"] == "time_wait_rst"
    assert found["documents"] == ["linux", "rfc9293"]
    (seen,) = found["observations"]
    assert (seen["target"], seen["borne_out"]) == ("netns", ["RFC9293:U-6"])
    assert cli.main(["contradictions"]) == 0
    assert "time_wait_rst: " in capsys.readouterr().out


def test_a_run_that_is_not_there_is_told_in_one_line(tmp_path, capsys):
    """Without a run there is nothing to compare."""
    assert cli.main(["contradictions", "--reports", str(tmp_path)]) == cli.USAGE
    assert "no such run" in capsys.readouterr().err
