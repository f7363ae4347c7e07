"""Application: what a reset looks like from the socket, and what a RST carries."""

import pytest

from harness import State

BEFORE = "<mss 1460,nop,nop,TS val 1000 ecr 0>"


@pytest.mark.measures("reset_first_send", "reset_second_send", "reset_then_receive")
def test_established_reset_is_told_once_and_then_the_connection_is_gone(reach, documented):
    """The first call after a reset tells of it; later ones find no connection."""
    peer = reach(State.ESTABLISHED)
    peer.send("R 1:1(0)")
    peer.fence()
    documented("reset_first_send").judge(peer.socket.send(1).wait(1.0).outcome)
    documented("reset_second_send").judge(peer.socket.send(1).wait(1.0).outcome)
    documented("reset_then_receive").judge(peer.socket.receive().wait(1.0).outcome)


@pytest.mark.measures("reset_unread_receive")
def test_established_reset_after_unread_data(reach, documented):
    """A reset does away with what was not yet read."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")
    peer.send("R 11:11(0)")
    peer.fence()
    documented("reset_unread_receive").judge(peer.socket.receive().wait(1.0).outcome)


@pytest.mark.measures("reset_unsent_data")
def test_established_reset_does_away_with_what_was_to_be_sent(reach, documented):
    """After a reset nothing that waited for a window is sent."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    peer.socket.send(50)
    peer.send("R 1:1(0)")
    peer.fence()
    peer.discard()
    documented("reset_unsent_data").judge(peer.observe(1.0), within=1.0)


@pytest.mark.measures("reset_linger_unsent", "reset_linger_unsent_later", "reset_linger_states")
def test_established_abort_does_away_with_what_was_to_be_sent(reach, documented):
    """An abort sends its RST at once, and nothing of what was still to be sent."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    peer.socket.send(50)
    peer.socket.set("SO_LINGER", [1, 0])
    peer.socket.close()
    documented("reset_linger_unsent").judge(peer.observe(skip=[". *:*(0) ack 1"]), within=1.0)
    documented("reset_linger_unsent_later").judge(peer.observe(1.0), within=1.0)
    documented("reset_linger_states").judge([peer.state()])


@pytest.mark.measures("reset_wakes_send", "reset_wakes_poll")
def test_established_reset_ends_calls_that_wait(reach, documented):
    """A reset ends a send() that waits for room, and tells who polls."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    polling = peer.socket.wait_for("POLLERR", "POLLHUP")
    sending = peer.socket.send(20_000_000)
    peer.wait(0.2)
    peer.send("R 1:1(0)")
    documented("reset_wakes_poll").judge(polling.wait(1.0).outcome)
    documented("reset_wakes_send").judge(sending.wait(1.0).outcome)


@pytest.mark.measures("reset_timestamps_abort", "reset_timestamps_old")
def test_established_reset_and_timestamps(reach, documented):
    """A RST carries timestamps once they were agreed upon, and is believed whatever they say."""
    peer = reach(State.ESTABLISHED, peer=reach.another(), syn=BEFORE)
    peer.socket.set("SO_LINGER", [1, 0])
    peer.socket.close()
    peer.fence()
    resets = [*peer.history("R").segments, *peer.history("R.").segments]
    options = ",".join(one.option_names(padding=False) for one in resets)
    documented("reset_timestamps_abort").judge(options)
    peer = reach(State.ESTABLISHED, peer=reach.another(), syn=BEFORE)
    peer.send("R 1:1(0) <nop,nop,TS val 500 ecr 0>")
    peer.fence()
    documented("reset_timestamps_old").judge([peer.state()])


@pytest.mark.measures("reset_timestamps_echo")
def test_closed_reset_echoes_the_timestamp(reach):
    """A RST that answers a segment with timestamps echoes it, its own value being zero."""
    peer = reach(State.CLOSED)
    peer.answer("P. 1:11(10) ack 77 <nop,nop,TS val 1234 ecr 5>", measure="reset_timestamps_echo")


@pytest.mark.measures("reset_data_states", "reset_data_receive")
def test_established_rst_with_text_is_believed_and_its_text_is_not_data(reach, documented):
    """The text of a RST, which may say why, is not handed to the application as data."""
    peer = reach(State.ESTABLISHED)
    reading = peer.socket.receive()
    peer.send("R. 1:11(10) ack 1")
    documented("reset_data_receive").judge(reading.wait(1.0).outcome)
    documented("reset_data_states").judge([peer.state()])
