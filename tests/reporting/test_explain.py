"""Explain: all about one claim, from the text to the last observation."""

import pytest

from harness.documents.library import Library
from harness.reporting.explain import explain, in_words
from harness.reporting.marked import scan

from . import world
from .examples import judgement


def explained(folder, claim, judgements=()):
    world.write(folder / "testcases" / "test_a.py", world.TESTCASES)
    library = world.library(folder)
    marked = scan(folder / "testcases")
    return explain(library.claim(claim), library, marked, folder, judgements)


def test_a_claim_is_explained_from_its_text_to_its_last_verdict(tmp_path):
    """Text, place, measure, expectation, testcase and the last observation on each target."""
    judged = [
        judgement(claim="DOC:1", measure="wait", documented="60 s", observed="60.2 s"),
        judgement(claim="DOC:1", measure="wait", documented="60 s", family="ipv6"),
        judgement(
            claim="DOC:1",
            measure="wait",
            target="docker",
            documented="120 s, twice",
            observed="75 s",
            verdict="deviates",
            known=True,
            reason="a constant",
        ),
    ]
    assert explained(tmp_path, "DOC:1", judged) == [
        "DOC:1 (MUST)",
        "  document    A document, section 3.6",
        "  where       https://example.org/doc#3.6",
        "  topic       TIME-WAIT",
        "  says        The wait lasts a minute.",
        "  about       every stack",
        "",
        "wait (duration)",
        "  observed    How long the wait lasts.",
        "  expected    60 s",
        "  judged      only at the stack's own default of syn_retries",
        "  run         pytest testcases/test_a.py::test_wait_lasts",
        "  last run    netns (ipv4 and ipv6): conforms, 60.2 s",
        "  last run    docker (ipv4): deviates (known), 75 s (a constant)",
        "              where 120 s, twice is documented",
        "",
        "answer (segment)",
        "  observed    What is answered.",
        "  expected    . ack 2",
        "  run         no testcase observes this yet",
        "  last run    not judged",
    ]


@pytest.mark.parametrize(
    ("claim", "last"),
    [
        ("DOC:3", "  not judged  Nothing on the wire shows it."),
        ("DOC:4", "  open        not judged yet: data"),
    ],
)
def test_a_claim_that_nobody_judges_says_why(tmp_path, claim, last):
    """Unobservable and open claims end with their reason."""
    assert explained(tmp_path, claim)[-1] == last


def test_what_was_not_observed_is_told_with_its_reason(tmp_path):
    """An unsupported claim shows its reason where an observation would stand."""
    judged = [
        judgement(
            claim="DOC:1",
            measure="wait",
            verdict="unsupported",
            observed="",
            reason="tuned: syn_retries is 2, default 6",
        )
    ]
    lines = explained(tmp_path, "DOC:1", judged)
    said = "netns (ipv4): unsupported, tuned: syn_retries is 2, default 6"
    assert f"  last run    {said}" in lines


def test_hostile_observations_are_escaped(tmp_path):
    """What a target sent is never sent on to the terminal."""
    judged = [judgement(claim="DOC:1", measure="wait", observed="\x1b[2J\n", documented="\x07")]
    assert all(line.isprintable() for line in explained(tmp_path, "DOC:1", judged))


def test_every_expectation_of_the_packaged_documents_can_be_said():
    """No claim's expectation is without words, computed ones included."""
    library = Library.load()
    words = [in_words(one.expectation) for claim in library.claims.values() for one in claim.judged]
    assert len(words) > 100
    assert all(word and not word.startswith("computed:") for word in words)
