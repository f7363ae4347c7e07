"""Abort: what close() does with data that was not read, was not sent, or with SO_LINGER."""

import pytest

from harness import State


@pytest.mark.measures("linger_zero_close", "linger_zero_states")
def test_established_close_with_linger_zero_resets(reach, documented):
    """close() with SO_LINGER on and a time of 0 aborts the connection."""
    peer = reach(State.ESTABLISHED)
    peer.socket.set("SO_LINGER", [1, 0])
    peer.socket.close()
    documented("linger_zero_close").judge(peer.observe(), within=1.0)
    documented("linger_zero_states").judge([peer.state()])


@pytest.mark.measures("unread_data_close")
def test_established_close_with_unread_data_resets(reach, documented):
    """close() while received data was not read shows the loss with a RST."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")
    peer.socket.close()
    documented("unread_data_close").judge(peer.observe(), within=1.0)


@pytest.mark.measures("unsent_data_close", "fin_on_data")
def test_established_close_sends_what_the_window_held_back(reach, documented):
    """close() lets what was not yet sent go out before the FIN."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    peer.socket.send(50)
    peer.socket.close()
    peer.send(". 1:1(0) ack 1 win 65535")
    first = peer.observe(1.0, skip=[". *:*(0) ack 1"])
    documented("unsent_data_close").judge(first, within=1.0)
    documented("fin_on_data").judge(first is not None and first.fin)
