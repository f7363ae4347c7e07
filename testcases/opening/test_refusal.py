"""Refusal: RST and close() while a connection is being opened, and what connect() says of it."""

import pytest

from harness import By, State


@pytest.mark.measures("syn_sent_rst_without_ack", "connect_after_stray_rst")
def test_syn_sent_rst_without_acknowledgment_is_ignored(reach, documented):
    """In SYN-SENT a RST without ACK refuses nothing: the SYN-ACK after it still counts."""
    peer = reach(State.SYN_SENT)
    peer.send("R 0:0(0)")
    peer.fence()
    documented("syn_sent_rst_without_ack").judge([peer.state()])
    peer.send("S. 0:0(0) ack 1 <mss 1460>")
    documented("connect_after_stray_rst").judge(peer.call.wait(1.0).outcome)


@pytest.mark.measures("simultaneous_open_rst_connect", "simultaneous_open_rst_states")
def test_syn_received_from_active_open_rst_refuses_the_connection(reach, documented):
    """In SYN-RECEIVED from an active open a RST ends the connection, and connect() tells so."""
    peer = reach(State.SYN_RECEIVED, by=By.ACTIVE_OPEN)
    peer.send("R 1:1(0)")
    documented("simultaneous_open_rst_connect").judge(peer.call.wait(1.0).outcome)
    documented("simultaneous_open_rst_states").judge([peer.state()])


@pytest.mark.measures("syn_received_bad_ack_states")
def test_syn_received_wrong_acknowledgment_leaves_the_state(reach, documented):
    """In SYN-RECEIVED an acknowledgment of what was not sent is reset, and changes nothing."""
    peer = reach(State.SYN_RECEIVED)
    peer.send(". 1:1(0) ack 77")
    peer.fence()
    documented("syn_received_bad_ack_states").judge([peer.state()])


@pytest.mark.measures("syn_sent_synack_wrong_ack_states", "syn_sent_plain_ack_segment")
def test_syn_sent_wrong_syn_ack_and_plain_ack_leave_the_state(reach, documented):
    """In SYN-SENT neither a SYN-ACK for another SYN nor an ACK without SYN changes anything."""
    peer = reach(State.SYN_SENT)
    peer.answer(". 1:1(0) ack 1", measure="syn_sent_plain_ack_segment")
    peer.send("S. 0:0(0) ack 77")
    peer.fence()
    documented("syn_sent_synack_wrong_ack_states").judge([peer.state()])


@pytest.mark.measures(
    "syn_sent_close_segment", "syn_sent_close_states", "syn_sent_close_late_syn_ack"
)
def test_syn_sent_close_ends_the_attempt(reach, documented):
    """close() in SYN-SENT deletes the connection without a word; a late SYN-ACK is reset."""
    peer = reach(State.SYN_SENT)
    peer.socket.close()
    documented("syn_sent_close_segment").judge(peer.observe())
    documented("syn_sent_close_states").judge([peer.state()])
    peer.answer("S. 0:0(0) ack 1 <mss 1460>", measure="syn_sent_close_late_syn_ack")


@pytest.mark.measures("connect_again_established", "connect_again_segment")
def test_established_connect_once_more_is_an_error(reach, documented):
    """connect() on a connection that exists is an error, and sends nothing."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN)
    again = peer.socket.connect(peer.local)
    documented("connect_again_established").judge(again.wait(0.5).outcome)
    documented("connect_again_segment").judge(peer.observe())


@pytest.mark.measures("send_on_listener", "send_on_unconnected")
def test_closed_and_listen_send_is_an_error(target, documented):
    """Nothing can be sent on a socket that listens, or was never connected."""
    listener = target.listen(2017)
    documented("send_on_listener").judge(listener.socket.send(1).wait(0.5).outcome)
    documented("send_on_unconnected").judge(target.socket().send(1).wait(0.5).outcome)


@pytest.mark.measures("listen_beside_syn_sent", "listen_beside_syn_received")
def test_syn_sent_and_syn_received_others_can_listen_on_the_port(target, peer, documented):
    """A port can be listened on while a connection of it is being opened."""
    caller = peer.another(remote_port=0)
    target.connect(caller.local, source_port=2017, SO_REUSEADDR=1)
    caller.expect("S 0:0(0)")
    documented("listen_beside_syn_sent").judge(listen(target))

    other = peer.another(remote_port=0)
    target.connect(other.local, source_port=2018, SO_REUSEADDR=1)
    other.expect("S 0:0(0)")
    other.send("S 0:0(0) <mss 1460>")
    other.expect("S. 0:0(0) ack 1")
    documented("listen_beside_syn_received").judge(listen(target, port=2018))


def listen(target, port=2017):
    """Try to listen on a port; return how that ended."""
    socket = target.socket()
    socket.set("SO_REUSEADDR", 1)
    socket.bind(port)
    return socket.listen().outcome


@pytest.mark.measures("second_listen_bind", "first_listener_answers")
def test_listen_a_second_passive_open_of_the_port_touches_nothing(target, peer, documented):
    """A passive open of a port that is listened on fails or stands beside it; the first remains."""
    target.listen(2017)
    documented("second_listen_bind").judge(target.socket().bind(2017).outcome)
    peer.answer("S 0:0(0) <mss 1460>", measure="first_listener_answers")


@pytest.mark.measures("second_listen_reuseaddr")
def test_listen_bind_with_reuseaddr_to_the_port_of_a_listener_fails(target, documented):
    """SO_REUSEADDR does not let anyone take the port of a listener."""
    target.listen(2017, SO_REUSEADDR=1)
    other = target.socket()
    other.set("SO_REUSEADDR", 1)
    documented("second_listen_reuseaddr").judge(other.bind(2017).outcome)


@pytest.mark.measures("second_listen_reuseport", "reuseport_listeners_reached")
def test_listen_reuseport_lets_two_listeners_share_the_connections(target, peer, documented):
    """With SO_REUSEPORT on all of them several listeners share the connections of a port."""
    first = target.listen(2017, backlog=64, SO_REUSEPORT=1)
    other = target.socket()
    other.set("SO_REUSEPORT", 1)
    documented("second_listen_reuseport").judge(other.bind(2017).outcome)
    other.listen(64)
    for _ in range(24):
        caller = peer.another()
        caller.send("S 0:0(0) <mss 1460>")
        caller.expect("S. 0:0(0) ack 1")
        caller.send(". 1:1(0) ack 1")
    peer.fence()
    outcomes = [call.wait(0.2).outcome for call in (first.accept(), other.accept())]
    documented("reuseport_listeners_reached").judge(outcomes.count("success"))


@pytest.mark.tuned(migrate_requests=1)
@pytest.mark.measures("migrated_connections")
def test_established_connections_of_a_closed_listener_can_go_to_another(target, peer, documented):
    """Told so, a stack hands what a closed listener has not accepted to another of the port."""
    first = target.listen(2017, backlog=64, SO_REUSEPORT=1)
    other = target.socket()
    other.set("SO_REUSEPORT", 1)
    other.bind(2017)
    other.listen(64)
    for _ in range(8):
        caller = peer.another()
        caller.send("S 0:0(0) <mss 1460>")
        caller.expect("S. 0:0(0) ack 1")
        caller.send(". 1:1(0) ack 1")
    peer.fence()
    first.close()
    outcomes = [other.accept().wait(0.2).outcome for _ in range(8)]
    documented("migrated_connections").judge(outcomes.count("success"))
