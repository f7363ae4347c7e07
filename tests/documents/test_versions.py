"""Ranges of versions."""

import pytest

from harness.documents.versions import Versions


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=6.5", ["6.5", "6.5.0", "6.18.44", "7.2"], ["6.4.16", "5.10", ""]),
        ("<6.5", ["6.4.99", "5.10.0"], ["6.5", "6.5.0", "6.10"]),
        (">=5.10,<6.12", ["5.10", "6.1.0-25-cloud-amd64"], ["5.9", "6.12", "unknown"]),
        (">6.1", ["6.1.1"], ["6.1", "6.1.0"]),
        ("<=6.1", ["6.1.0"], ["6.1.1"]),
        ("==6.1", ["6.1.0"], ["6.1.1"]),
        ("!=6.1", ["6.2"], ["6.1"]),
        (" >= 6.5 , < 7 ", ["6.18"], ["7"]),
    ],
)
def test_a_range_contains_what_its_terms_hold_for(text, inside, outside):
    """Numbers are compared part by part, and zeros at the end do not count."""
    versions = Versions.parse(text)
    assert [version for version in inside if version not in versions] == []
    assert [version for version in outside if version in versions] == []


@pytest.mark.parametrize(
    "text",
    [">=6.5,<6.5", ">6.5,<=6.5", ">=7,<6", "==6.1,!=6.1", "==6.1,==6.2", "<0", ">6.5,<6.5.0"],
)
def test_a_range_that_nothing_can_be_in_is_refused(text):
    """A claim about no version at all would never be judged."""
    with pytest.raises(ValueError, match="no version can be"):
        Versions.parse(text)


@pytest.mark.parametrize("text", ["6.5", ">= six", "", ">=6.5,", "~=6.5", ">=6.5-rc1"])
def test_what_is_no_comparison_is_refused(text):
    """The refusal shows what a comparison looks like."""
    with pytest.raises(ValueError, match=r"such as '>=6\.5'"):
        Versions.parse(text)


def test_the_full_range_contains_every_version_even_an_unknown_one():
    """A document that is about all versions is about a stack that does not tell its own."""
    assert "6.1" in Versions()
    assert "" in Versions()


@pytest.mark.parametrize(
    ("one", "other", "empty"),
    [
        (">=6.5", "<6.5", True),
        (">=6.5", "<=6.5", False),
        (">=5.10,<6.1", ">=6.0", False),
        ("==6.1", "!=6.1", True),
        ("!=6.1", ">=6.1", False),
    ],
)
def test_two_ranges_have_versions_in_common_or_not(one, other, empty):
    """Overlap is what makes two ledger entries, or two claims, contradict each other."""
    both = Versions.parse(one) & Versions.parse(other)
    assert both.empty is empty


def test_a_range_writes_itself_as_it_is_read():
    """What is written can be pasted back."""
    assert str(Versions.parse(">=5.10,<6.12")) == ">=5.10,<6.12"
    assert str(Versions()) == ""
