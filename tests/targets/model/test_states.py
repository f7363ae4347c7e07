"""Model: every state is reached, in virtual time, in both families."""

import pytest

from harness import By, State
from tests.targets.model.hosts import bed

MODELS = ("model-rfc9293", "model-linux", "model-windows-2003", "model-berkeley")
OPEN = [state for state in State if state not in (State.CLOSED, State.LISTEN)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("state", OPEN)
def test_every_model_can_be_walked_into_every_state(name, family, state):
    """The walk confirms each state in the state table of the model."""
    with bed(name, family=family) as one:
        peer = one.reach(state)
        assert peer.state() is state


def test_an_active_open_gives_up_at_the_documented_times():
    """3, 6 and 12 s: the SYN is sent three times, and the attempt fails after 21 s."""
    with bed("model-windows-2003") as one:
        attempt = one.target.connect(one.peer.port(2017))
        ladder = one.peer.collect("S 0:0(0)", until=attempt.finished)
        assert ladder.intervals == pytest.approx([3, 6])
        assert attempt.outcome == "ETIMEDOUT"
        assert attempt.elapsed == pytest.approx(21)


def test_time_wait_is_as_long_as_the_numbers_say():
    """Twice the MSL, which RFC 9293 takes as two minutes."""
    with bed() as one:
        low, high = one.reach(State.TIME_WAIT).target_leaves(State.TIME_WAIT)
        assert low <= 240 <= high + 0.001
        assert high - low < 0.05


def test_a_segment_that_came_too_early_is_held():
    """The hole is filled, and both are acknowledged and read in order."""
    with bed() as one:
        peer = one.reach(State.ESTABLISHED)
        peer.send('P. 4:7(3) ack 1 "def"')
        peer.expect(". 1:1(0) ack 1")
        peer.send('P. 1:4(3) ack 1 "abc"')
        peer.expect(". 1:1(0) ack 7")
        assert peer.socket.receive().wait(1.0).value == b"abcdef"


def test_a_closed_window_is_probed_with_one_octet():
    """Data waits for the window; a probe carries the first octet of it."""
    with bed() as one:
        peer = one.reach(State.ESTABLISHED)
        peer.send(". 1:1(0) ack 1 win 0")
        peer.fence()
        peer.socket.send(10)
        peer.expect(". 1:2(1) ack 1", within=2.0)
        peer.send(". 1:1(0) ack 1 win 1000")
        peer.expect("P. 1:11(10) ack 1")


def test_three_duplicates_have_a_segment_sent_again():
    """Fast retransmit: long before the timer the first segment comes again."""
    with bed() as one:
        peer = one.reach(State.ESTABLISHED)
        peer.socket.send(2920)
        first = peer.expect(". 1:1461(1460) ack 1")
        peer.expect("P. 1461:2921(1460) ack 1")
        for _ in range(3):
            peer.send(". 1:1(0) ack 1")
        again = peer.expect(". 1:1461(1460) ack 1", within=0.1)
        assert again.payload == first.payload


def test_close_of_an_orphan_resets_what_comes_later():
    """Nobody can read it any more."""
    with bed() as one:
        peer = one.reach(State.FIN_WAIT_2, by=By.CLOSE)
        peer.send("P. 1:11(10) ack 2")
        peer.expect("R 2:2(0)")
        assert peer.state() is State.CLOSED
