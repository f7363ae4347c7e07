"""Unusual SYN: data, urgent data, reserved bits, no window at all."""

import pytest

from harness import By, State


@pytest.mark.measures("syn_data_answer", "syn_data_delivered", "syn_data_reading")
def test_listen_data_of_a_syn_waits_for_the_third_ack(target, peer, documented):
    """Data of a SYN is for the application only once the connection is open, and then complete."""
    listener = target.listen(2017)
    peer.answer('S 0:10(10) <mss 1460> "0123456789"', measure="syn_data_answer")
    accepting = listener.accept()
    documented("syn_data_reading").judge(accepting.wait(0.1).outcome)
    peer.send(". 11:11(0) ack 1")
    peer.fence()
    peer.send('P. 1:11(10) ack 1 "0123456789"')
    received = accepting.socket.receive().wait(1.0)
    documented("syn_data_delivered").judge((received.value or b"").decode())


@pytest.mark.measures("third_ack_data_answer", "third_ack_data_delivered")
def test_syn_received_third_ack_may_carry_data(reach, documented):
    """The segment that opens the connection may carry data."""
    peer = reach(State.SYN_RECEIVED)
    peer.answer('P. 1:6(5) ack 1 "hello"', measure="third_ack_data_answer", within=0.5)
    received = peer.listener.accept().socket.receive().wait(1.0)
    documented("third_ack_data_delivered").judge((received.value or b"").decode())


@pytest.mark.measures("syn_ack_data_answer", "syn_ack_data_delivered")
def test_syn_sent_data_of_the_syn_ack_is_not_lost(reach, documented):
    """Data of a SYN-ACK is acknowledged, or is not and comes again."""
    peer = reach(State.SYN_SENT)
    peer.answer('S. 0:5(5) ack 1 <mss 1460> "hello"', measure="syn_ack_data_answer")
    peer.send('P. 1:6(5) ack 1 "hello"')
    received = peer.socket.receive().wait(1.0)
    documented("syn_ack_data_delivered").judge((received.value or b"").decode())


@pytest.mark.measures("syn_zero_window_answer", "syn_zero_window_states")
def test_listen_syn_with_a_window_of_zero_is_answered(target, peer, documented):
    """A connection opens although the window of its SYN is closed."""
    target.listen(2017)
    peer.answer("S 0:0(0) win 0 <mss 1460>", measure="syn_zero_window_answer")
    peer.send(". 1:1(0) ack 1 win 0")
    documented("syn_zero_window_states").judge([peer.reaches(State.ESTABLISHED)])


@pytest.mark.measures("syn_urgent_answer", "syn_urgent_pointer_answer", "syn_push_answer")
def test_listen_syn_with_urg_or_psh_is_answered(target, peer):
    """Neither URG, nor an urgent pointer without it, nor PSH keeps a SYN from being answered."""
    target.listen(2017)
    peer.another().answer("SU 0:0(0) urg 5 <mss 1460>", measure="syn_urgent_answer")
    peer.another().answer("S 0:0(0) urg 5 <mss 1460>", measure="syn_urgent_pointer_answer")
    peer.another().answer("SP 0:0(0) <mss 1460>", measure="syn_push_answer")


@pytest.mark.measures("syn_reserved_answer", "third_ack_reserved_states")
def test_listen_reserved_bits_are_ignored_and_never_set(target, peer, documented):
    """Reserved bits mean nothing when they come, and are never sent."""
    target.listen(2017)
    peer.answer("S 0:0(0) reserved 7 <mss 1460>", measure="syn_reserved_answer")
    peer.send(". 1:1(0) ack 1 reserved 7")
    documented("third_ack_reserved_states").judge([peer.reaches(State.ESTABLISHED)])


@pytest.mark.measures("simultaneous_open_data_answer", "simultaneous_open_data_states")
def test_syn_sent_crossing_syn_with_data_opens_one_connection(reach, documented):
    """Data of a SYN that crosses the own one does no harm, and is not lost."""
    peer = reach(State.SYN_SENT)
    peer.answer("S 0:10(10) <mss 1460>", measure="simultaneous_open_data_answer")
    peer.send("S. 0:0(0) ack 1 <mss 1460>")
    peer.fence()
    peer.discard()
    peer.send("P. 1:11(10) ack 1")
    documented("simultaneous_open_data_states").judge([peer.reaches(State.ESTABLISHED)])


@pytest.mark.measures("simultaneous_open_repeat", "simultaneous_open_late_states")
def test_syn_received_from_active_open_repeats_the_syn_ack(reach, documented):
    """When SYNs have crossed and what followed was lost, the SYN-ACK is sent again."""
    peer = reach(State.SYN_RECEIVED, by=By.ACTIVE_OPEN)
    documented("simultaneous_open_repeat").judge(peer.observe(30.0), within=30.0)
    peer.send(". 1:1(0) ack 1")
    documented("simultaneous_open_late_states").judge([peer.reaches(State.ESTABLISHED)])


@pytest.mark.measures("synack_window_with_rcvbuf")
def test_listen_small_receive_buffer_offers_a_smaller_window(target, peer, documented):
    """The window of the SYN-ACK reflects the receive buffer that the application has set."""
    target.listen(2017)
    target.listen(2018, SO_RCVBUF=8192)
    peer.send("S 0:0(0) <mss 1460>")
    usual = peer.expect("S. 0:0(0) ack 1")
    other = peer.another(remote_port=2018)
    other.send("S 0:0(0) <mss 1460>")
    small = other.expect("S. 0:0(0) ack 1")
    documented("synack_window_with_rcvbuf").judge(small.window < usual.window)


@pytest.mark.measures("connections_to_one_port", "connections_data")
def test_listen_connections_to_one_port_are_told_by_the_far_end(target, peer, documented):
    """Two connections to one port are two: each carries its own data both ways."""
    listener = target.listen(2017)
    heard = []
    for text in ("one", "two"):
        caller = peer.another()
        caller.send("S 0:0(0) <mss 1460>")
        caller.expect("S. 0:0(0) ack 1")
        caller.send(". 1:1(0) ack 1")
        socket = listener.accept().socket
        caller.send(f'P. 1:4(3) ack 1 "{text}"')
        heard.append((socket.receive().wait(1.0).value or b"").decode())
        caller.expect(". 1:1(0) ack 4")
        socket.send(text.encode())
        caller.expect(f'. 1:4(3) ack 4 "{text}"')
        caller.send(". 4:4(0) ack 4")
    rows = target.rows(State.ESTABLISHED, local_port=2017)
    documented("connections_to_one_port").judge(len(rows))
    documented("connections_data").judge(",".join(heard))
