"""FIN order: a FIN with data, beyond a hole, repeated, and repeated by the target itself."""

import pytest

from harness import By, State


@pytest.mark.measures("fin_with_data_answer", "fin_with_data_octets", "fin_with_data_end")
def test_established_fin_with_data_delivers_the_data_first(reach, documented):
    """A FIN on data is acknowledged with it; the application reads the data, then the end."""
    peer = reach(State.ESTABLISHED)
    peer.send("FP. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 12", measure="fin_with_data_answer")
    documented("fin_with_data_octets").judge(len(peer.socket.receive().wait(1.0).value or b""))
    documented("fin_with_data_end").judge(peer.socket.receive().wait(1.0).outcome)


@pytest.mark.measures("fin_beyond_hole", "fin_beyond_hole_states", "fin_after_hole_filled")
def test_established_fin_beyond_a_hole_waits_for_the_missing_data(reach, documented):
    """A FIN that comes before the data in front of it is kept until that data has come."""
    peer = reach(State.ESTABLISHED)
    peer.answer("F. 11:11(0) ack 1", measure="fin_beyond_hole")
    before = peer.state()
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 12", measure="fin_after_hole_filled")
    documented("fin_beyond_hole_states").judge([before, peer.state()])


@pytest.mark.measures("close_wait_late_fin", "close_wait_late_fin_states")
def test_close_wait_repeated_fin_is_acknowledged_again(reach, documented):
    """When the ACK of a FIN was lost, the repeated FIN draws it once more."""
    peer = reach(State.CLOSE_WAIT)
    peer.answer("F. 1:1(0) ack 1", measure="close_wait_late_fin")
    documented("close_wait_late_fin_states").judge([peer.state()])


@pytest.mark.measures("closing_late_fin", "closing_repeat", "closing_repeat_states")
def test_closing_what_was_lost_is_sent_again(reach, documented):
    """In CLOSING either side repeats what the other did not get, and TIME-WAIT follows."""
    peer = reach(State.CLOSING)
    peer.answer("F. 1:1(0) ack 1", measure="closing_late_fin")
    peer.expect("F. 1:1(0) ack 2", within=30.0, measure="closing_repeat")
    before = peer.state()
    peer.send(". 2:2(0) ack 2")
    peer.fence()
    documented("closing_repeat_states").judge([before, peer.state()])


@pytest.mark.measures("fin_wait_1_repeat", "fin_wait_1_repeat_states")
def test_fin_wait_1_lost_fin_is_sent_again_and_closing_goes_on(reach, documented):
    """A FIN that was lost is sent again; the ACK of the repetition leads to FIN-WAIT-2."""
    peer = reach(State.FIN_WAIT_1)
    before = peer.state()
    peer.expect("F. 1:1(0) ack 1", within=30.0, measure="fin_wait_1_repeat")
    peer.send(". 1:1(0) ack 2")
    peer.fence()
    documented("fin_wait_1_repeat_states").judge([before, peer.state()])


@pytest.mark.measures("last_ack_repeat", "last_ack_repeat_states")
def test_last_ack_lost_acknowledgment_has_the_fin_repeated(reach, documented):
    """Without the last ACK the FIN is sent again; the ACK of the repetition ends all."""
    peer = reach(State.LAST_ACK)
    before = peer.state()
    peer.expect("F. 1:1(0) ack 2", within=30.0, measure="last_ack_repeat")
    peer.send(". 2:2(0) ack 2")
    peer.fence()
    documented("last_ack_repeat_states").judge([before, peer.state()])


@pytest.mark.measures("close_with_data_in_flight")
def test_established_close_does_not_wait_for_the_data_to_be_acknowledged(reach):
    """close() sends the FIN at once, also while data is not yet acknowledged."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(10)
    peer.expect("P. 1:11(10) ack 1")
    peer.socket.close()
    peer.expect("F. 11:11(0) ack 1", within=0.5, measure="close_with_data_in_flight")


@pytest.mark.measures("data_after_close_fin_wait_1")
def test_fin_wait_1_data_after_close_is_reset(reach):
    """Data that nobody can read any more is answered with a RST, also before the FIN is ACKed."""
    peer = reach(State.FIN_WAIT_1, by=By.CLOSE)
    peer.answer("P. 1:11(10) ack 2", measure="data_after_close_fin_wait_1")
