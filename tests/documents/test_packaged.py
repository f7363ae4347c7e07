"""The documents that are packaged."""

import itertools

import pytest

from harness.documents.computed import resolve
from harness.documents.expectation import AnyOf, Count, Duration, Intervals, Outcome
from harness.documents.library import Library
from harness.documents.versions import Versions
from harness.judgement.ledger import Ledger
from tests.documents import DEFAULTS

VERSIONS = ("5.10.1", "6.1.0", "6.12.8", "6.18.44", "7.2.0")


def test_everything_that_is_packaged_can_be_read():
    """Measures, documents and ledgers agree with each other."""
    library = Library.load()
    assert "rfc9293" in library.documents
    assert "syn_retry_ladder" in library.measures
    assert Ledger.load(library).entries


def _exact(expectation):
    """Return the values that an expectation allows, where it allows only some."""
    match expectation:
        case AnyOf(options=options):
            return set().union(*(_exact(option) or set() for option in options))
        case Outcome(after=after):
            return None if after is None else _exact(after)
        case Duration(low=low, high=high) if low == high:
            return {round(low, 6)}
        case Intervals(intervals=intervals):
            return {tuple(round(interval, 6) for interval in intervals)}
        case Count(values=values) if values:
            return set(values)
        case _:
            return None


@pytest.mark.parametrize("version", VERSIONS)
def test_no_two_claims_about_linux_contradict_each_other(version):
    """At its defaults, one version of Linux is not said to do two different things."""
    library = Library.load()
    knobs = dict(DEFAULTS)
    if version in Versions.parse("<6.5"):
        del knobs["syn_linear_timeouts"]
    said = {}
    for claim in library.claims.values():
        if claim.stacks and claim.document.binding and claim.applies("linux", version):
            for judged in claim.judged:
                values = _exact(resolve(judged.expectation, knobs))
                if values:
                    said.setdefault(judged.measure, []).append((claim.id, values))
    contradictions = [
        (measure, one[0], other[0])
        for measure, claims in said.items()
        for one, other in itertools.combinations(claims, 2)
        if not one[1] & other[1]
    ]
    assert said
    assert contradictions == []
