"""What a document or a matrix cannot say, and what is said where nothing can be computed."""

import pytest

from harness.documents import reading
from harness.documents.expectation import Cells
from harness.documents.measure import Kind
from harness.documents.parsing import expectation
from harness.errors import HarnessError, UsageError
from harness.judgement.evaluate import Seen, evaluate
from harness.judgement.judge import Judge
from harness.judgement.ledger import Ledger
from harness.judgement.precision import Precision
from harness.judgement.verdict import Verdict
from tests.documents import examples, facts


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """The user learns which file, and why."""
    with pytest.raises(UsageError, match=r"gone\.toml: No such file"):
        reading.toml(tmp_path / "gone.toml")
    (tmp_path / "odd.toml").write_bytes(b"title = '\xff'")
    with pytest.raises(UsageError, match=r"odd\.toml: this is not UTF-8 text"):
        reading.toml(tmp_path / "odd.toml")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"steps": ["RST insid"]}, "'RST insid' is no step; did you mean 'RST inside'"),
        ({"steps": "SYN", "by": 5961}, "by is the name of a text"),
        ({"steps": 5}, "steps is a list of steps"),
        ({}, "steps is a list of steps"),
        ("SYN", "SYN"),
    ],
)
def test_a_matrix_is_asked_by_steps(value, says):
    """A claim about cells names at least one step that there is, and at most one text."""
    with pytest.raises(ValueError, match=says):
        expectation(Kind.CELLS, value)


@pytest.mark.parametrize("seen", ["R.", ["R."], 5])
def test_a_matrix_is_judged_by_its_cells(seen):
    """Anything else is the testcase's mistake."""
    with pytest.raises(HarnessError, match="a list of cells"):
        evaluate(Cells(frozenset()), Seen(seen), Precision(0.0, wheel=False, noise=None))


def test_what_cannot_be_computed_is_named_as_it_is_documented():
    """A stack without the knob is told what is missing by the name of the computation."""
    without = facts(stack="other")
    judge = Judge(
        examples(),
        without,
        Ledger(),
        testcase="test_x.py::test_x",
        knobs=dict,
        measures=("ladder",),
    )
    judge.give_up(Verdict.UNSUPPORTED, "no way")
    documented = {one.claim: one.documented for one in judge.judgements}
    assert "linux_syn_ladder" in documented["kernel:ladder"]
    assert {one.verdict for one in judge.judgements} == {Verdict.UNSUPPORTED}
