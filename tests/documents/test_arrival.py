"""What RFC 9293 allows when a segment arrives, and how a matrix of it is judged."""

import dataclasses

import pytest

from harness.documents.arrival import Step, decide
from harness.documents.expectation import Cells
from harness.documents.library import Library
from harness.documents.versions import Versions
from harness.judgement.evaluate import Seen, evaluate
from harness.judgement.ledger import Known
from harness.judgement.precision import Precision
from harness.segment.notation import parse_segment
from harness.states import State
from harness.targets.matrix import Cell, Situation, stimuli

HERE = Situation(
    State.ESTABLISHED,
    passive=True,
    orphan=False,
    snd_una=1,
    snd_nxt=1,
    rcv_nxt=1,
    rcv_wnd=1000,
)
CLOSING_ONE = dataclasses.replace(HERE, state=State.FIN_WAIT_1, snd_nxt=2)


def _allowed(here, text):
    decision = decide(here, parse_segment(text))
    return {(one.answers, one.states) for one in decision.reactions}


@pytest.mark.parametrize(
    ("text", "answers", "state"),
    [
        ("R 1:1(0)", ("nothing",), State.CLOSED),
        ("R 1001:1001(0)", ("nothing",), State.ESTABLISHED),
        ("R -9:-9(0)", ("nothing",), State.ESTABLISHED),
        (". 1001:1001(0) ack 1", (". 1:1(0) ack 1",), State.ESTABLISHED),
        ("P. -9:1(10) ack 1", (". 1:1(0) ack 1",), State.ESTABLISHED),
        ("none 1:1(0)", ("nothing",), State.ESTABLISHED),
        (". 1:1(0) ack 2", (". 1:1(0) ack 1",), State.ESTABLISHED),
        ("F. 1:1(0) ack 1", (". 1:1(0) ack 2", "nothing"), State.CLOSE_WAIT),
        ("P. 1:11(10) ack 1", (". 1:1(0) ack 11", "nothing"), State.ESTABLISHED),
    ],
)
def test_established_has_one_answer(text, answers, state):
    """Where RFC 9293 leaves no choice there is one reaction."""
    assert _allowed(HERE, text) == {(answers, (state,))}


@pytest.mark.parametrize("text", ["R 500:500(0)", "S 500:500(0)", ". 1:1(0) ack -70000"])
def test_what_rfc_5961_changed_may_be_done_both_ways(text):
    """RFC 793's way and RFC 5961's are both allowed, each under its name."""
    names = {one.by for one in decide(HERE, parse_segment(text)).reactions}
    assert names == {"RFC 793", "RFC 5961"}


def test_the_ack_of_a_fin_leads_on():
    """In FIN-WAIT-1 the ACK of the FIN leads to FIN-WAIT-2, with a FIN to TIME-WAIT."""
    assert _allowed(CLOSING_ONE, ". 1:1(0) ack 2") == {(("nothing",), (State.FIN_WAIT_2,))}
    end = (". 2:2(0) ack 2", "nothing")
    assert _allowed(CLOSING_ONE, "F. 1:1(0) ack 2") == {(end, (State.TIME_WAIT,))}
    assert _allowed(CLOSING_ONE, "F. 1:1(0) ack 1") == {(end, (State.CLOSING,))}


def test_data_for_an_orphan_may_be_reset():
    """Data that nobody can read may be acknowledged or reset; a FIN may not be reset."""
    orphan = dataclasses.replace(HERE, state=State.FIN_WAIT_2, snd_una=2, snd_nxt=2, orphan=True)
    assert (("R", "R."), (State.CLOSED,)) in _allowed(orphan, "P. 1:11(10) ack 2")
    assert (("R", "R."), (State.CLOSED,)) not in _allowed(orphan, "F. 1:1(0) ack 2")


def test_every_state_is_confronted_with_every_kind():
    """Where there is a window every kind stands on six edges; elsewhere in one place."""
    names = [stimulus.name for stimulus in stimuli(State.ESTABLISHED)]
    assert len(names) == len(set(names)) == 6 * (5 + 6 * 3) + 2
    assert len(list(stimuli(State.LISTEN))) == 11


def _cell(text, answer, after=State.ESTABLISHED, name="a cell"):
    answers = (parse_segment(answer),) if answer else ()
    return Cell(name, HERE, parse_segment(text), answers, after)


def _judge(expectation, *cells):
    return evaluate(expectation, Seen(cells), Precision())


def test_a_cell_that_deviates_is_named():
    """One wrong cell among right ones is enough, and the others do not hide it."""
    right = _cell("R 500:500(0)", ". 1:1(0) ack 1")
    wrong = _cell("R 500:500(0)", "", name="a silent one")
    finding = _judge(Cells(frozenset({Step.RST_INSIDE})), right, wrong)
    assert finding.fits is False
    assert finding.wrong == ("a silent one",)
    assert "1 of 2 cells by RFC 5961" in finding.observed
    assert _judge(Cells(frozenset({Step.RST_INSIDE})), right).fits is True


def test_one_text_can_be_asked_for():
    """What another text allows does not fit a claim that is about one text."""
    reset = _cell("R 500:500(0)", "", State.CLOSED)
    steps = frozenset({Step.RST_INSIDE})
    assert _judge(Cells(steps), reset).fits is True
    assert _judge(Cells(steps, by="RFC 5961"), reset).fits is False


def test_what_a_claim_does_not_speak_of_is_not_its_matter():
    """A wrong cell of another step leaves the claim alone."""
    wrong = _cell("none 1:1(0)", ". 1:1(0) ack 1")
    assert _judge(Cells(frozenset({Step.SYN})), wrong).fits is True
    assert _judge(Cells(frozenset({Step.NO_ACK})), wrong).fits is False


def test_every_step_has_a_claim():
    """No step of section 3.10.7 is decided and then judged by nobody."""
    spoken = set()
    for claim in Library.load().claims.values():
        for judged in claim.judged:
            if isinstance(judged.expectation, Cells):
                spoken |= judged.expectation.steps
    assert spoken == set(Step)


def test_a_ledger_entry_excuses_only_the_cells_that_it_names():
    """Another cell that begins to deviate is not known."""
    entry = Known(
        stack="linux",
        claim="",
        measure="",
        versions=Versions.parse(">=5.10"),
        reason="",
        reference="",
        families=(),
        default_of=(),
        cells=("SYN *",),
        where=("", 1),
    )
    assert entry.excuses(("SYN inside it",))
    assert not entry.excuses(("SYN inside it", "FIN inside it"))
