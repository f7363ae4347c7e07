"""Calls: close(), shutdown() and abort in every state, SO_LINGER, and the end of a process."""

import pytest

from harness import By, State

LINGER_ZERO = [1, 0]


@pytest.mark.measures("close_in_listen", "close_in_listen_states")
def test_listen_close_ends_it_in_silence(target, reach, documented):
    """close() of a listening socket sends nothing and leaves nothing."""
    peer = reach(State.LISTEN)
    peer.listener.close()
    documented("close_in_listen").judge(peer.observe(), within=1.0)
    documented("close_in_listen_states").judge([target.state(local_port=2017)])


@pytest.mark.measures("close_in_syn_sent", "close_in_syn_sent_states")
def test_syn_sent_close_ends_it_in_silence(reach, documented):
    """close() before the SYN was answered sends nothing and leaves nothing."""
    peer = reach(State.SYN_SENT)
    peer.socket.close()
    documented("close_in_syn_sent").judge(peer.observe(), within=1.0)
    documented("close_in_syn_sent_states").judge([peer.state()])


@pytest.mark.measures("close_in_syn_received", "close_in_syn_received_states")
def test_syn_received_close_sends_a_fin(reach, documented):
    """close() in SYN-RECEIVED sends a FIN and leads to FIN-WAIT-1."""
    peer = reach(State.SYN_RECEIVED, by=By.ACTIVE_OPEN)
    peer.socket.close()
    documented("close_in_syn_received").judge(peer.observe(0.5, skip=["S."]), within=0.5)
    documented("close_in_syn_received_states").judge([peer.state()])


@pytest.mark.measures("accept_queue_listener_close")
def test_established_close_of_the_listener_resets_what_was_not_accepted(target, peer, documented):
    """A connection that nobody accepted is aborted when its listener closes."""
    listener = target.listen(2017)
    peer.send("S 0:0(0) <mss 1460>")
    peer.expect("S. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    peer.reaches(State.ESTABLISHED)
    listener.close()
    documented("accept_queue_listener_close").judge(peer.observe(0.5), within=0.5)


@pytest.mark.measures("close_wait_shutdown", "close_wait_shutdown_states")
def test_close_wait_shutdown_sends_the_fin(reach, documented):
    """shutdown() of sending in CLOSE-WAIT sends the FIN, as close() does."""
    peer = reach(State.CLOSE_WAIT)
    peer.socket.shutdown("write")
    peer.expect("F. 1:1(0) ack 2", measure="close_wait_shutdown")
    documented("close_wait_shutdown_states").judge([peer.state()])


@pytest.mark.measures("shutdown_read_segment", "shutdown_read_states")
def test_established_shutdown_of_reading_is_not_told_to_the_peer(reach, documented):
    """shutdown() of receiving sends nothing: TCP has no such segment."""
    peer = reach(State.ESTABLISHED)
    peer.socket.shutdown("read")
    documented("shutdown_read_segment").judge(peer.observe(), within=1.0)
    documented("shutdown_read_states").judge([peer.state()])


@pytest.mark.measures(
    "second_shutdown_fin_wait_1", "second_shutdown_fin_wait_2", "close_after_shutdown"
)
def test_fin_wait_closing_once_more_sends_nothing(reach, documented):
    """Who has sent its FIN sends no other, whatever it calls."""
    peer = reach(State.FIN_WAIT_1)
    peer.socket.shutdown("write")
    documented("second_shutdown_fin_wait_1").judge(
        peer.observe(skip=["F. 1:1(0) ack 1"]), within=1.0
    )
    peer.send(". 1:1(0) ack 2")
    peer.fence()
    peer.socket.shutdown("write")
    documented("second_shutdown_fin_wait_2").judge(peer.observe(), within=1.0)
    peer.socket.close()
    documented("close_after_shutdown").judge(peer.observe(), within=1.0)


@pytest.mark.measures("abort_syn_received", "abort_syn_received_states")
def test_syn_received_abort_sends_a_rst_and_deletes_the_connection(reach, documented):
    """An abort after SYNs have crossed sends a RST, and that is the end."""
    peer = reach(State.SYN_RECEIVED, by=By.ACTIVE_OPEN)
    peer.socket.set("SO_LINGER", LINGER_ZERO)
    peer.socket.close()
    documented("abort_syn_received").judge(peer.observe(), within=1.0)
    documented("abort_syn_received_states").judge([peer.state()])


@pytest.mark.measures("abort_fin_wait_1", "abort_fin_wait_2", "abort_close_wait", "abort_states")
def test_synchronized_abort_sends_a_rst_and_deletes_the_connection(reach, documented):
    """An abort before both FINs have passed sends a RST numbered SND.NXT, and that is the end."""
    states = []
    for state, measure in (
        (State.FIN_WAIT_1, "abort_fin_wait_1"),
        (State.FIN_WAIT_2, "abort_fin_wait_2"),
        (State.CLOSE_WAIT, "abort_close_wait"),
    ):
        peer = reach(state, peer=reach.another(), by=By.ACTIVE_OPEN)
        peer.socket.set("SO_LINGER", LINGER_ZERO)
        peer.socket.close()
        documented(measure).judge(peer.observe(), within=1.0)
        states.append(peer.state())
    documented("abort_states").judge(states)


@pytest.mark.measures("abort_closing", "abort_last_ack")
def test_closing_abort_sends_nothing(reach, documented):
    """When both FINs have passed there is nothing left that a RST could say."""
    for state, measure in ((State.CLOSING, "abort_closing"), (State.LAST_ACK, "abort_last_ack")):
        peer = reach(state, peer=reach.another(), by=By.ACTIVE_OPEN)
        peer.socket.set("SO_LINGER", LINGER_ZERO)
        peer.socket.close()
        documented(measure).judge(peer.observe(skip=["F. 1:1(0) ack *"]), within=1.0)


@pytest.mark.measures("linger_time_close", "linger_time_fin")
def test_established_close_with_a_linger_time_waits_for_it(reach, documented):
    """close() with SO_LINGER and a time sends the FIN and waits that long for its ACK."""
    peer = reach(State.ESTABLISHED)
    peer.socket.set("SO_LINGER", [1, 2])
    closing = peer.socket.close()
    peer.expect("F. 1:1(0) ack 1", measure="linger_time_fin")
    closing.wait(5.0)
    documented("linger_time_close").judge(closing.outcome, after=closing.elapsed)


@pytest.mark.measures("linger_acknowledged_close")
def test_established_close_with_a_linger_time_ends_with_the_acknowledgment(reach, documented):
    """close() with SO_LINGER and a time returns as soon as all is acknowledged."""
    peer = reach(State.ESTABLISHED)
    peer.socket.set("SO_LINGER", [1, 30])
    closing = peer.socket.close()
    peer.expect("F. 1:1(0) ack 1")
    peer.send("F. 1:1(0) ack 2")
    closing.wait(5.0)
    documented("linger_acknowledged_close").judge(closing.outcome, after=closing.elapsed)


@pytest.mark.measures("linger_off_close")
def test_established_close_without_linger_returns_at_once(reach, documented):
    """close() without SO_LINGER returns while the closing goes on in the background."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    peer.socket.send(50)
    closing = peer.socket.close()
    closing.wait(2.0)
    documented("linger_off_close").judge(closing.outcome, after=closing.elapsed)


@pytest.mark.measures("process_exit", "process_interrupt", "process_kill")
def test_established_end_of_the_process_closes_the_connection(reach, documented):
    """However a process ends, its connections are closed in the ordinary way."""
    peer = reach(State.ESTABLISHED, peer=reach.another())
    peer.socket.spawn().exit()
    documented("process_exit").judge(peer.observe(1.0), within=1.0)
    peer = reach(State.ESTABLISHED, peer=reach.another())
    peer.socket.spawn().kill("SIGINT")
    documented("process_interrupt").judge(peer.observe(1.0), within=1.0)
    peer = reach(State.ESTABLISHED, peer=reach.another())
    peer.socket.spawn().kill("SIGKILL")
    documented("process_kill").judge(peer.observe(1.0), within=1.0)


@pytest.mark.measures("process_exit_unread", "process_exit_unread_states")
def test_established_end_of_the_process_with_unread_data_resets(reach, documented):
    """A process that ends with data unread shows the loss with a RST."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")
    peer.socket.spawn().exit()
    documented("process_exit_unread").judge(peer.observe(1.0), within=1.0)
    documented("process_exit_unread_states").judge([peer.state()])


@pytest.mark.measures("close_wait_unread_close")
def test_close_wait_close_with_unread_data_resets(reach, documented):
    """close() with data unread sends a RST, also when the peer's FIN has come."""
    peer = reach(State.ESTABLISHED)
    peer.send("FP. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 12")
    peer.socket.close()
    documented("close_wait_unread_close").judge(peer.observe(), within=1.0)
