"""The steps of RFC 9293 section 3.10.7, state by state: what may be answered, and what follows."""

import dataclasses

import pytest

from harness.documents.arrival import NOTHING, Reaction, acceptable, decide
from harness.segment.notation import parse_segment
from harness.states import State
from harness.targets.matrix import Situation

S = State
OPEN = State.ESTABLISHED

# The target's variables in each state: SND.UNA, SND.NXT, RCV.NXT; its window is 1000.
VARIABLES = {
    S.CLOSED: (0, 0, 0),
    S.LISTEN: (0, 0, 0),
    S.SYN_SENT: (0, 1, 0),
    S.SYN_RECEIVED: (0, 1, 1),
    S.ESTABLISHED: (1, 1, 1),
    S.FIN_WAIT_1: (1, 2, 1),
    S.FIN_WAIT_2: (2, 2, 1),
    S.CLOSE_WAIT: (1, 1, 2),
    S.CLOSING: (1, 2, 2),
    S.LAST_ACK: (1, 2, 2),
    S.TIME_WAIT: (2, 2, 2),
}


def at(state, *, passive=True, orphan=False, window=1000):
    una, nxt, rcv = VARIABLES[state]
    return Situation(state, passive, orphan, una, nxt, rcv, window)


def allowed(here, text):
    """Return what is allowed: answers, then states, by the text that allows it."""
    found = {}
    for one in decide(here, parse_segment(text)).reactions:
        found.setdefault((one.answers, one.states), one.by)
    return found


ONE_WAY = [
    # 3.10.7.1: a RST that its sender believes, for everything but a RST.
    (S.CLOSED, "S 7:7(0)", "R. 0:0(0) ack 8", S.CLOSED),
    (S.CLOSED, "F 7:12(5)", "R. 0:0(0) ack 13", S.CLOSED),
    (S.CLOSED, ". 7:7(0) ack 77", "R 77:77(0)", S.CLOSED),
    (S.CLOSED, ". 7:7(0) ack -77", "R -77:-77(0)", S.CLOSED),
    (S.CLOSED, "R 7:7(0)", NOTHING, S.CLOSED),
    (S.CLOSED, "R. 7:7(0) ack 77", NOTHING, S.CLOSED),
    # 3.10.7.2: RST, ACK, SYN, and all else.
    (S.LISTEN, "R. 7:7(0) ack 77", NOTHING, S.CLOSED),
    (S.LISTEN, "S. 7:7(0) ack 77", "R 77:77(0)", S.CLOSED),
    (S.LISTEN, "S 7:7(0)", "S. 0:0(0) ack 8", S.SYN_RECEIVED),
    (S.LISTEN, "F 7:7(0)", NOTHING, S.CLOSED),
    # 3.10.7.3: an ACK of what was never sent first; then RST; then SYN.
    (S.SYN_SENT, ". 7:7(0) ack 77", "R 77:77(0)", S.SYN_SENT),
    (S.SYN_SENT, ". 7:7(0) ack 0", "R 0:0(0)", S.SYN_SENT),
    (S.SYN_SENT, "R. 7:7(0) ack 77", NOTHING, S.SYN_SENT),
    (S.SYN_SENT, "R. 7:7(0) ack 1", NOTHING, S.CLOSED),
    (S.SYN_SENT, "R 7:7(0)", NOTHING, S.SYN_SENT),
    (S.SYN_SENT, "F 7:7(0)", NOTHING, S.SYN_SENT),
    (S.SYN_SENT, ". 7:7(0) ack 1", NOTHING, S.SYN_SENT),
    (S.SYN_SENT, "S. 7:7(0) ack 1", ". 1:1(0) ack 8", S.ESTABLISHED),
    (S.SYN_SENT, "S 7:7(0)", "S. 0:0(0) ack 8", S.SYN_RECEIVED),
    # 3.10.7.4, fifth: the ACK of the own SYN or FIN leads on.
    (S.SYN_RECEIVED, ". 1:1(0) ack 1", NOTHING, S.ESTABLISHED),
    (S.SYN_RECEIVED, ". 1:1(0) ack 0", "R 0:0(0)", S.SYN_RECEIVED),
    (S.FIN_WAIT_1, ". 1:1(0) ack 2", NOTHING, S.FIN_WAIT_2),
    (S.FIN_WAIT_1, ". 1:1(0) ack 1", NOTHING, S.FIN_WAIT_1),
    (S.CLOSING, ". 2:2(0) ack 2", NOTHING, S.TIME_WAIT),
    (S.LAST_ACK, ". 2:2(0) ack 2", NOTHING, S.CLOSED),
    (S.FIN_WAIT_2, ". 1:1(0) ack 9", ". 2:2(0) ack 1", S.FIN_WAIT_2),
    # Without ACK nothing is processed, wherever it is acceptable.
    (S.LAST_ACK, "F 2:2(0)", NOTHING, S.LAST_ACK),
    # RST at RCV.NXT ends the connection in every state.
    (S.SYN_RECEIVED, "R 1:1(0)", NOTHING, S.CLOSED),
    (S.TIME_WAIT, "R 2:2(0)", NOTHING, S.CLOSED),
]


@pytest.mark.parametrize(("state", "text", "answer", "after"), ONE_WAY)
def test_where_there_is_one_way(state, text, answer, after):
    """The text leaves no choice: this answer, and this state."""
    assert set(allowed(at(state), text)) == {((answer,), (after,))}


SEVERAL = [
    # The acknowledgement of text or of a FIN may be delayed.
    (S.FIN_WAIT_2, "F. 1:1(0) ack 2", ((". 2:2(0) ack 2", NOTHING), (S.TIME_WAIT,))),
    (S.FIN_WAIT_1, "F. 1:1(0) ack 1", ((". 2:2(0) ack 2", NOTHING), (S.CLOSING,))),
    (S.FIN_WAIT_1, "F. 1:1(0) ack 2", ((". 2:2(0) ack 2", NOTHING), (S.TIME_WAIT,))),
    (S.FIN_WAIT_2, "P. 1:6(5) ack 2", ((". 2:2(0) ack 6", NOTHING), (S.FIN_WAIT_2,))),
    # After the peer's FIN there is no text: it is ignored.
    (S.CLOSE_WAIT, "P. 2:7(5) ack 1", ((NOTHING, ". 1:1(0) ack 2"), (S.CLOSE_WAIT,))),
    # In TIME-WAIT what arrives may be acknowledged.
    (S.TIME_WAIT, ". 2:2(0) ack 2", ((NOTHING, ". 2:2(0) ack 2"), (S.TIME_WAIT,))),
    # What is ahead of RCV.NXT may be held, and its ACK dealt with at once or not.
    (S.SYN_RECEIVED, "P. 5:9(4) ack 1", ((". 1:1(0) ack 1", NOTHING), (S.SYN_RECEIVED, OPEN))),
    # Outside of the window everything draws an empty ACK.
    (S.TIME_WAIT, "F. 1:1(0) ack 2", ((". 2:2(0) ack 2",), (S.TIME_WAIT,))),
    # RFC 5961 and RFC 793 about a SYN, and about a RST, in the window.
    (S.CLOSE_WAIT, "S 5:5(0)", ((". 1:1(0) ack 2",), (S.CLOSE_WAIT,))),
    (S.CLOSE_WAIT, "S 5:5(0)", (("R", "R."), (S.CLOSED,))),
    (S.LAST_ACK, "R 5:5(0)", ((". 2:2(0) ack 2",), (S.LAST_ACK,))),
    (S.LAST_ACK, "R 5:5(0)", ((NOTHING,), (S.CLOSED,))),
    # A passive open goes back to LISTEN.
    (S.SYN_RECEIVED, "S 5:5(0)", ((NOTHING,), (S.CLOSED,))),
    (S.SYN_RECEIVED, "S. 5:5(0) ack 9", (("R 9:9(0)",), (S.SYN_RECEIVED,))),
    # Before the connection is open an ACK of what was never sent draws a RST (3.5.2).
    (S.SYN_RECEIVED, ". 1:1(0) ack 9", (("R 9:9(0)",), (S.SYN_RECEIVED,))),
    (S.SYN_RECEIVED, ". 1:1(0) ack 9", ((". 1:1(0) ack 1",), (S.SYN_RECEIVED,))),
    (S.SYN_RECEIVED, ". -9:-9(0) ack 9", (("R 9:9(0)",), (S.SYN_RECEIVED,))),
    (S.SYN_RECEIVED, ". -9:-9(0) ack 9", ((". 1:1(0) ack 1",), (S.SYN_RECEIVED,))),
    # MAY-2: a SYN that is numbered higher opens anew.
    (S.TIME_WAIT, "S 5000:5000(0)", (("S. ack 5001",), (S.SYN_RECEIVED,))),
    (S.TIME_WAIT, "S 5:5(0)", (("S. ack 6",), (S.SYN_RECEIVED,))),
]  # fmt: skip


@pytest.mark.parametrize(("state", "text", "way"), SEVERAL)
def test_where_there_are_several_ways(state, text, way):
    """This is one of them."""
    assert way in allowed(at(state), text)


@pytest.mark.parametrize("text", ["S -5:-5(0)", "S. 5000:5000(0) ack 2"])
def test_what_may_not_open_anew(text):
    """A lower number, or an ACK with the SYN, is no new connection, also in TIME-WAIT."""
    ways = allowed(at(S.TIME_WAIT), text)
    assert S.SYN_RECEIVED not in {state for _, states in ways for state in states}


def test_an_active_open_does_not_go_back_to_listen():
    """In SYN-RECEIVED a SYN is dealt with as in any later state then."""
    ways = allowed(at(S.SYN_RECEIVED, passive=False), "S 5:5(0)")
    assert ((". 1:1(0) ack 1",), (S.SYN_RECEIVED,)) in ways
    assert (("R", "R."), (S.CLOSED,)) in ways


@pytest.mark.parametrize("text", ["P. 1:6(5) ack 2", "P. 5:9(4) ack 2"])
def test_data_that_nobody_can_read_may_be_refused(text):
    """SHLD-3: only where the application has let go of the connection."""
    assert "SHLD-3" in allowed(at(S.FIN_WAIT_2, orphan=True), text).values()
    assert "SHLD-3" not in allowed(at(S.FIN_WAIT_2), text).values()


@pytest.mark.parametrize(
    ("text", "window", "fits"),
    [
        # The four cases of table 6.
        (". 1:1(0) ack 1", 0, True),
        (". 2:2(0) ack 1", 0, False),
        ("P. 1:2(1) ack 1", 0, False),
        (". 1:1(0) ack 1", 1000, True),
        (". 1000:1000(0) ack 1", 1000, True),
        (". 1001:1001(0) ack 1", 1000, False),
        (". 0:0(0) ack 1", 1000, False),
        ("P. -9:2(11) ack 1", 1000, True),
        ("P. -9:1(10) ack 1", 1000, False),
        ("P. 1000:1100(100) ack 1", 1000, True),
        ("F. 0:0(0) ack 1", 1000, False),
    ],
)
def test_what_is_acceptable(text, window, fits):
    """A segment passes by its length and the window (RFC 9293, table 6)."""
    assert acceptable(at(S.ESTABLISHED, window=window), parse_segment(text)) is fits


def test_what_was_done_is_compared_with_what_may_be():
    """State and answer both must fit; two answers never do."""
    one = Reaction(("R", NOTHING), (S.CLOSED, S.LISTEN))
    reset, other = parse_segment("R 5:5(0)"), parse_segment(". 5:5(0) ack 1")
    assert one.fits([], S.CLOSED)
    assert one.fits([reset], S.LISTEN)
    assert not one.fits([reset], S.ESTABLISHED)
    assert not one.fits([other], S.CLOSED)
    assert not one.fits([reset, reset], S.CLOSED)
    assert not dataclasses.replace(one, answers=("R",)).fits([], S.CLOSED)
    assert one.text == "R or nothing, CLOSED or LISTEN"
