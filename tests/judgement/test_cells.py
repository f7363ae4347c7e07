"""Cells: what a whole matrix of segments comes to, claim by claim."""

import pytest

from harness.documents.arrival import decide
from harness.documents.expectation import Cells
from harness.errors import HarnessError
from harness.judgement.evaluate import Seen, evaluate
from harness.judgement.precision import Precision
from harness.segment.notation import parse_segment
from harness.states import State
from harness.targets.matrix import Cell, Situation

CLOSED = Situation(
    State.CLOSED, passive=False, orphan=False, snd_una=0, snd_nxt=0, rcv_nxt=0, rcv_wnd=0
)
SYN = parse_segment("S 0:0(0)")
REFUSAL = parse_segment("R. 0:0(0) ack 1")


def cell(name, *answers, sent=SYN, after=State.CLOSED):
    """Return a cell of a closed port."""
    return Cell(name, CLOSED, sent, answers, after)


def judged(*cells, **expected):
    """Return what the cells come to, where all steps count."""
    steps = frozenset(step for one in cells for step in steps_of(one))
    return evaluate(Cells(steps=steps, **expected), Seen(cells), Precision())


def steps_of(one):
    """Return the steps that speak of a cell."""
    return decide(one.situation, one.sent).steps


def test_cells_that_went_a_way_of_the_text_fit():
    """The ways are counted."""
    found = judged(cell("SYN", REFUSAL), cell("RST", sent=parse_segment("R 0:0(0)")))
    assert found.fits
    assert "2 of 2 cells by" in found.observed
    assert found.values["SYN"] == "R. 0:0(0) ack 1, CLOSED"


def test_a_cell_that_went_another_way_is_named():
    """What would have been allowed stands beside what was observed."""
    found = judged(cell("SYN"), cell("RST", sent=parse_segment("R 0:0(0)")))
    assert not found.fits
    assert found.wrong == ("SYN",)
    assert "1 otherwise: SYN:" in found.observed
    assert "nothing, CLOSED was observed" in found.details[0]


def test_a_claim_that_speaks_of_no_cell_is_not_broken():
    """Nothing was observed of what it is about."""
    found = evaluate(Cells(steps=frozenset()), Seen([cell("SYN")]), Precision())
    assert found.fits
    assert found.observed == "no such cell"


def test_what_are_no_cells_is_our_error():
    """A testcase handed in something else."""
    with pytest.raises(HarnessError, match="not a list of cells"):
        evaluate(Cells(steps=frozenset()), Seen([1, 2]), Precision())
