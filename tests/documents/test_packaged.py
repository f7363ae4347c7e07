"""The documents that are packaged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.documents.computed import MissingKnobError, resolve
from harness.documents.library import PACKAGED, Library, tuned
from harness.documents.versions import Versions
from harness.judgement.agreement import agree
from harness.judgement.ledger import Ledger
from tests.documents import DEFAULTS

VERSIONS = ("5.10", "5.15", "6.1", "6.5", "6.6", "6.12", "6.18", "7.0", "7.2")
OF_LINUX = ("linux", "linux-man")

SINCE = {"syn_linear_timeouts": ">=6.5", "rto_min": ">=6.11", "rto_max": ">=6.15"}
"""Since when Linux has the knobs that it did not always have."""

AT_DEFAULT = DEFAULTS | {"rto_min": 0.2, "rto_max": 120.0}

ANY_KNOBS = st.fixed_dictionaries(
    {},
    optional={
        "syn_retries": st.integers(0, 8),
        "syn_linear_timeouts": st.integers(0, 6),
        "synack_retries": st.integers(0, 6),
        "orphan_retries": st.integers(0, 10),
        "data_retries": st.integers(0, 15),
        "orphan_fin_wait_2_timeout": st.integers(1, 120),
        "keepalive_time": st.integers(1, 9000),
        "keepalive_interval": st.integers(1, 90),
        "keepalive_probes": st.integers(1, 10),
        "rto_min": st.sampled_from([0.01, 0.2, 1.0]),
        "rto_max": st.sampled_from([1.0, 60.0, 120.0]),
    },
)


def test_everything_that_is_packaged_can_be_read():
    """Measures, documents and ledgers agree with each other."""
    library = Library.load()
    assert "rfc9293" in library.documents
    assert "syn_retry_ladder" in library.measures
    assert Ledger.load(library).entries


_LIBRARY = Library.load()


def contradictions(library, document, version, knobs):
    """Return the measures of which one document's claims about one Linux cannot all be true.

    Claims about a default take part only while the knobs stand at it, as when they are judged.
    """
    has = {
        name: value
        for name, value in (AT_DEFAULT | knobs).items()
        if version in Versions.parse(SINCE.get(name, ">=0"))
    }
    said: dict[str, dict[str, object]] = {}
    for claim in library.claims.values():
        if claim.document.id != document or not claim.applies("linux", version):
            continue
        for judged in claim.judged:
            if not tuned(judged.default_of, has, AT_DEFAULT):
                try:
                    expected = resolve(judged.expectation, has)
                except MissingKnobError as error:
                    pytest.fail(f"{claim.id}: Linux {version} has no {error}")
                said.setdefault(judged.measure, {})[claim.id] = expected
    return {
        measure: {name: expected.text for name, expected in expectations.items()}
        for measure, expectations in said.items()
        if not agree(list(expectations.values()))
    }


@pytest.mark.parametrize("document", OF_LINUX)
@pytest.mark.parametrize("version", VERSIONS)
def test_no_version_of_linux_has_two_contradicting_claims(version, document):
    """What one text says of one Linux at its defaults can all be true at once."""
    assert contradictions(Library.load(), document, version, {}) == {}


@given(st.sampled_from(VERSIONS), st.sampled_from(OF_LINUX), ANY_KNOBS)
@settings(max_examples=60, deadline=None)
def test_no_setting_of_linux_makes_two_claims_contradict_each_other(version, document, knobs):
    """What one text says of one Linux can all be true at once, whatever the knobs are."""
    assert contradictions(_LIBRARY, document, version, knobs) == {}


def test_a_range_that_is_too_wide_is_found(tmp_path):
    """What only old versions do contradicts the others' claims when it is said of all."""
    for name in OF_LINUX:
        text = (PACKAGED / "texts" / f"{name}.toml").read_text(encoding="utf-8")
        assert 'versions = "<6.5"' in text
        wider = text.replace('versions = "<6.5"', 'versions = ">=5.10"')
        (tmp_path / f"{name}.toml").write_text(wider, encoding="utf-8")
    found = contradictions(Library.load(tmp_path), "linux", "6.18", {})
    assert "syn_retry_ladder" in found
    assert "connect_timeout" in found
