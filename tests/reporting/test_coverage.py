"""Coverage: every claim is judged or says why not, and none is lost unseen."""

import dataclasses

import pytest

from harness.documents.library import Library
from harness.errors import UsageError
from harness.reporting import coverage, snapshot
from harness.reporting.marked import scan

from . import world
from .examples import judgement

WAIT = "testcases/test_a.py::test_wait_lasts"


def covered(folder, testcases=world.TESTCASES, judgements=()):
    world.write(folder / "testcases" / "test_a.py", testcases)
    library = world.library(folder)
    return coverage.cover(library, scan(folder / "testcases"), folder, judgements)


def test_every_claim_has_a_status_and_a_reason(tmp_path):
    """Judged in part, waiting, unobservable and open claims each say what is missing."""
    found = [(one.claim.id, str(one.status), one.why) for one in covered(tmp_path)]
    assert found == [
        ("DOC:1", "partly judged", "no testcase observes answer"),
        ("DOC:2", "no testcase", "no testcase observes answer"),
        ("DOC:3", "unobservable", "Nothing on the wire shows it."),
        ("DOC:4", "open", "data"),
    ]


def test_a_claim_that_is_open_in_part_is_partly_judged(tmp_path):
    """What is judged and leaves something open is not wholly judged."""
    (claim,) = (one.claim for one in covered(tmp_path) if one.claim.id == "DOC:1")
    judged = {"wait": ("a",), "answer": ("b",)}
    assert coverage.Covered(claim, judged, {}).status == "judged"
    more = dataclasses.replace(claim, open="data")
    assert coverage.Covered(more, judged, {}).status == "partly judged"


def test_the_testcases_of_a_claim_are_named_by_measure(tmp_path):
    """A claim knows which testcase judges it by which measure."""
    first = covered(tmp_path)[0]
    assert first.testcases == {"wait": (WAIT,), "answer": ()}


def test_the_last_verdict_is_the_one_that_says_most_against_the_claim(tmp_path):
    """Over several measures and families the worst verdict of a target is told."""
    judged = [
        judgement(claim="DOC:1"),
        judgement(claim="DOC:1", family="ipv6", verdict="deviates", known=True),
        judgement(claim="DOC:1", target="docker", verdict="unsupported"),
        judgement(claim="DOC:1", target="docker"),
        judgement(claim="DOC:2", verdict="deviates", binding=False),
    ]
    first, second, *_ = covered(tmp_path, judgements=judged)
    assert first.verdicts == {"netns": "deviates (known)", "docker": "conforms"}
    assert second.verdicts == {"netns": "deviates (informative)"}


def test_the_listing_shows_verdicts_testcases_and_reasons(tmp_path):
    """The text has a table of counts, then every claim under its document."""
    found = covered(tmp_path, judgements=[judgement(claim="DOC:1")])
    assert coverage.table(found) == [
        "document  claims  judged  partly judged  no testcase  open  unobservable",
        "doc            4       0              1            1     1             1",
        "all            4       0              1            1     1             1",
    ]
    assert coverage.listing(found) == [
        "",
        "A document (doc)",
        "  DOC:1  netns: conforms; partly judged: no testcase observes answer",
        f"      {WAIT} (wait)",
        "  DOC:2  no testcase: no testcase observes answer",
        "  DOC:3  unobservable: Nothing on the wire shows it.",
        "  DOC:4  open: data",
    ]


def test_json_has_an_object_per_claim(tmp_path):
    """Programs get status, reason, testcases and verdicts of every claim."""
    first = coverage.as_json(covered(tmp_path))[0]
    assert first == {
        "claim": "DOC:1",
        "document": "doc",
        "status": "partly judged",
        "why": "no testcase observes answer",
        "testcases": {"wait": [WAIT], "answer": []},
        "verdicts": {},
    }


def test_a_snapshot_is_stable_and_read_back(tmp_path):
    """The same coverage always writes the same text, and reads back as the same rows."""
    found = covered(tmp_path)
    snapshot.write(tmp_path / "one", found)
    snapshot.write(tmp_path / "two", reversed(found))
    text = (tmp_path / "one").read_text()
    assert text == (tmp_path / "two").read_text()
    assert text.splitlines()[1:] == [
        f"DOC:1 wait {WAIT}",
        "DOC:2 no-testcase",
        "DOC:3 unobservable",
        "DOC:4 open",
    ]
    assert snapshot.read(tmp_path / "one") == snapshot.rows(found)


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        ([("A", "m", "t")], [("A", "m", "t")], []),
        ([("A", "m", "t")], [("A", "m", "t"), ("A", "m", "u"), ("B", "open")], []),
        ([("A", "m", "t")], [("A", "m", "renamed")], []),
        ([("A", "open")], [("A", "m", "t")], []),
        ([("A", "m", "t")], [], ["A: the claim is gone"]),
        ([("A", "open")], [], ["A: the claim is gone"]),
        ([("A", "m", "t")], [("A", "open")], ["A: m is no longer judged by t"]),
        ([("A", "m", "t")], [("A", "n", "t")], ["A: m is no longer judged by t"]),
        (
            [("A", "m", "t"), ("A", "m", "u")],
            [("A", "m", "u")],
            ["A: m is no longer judged by t"],
        ),
    ],
)
def test_what_is_lost_is_named_and_what_is_renamed_is_not(before, now, lost):
    """Coverage shrinks when a claim goes, or when fewer testcases judge it by a measure."""
    assert snapshot.lost(before, now) == lost


@pytest.mark.parametrize("line", ["DOC:1", "DOC:1 closed", "\x00"])
def test_a_damaged_snapshot_is_refused_with_its_line(tmp_path, line):
    """A line that no snapshot has is named."""
    (tmp_path / "snapshot").write_text(f"# comment\n\n{line}\n")
    with pytest.raises(UsageError, match="snapshot:3: not a line"):
        snapshot.read(tmp_path / "snapshot")


def test_the_kept_snapshot_holds():
    """No claim that was judged when the snapshot was kept is left unjudged unseen."""
    testcases = world.ROOT / "testcases"
    found = coverage.cover(Library.load(), scan(testcases), world.ROOT)
    kept = snapshot.read(testcases / snapshot.FILE_NAME)
    assert kept
    assert snapshot.lost(kept, snapshot.rows(found)) == []
