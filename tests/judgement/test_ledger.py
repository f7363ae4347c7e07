"""The ledger: what it refuses, and what it finds."""

import re

import pytest

from harness.errors import UsageError
from harness.judgement.ledger import Ledger
from tests.documents import examples

ENTRY = (
    '[[known]]\nclaim = "STD:1"\nmeasure = "wait"\nversions = ">=5.10"\n'
    'reason = "It is a constant."\nreference = "net/tcp.h"\n'
)


@pytest.fixture
def ledger(tmp_path):
    """Return a function that loads a ledger of Linux with a given text."""

    def load(text):
        (tmp_path / "linux.toml").write_text(text)
        return Ledger.load(examples(), tmp_path)

    return load


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.replace("STD:1", "STD:11"), "linux.toml:1: STD:11: there is no claim 'STD:11'; did"),
        (
            ENTRY.replace('"wait"', '"wiat"'),
            "STD:1: there is no measure 'wiat'; did you mean 'wait'?",
        ),
        (ENTRY.replace('"wait"', '"truth"'), "STD:1: the claim says nothing of truth"),
        (ENTRY.replace('"wait"', '["wait", "wait"]'), "STD:1: 'measure' names one twice"),
        (ENTRY.replace('"wait"', "[]"), "STD:1: 'measure' is missing"),
        (ENTRY.replace('"wait"', '["wait", "truth"]'), "STD:1: STD:1 says nothing of truth"),
        (ENTRY.replace("STD:1", "STD:2"), "STD:2: a SHOULD that is not followed is permitted"),
        (ENTRY + 'version = "6"\n', "STD:1: unknown key 'version'; did you mean 'versions'?"),
        (ENTRY.replace('reason = "It is a constant."\n', ""), "STD:1: 'reason' is missing"),
        (ENTRY.replace('"It is a constant."', '" "'), "STD:1: 'reason' is missing"),
        (ENTRY.replace('reference = "net/tcp.h"\n', ""), "STD:1: 'reference' is missing"),
        (ENTRY.replace('versions = ">=5.10"\n', ""), "STD:1: 'versions' is missing"),
        (ENTRY.replace(">=5.10", ">=6,<5"), "STD:1: no version can be '>=6,<5'"),
        (ENTRY + 'families = ["ipv5"]\n', "STD:1: families are ipv4 and ipv6"),
        (ENTRY + 'families = "ipv4"\n', "STD:1: 'families' is a list of names"),
        (ENTRY + 'default_of = ["syn_retry"]\n', "unknown knob 'syn_retry'; did you mean 'syn_"),
        (ENTRY + "\n" + ENTRY, "linux.toml:8: STD:1: line 1 has wait for some of these versions"),
        (
            ENTRY.replace('claim = "STD:1"\n', ""),
            "linux.toml:1: an entry without claim: 'claim' is",
        ),
        ("known = 3\n", "linux.toml:1: 'known' is written as [[known]]"),
        ("[[knwon]]\n", "linux.toml:1: unknown key 'knwon'; did you mean 'known'?"),
        ("[[known]\n", "linux.toml:1:"),
    ],
)
def test_a_mistake_in_a_ledger_is_refused_with_its_place(ledger, text, message):
    """The one line names file, line and claim."""
    with pytest.raises(UsageError, match=re.escape(message)) as refusal:
        ledger(text)
    assert "\n" not in str(refusal.value)


def test_entries_of_other_versions_or_families_stand_side_by_side(ledger):
    """They can never be about the same deviation."""
    first = ENTRY.replace(">=5.10", "<6.5") + 'families = ["ipv4"]\n'
    second = ENTRY.replace(">=5.10", "<6.5") + 'families = ["ipv6"]\n'
    third = ENTRY.replace(">=5.10", ">=6.5")
    assert len(ledger(first + second + third).entries) == 3


@pytest.mark.parametrize(
    ("claim", "stack", "version", "family", "known"),
    [
        ("STD:1", "linux", "6.18.44", "ipv4", True),
        ("STD:1", "linux", "6.18.44", None, True),
        ("STD:1", "linux", "6.18.44", "ipv6", False),
        ("STD:1", "linux", "5.4", "ipv4", False),
        ("STD:1", "other", "6.18.44", "ipv4", False),
        ("STD:3", "linux", "6.18.44", "ipv4", False),
    ],
)
def test_an_entry_is_found_for_its_stack_versions_and_families(
    ledger, claim, stack, version, *, family, known
):
    """Another stack's deviation, or another version's, is not known."""
    loaded = ledger(ENTRY + 'families = ["ipv4"]\n')
    entry = loaded.find(claim, "wait", stack=stack, version=version, family=family)
    assert (entry is not None) is known


def test_an_entry_may_name_several_measures(ledger):
    """Each pair of a claim and a measure is an entry, with one reason and one place."""
    text = ENTRY.replace('"STD:1"', '["STD:1"]').replace('"wait"', '["wait"]')
    entries = ledger(text).entries
    assert [(one.claim, one.measure) for one in entries] == [("STD:1", "wait")]
    assert {one.where[1] for one in entries} == {1}
