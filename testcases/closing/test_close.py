"""Close: each direction by a FIN, from the side that closes first and from the other."""

import pytest

from harness import By, State


@pytest.mark.measures("close_fin", "active_close_states", "active_close_final_ack")
def test_established_close_takes_four_segments(reach, documented):
    """The side that closes first sends FIN, and acknowledges the peer's FIN when it comes."""
    peer = reach(State.ESTABLISHED)
    states = [peer.state()]
    peer.socket.close()
    peer.expect("F. 1:1(0) ack 1", measure="close_fin")
    states.append(peer.state())
    peer.send(". 1:1(0) ack 2")
    peer.fence()
    states.append(peer.state())
    peer.send("F. 1:1(0) ack 2")
    peer.expect(". 2:2(0) ack 2", measure="active_close_final_ack")
    states.append(peer.state())

    documented("active_close_states").judge(states)


@pytest.mark.measures("merged_close_states")
def test_fin_wait_1_fin_that_acknowledges_leads_to_time_wait(reach, documented):
    """A FIN that acknowledges the own FIN leads from FIN-WAIT-1 straight to TIME-WAIT."""
    peer = reach(State.ESTABLISHED)
    states = [peer.state()]
    peer.socket.close()
    peer.expect("F. 1:1(0) ack 1")
    states.append(peer.state())
    peer.send("F. 1:1(0) ack 2")
    peer.expect(". 2:2(0) ack 2")
    states.append(peer.state())

    documented("merged_close_states").judge(states)


@pytest.mark.measures(
    "peer_fin_answer", "peer_fin_receive", "close_wait_fin", "passive_close_states"
)
def test_established_fin_is_acknowledged_at_once_and_close_answers_it(reach, documented):
    """A FIN is acknowledged at once; the own FIN follows when the application closes."""
    peer = reach(State.ESTABLISHED)
    states = [peer.state()]
    reading = peer.socket.receive()
    peer.send("F. 1:1(0) ack 1")
    peer.expect(". 1:1(0) ack 2", measure="peer_fin_answer")
    states.append(peer.state())
    documented("peer_fin_receive").judge(reading.wait(1.0).outcome)

    peer.socket.close()
    peer.expect("F. 1:1(0) ack 2", measure="close_wait_fin")
    states.append(peer.state())
    peer.send(". 2:2(0) ack 2")
    peer.fence()
    states.append(peer.state())

    documented("passive_close_states").judge(states)


@pytest.mark.measures("close_wait_send")
def test_close_wait_data_can_still_be_sent(reach):
    """After the peer's FIN the application may go on sending."""
    peer = reach(State.CLOSE_WAIT)
    peer.socket.send(5)
    peer.expect(". 1:6(5) ack 2", measure="close_wait_send")


@pytest.mark.measures("close_wait_persists")
def test_close_wait_lasts_as_long_as_the_application_does_not_close(target, reach, documented):
    """CLOSE-WAIT has no time-out: it waits for the local user."""
    peer = reach(State.CLOSE_WAIT)
    peer.wait(2 * target.knob("orphan_fin_wait_2_timeout"))
    documented("close_wait_persists").judge(peer.state() is State.CLOSE_WAIT)


@pytest.mark.measures("simultaneous_close_answer", "simultaneous_close_states")
def test_fin_wait_1_crossing_fin_leads_through_closing(reach, documented):
    """FINs that cross lead through CLOSING to TIME-WAIT."""
    peer = reach(State.FIN_WAIT_1, by=By.CLOSE)
    states = [peer.state()]
    peer.send("F. 1:1(0) ack 1")
    peer.expect(". 2:2(0) ack 2", measure="simultaneous_close_answer")
    states.append(peer.state())
    peer.send(". 2:2(0) ack 2")
    peer.fence()
    states.append(peer.state())

    documented("simultaneous_close_states").judge(states)


@pytest.mark.measures("half_close_send", "half_close_receive")
def test_fin_wait_2_half_closed_connection_still_receives(reach, documented):
    """After shutdown() of sending, sending fails and receiving goes on."""
    peer = reach(State.FIN_WAIT_2, by=By.SHUTDOWN)
    documented("half_close_send").judge(peer.socket.send(1).wait(1.0).outcome)
    reading = peer.socket.receive()
    peer.send("P. 1:11(10) ack 2")
    acknowledged = peer.observe(1.0)
    reading.wait(1.0)
    arrived = acknowledged is not None and acknowledged.ack == 11
    documented("half_close_receive").judge(arrived and reading.outcome == "success")


@pytest.mark.measures("data_after_close")
def test_fin_wait_2_data_after_close_is_reset(reach):
    """Data that nobody can read any more is answered with a RST."""
    peer = reach(State.FIN_WAIT_2, by=By.CLOSE)
    peer.answer("P. 1:11(10) ack 2", measure="data_after_close")
