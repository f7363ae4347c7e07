"""Half-open: a peer that is gone, a link that is cut, and what keepalive makes of either."""

import pytest

from harness import Problem, State

ON = {"SO_KEEPALIVE": 1}
OWN = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 2}
BOUNDED = {
    "SO_KEEPALIVE": 1,
    "TCP_KEEPIDLE": 1,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": 20,
    "TCP_USER_TIMEOUT": 2500,
}


@pytest.mark.tuned(keepalive_time=60, keepalive_interval=60, keepalive_probes=9)
@pytest.mark.measures("keep_own_time", "keep_own_ladder", "keep_own_timeout")
def test_established_keepalive_follows_the_socket_options(reach, documented):
    """A socket's own options decide when its connection is probed and given up."""
    peer = reach(State.ESTABLISHED, options=OWN)
    began = peer.last_sent_stamp
    reading = peer.socket.receive()
    peer.expect(". 0:0(0) ack 1", within=5.0)
    documented("keep_own_time").judge(peer.last_stamp - began)
    peer.wait_until(reading.finished, within=15.0)
    documented("keep_own_ladder").judge(peer.history(". 0:0(0) ack 1"))
    documented("keep_own_timeout").judge(reading.outcome, after=reading.after(began))


@pytest.mark.measures("keep_user_timeout")
def test_established_user_timeout_decides_over_keepalive(reach, documented):
    """With a user timeout a dead connection is given up by that time, not by the probes' number."""
    peer = reach(State.ESTABLISHED, options=BOUNDED)
    began = peer.last_sent_stamp
    reading = peer.socket.receive()
    peer.wait_until(reading.finished, within=12.0)
    documented("keep_user_timeout").judge(reading.outcome, after=reading.after(began))


@pytest.mark.measures("keep_connect_user_timeout")
def test_syn_sent_user_timeout_does_not_count(target, peer, documented):
    """A user timeout acts on connections that are open, not on one that is being opened."""
    attempt = target.connect(peer.port(2017), options={"TCP_USER_TIMEOUT": 1500})
    peer.collect("S 0:0(0)", until=attempt.finished)
    documented("keep_connect_user_timeout").judge(attempt.outcome, after=attempt.elapsed)


@pytest.mark.measures("keep_probe_reset_receive")
def test_established_probe_answered_by_a_reset_ends_the_connection(target, reach, documented):
    """A peer that has lost the connection answers a probe with RST; the application is told."""
    peer = reach(State.ESTABLISHED, options=ON)
    reading = peer.socket.receive()
    peer.expect(". 0:0(0) ack 1", within=target.knob("keepalive_time") * 1.5)
    peer.send("R 1:1(0)")
    documented("keep_probe_reset_receive").judge(reading.wait(1.0).outcome)


@pytest.mark.measures("keep_dropped_answer", "keep_dropped_garbage_answer")
def test_closed_probe_of_a_connection_that_is_gone_is_reset(reach):
    """A probe for a connection that does not exist any more draws a RST."""
    peer = reach(State.CLOSED)
    peer.answer(". 0:0(0) ack 77", measure="keep_dropped_answer")
    peer.answer(". 0:1(1) ack 77", measure="keep_dropped_garbage_answer")


@pytest.mark.measures("keep_garbage_answer", "keep_garbage_octets")
def test_established_probe_with_an_octet_of_garbage_is_answered(reach, documented):
    """A probe that carries an old octet is answered, and the octet is not delivered."""
    peer = reach(State.ESTABLISHED)
    peer.answer(". 0:1(1) ack 1", measure="keep_garbage_answer")
    peer.send("P. 1:4(3) ack 1")
    documented("keep_garbage_octets").judge(len(peer.socket.receive().wait(1.0).value or b""))


@pytest.mark.measures("keep_probe_octets")
def test_established_probe_may_carry_an_octet(target, reach, documented):
    """A keepalive probe carries no data, or one octet of garbage."""
    peer = reach(State.ESTABLISHED, options=ON)
    probe = peer.expect(". *:*(*) ack 1", within=target.knob("keepalive_time") * 1.5)
    documented("keep_probe_octets").judge(len(probe.payload))


@pytest.mark.measures("keep_outstanding")
def test_established_with_data_outstanding_is_not_probed(reach, documented):
    """While data is outstanding no keepalive is sent: the retransmissions tell enough."""
    peer = reach(State.ESTABLISHED, options={**ON, "TCP_KEEPIDLE": 2})
    peer.socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    peer.wait(3.0)
    came = peer.history(". *:*(*) ack 1").segments
    documented("keep_outstanding").judge(sum(not one.payload for one in came))


@pytest.mark.measures("keep_cut_states", "keep_cut_data")
def test_established_cut_link_does_not_end_the_connection(target, reach, documented):
    """A connection without traffic survives a cut link, and carries data when it is back."""
    peer = reach(State.ESTABLISHED)
    rule = target.firewall("-I INPUT -p tcp -j DROP")
    peer.send("P. 1:11(10) ack 1")
    peer.fence()
    peer.wait(2.0)
    documented("keep_cut_states").judge([peer.state()])
    rule.remove()
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11", measure="keep_cut_data")


@pytest.mark.measures("keep_probe_unreachable")
def test_established_probe_that_cannot_be_delivered(target, reach, documented):
    """ICMP's answer to a probe on a cut path."""
    peer = reach(State.ESTABLISHED, options=ON)
    reading = peer.socket.receive()
    peer.expect(". 0:0(0) ack 1", within=target.knob("keepalive_time") * 1.5)
    peer.send_icmp(Problem.HOST_UNREACHABLE)
    peer.wait_until(reading.finished)
    documented("keep_probe_unreachable").judge(reading.outcome)


@pytest.mark.measures("keep_crashed_send", "keep_crashed_answer")
def test_established_crashed_peer_that_is_back_can_connect_again(reach, documented):
    """A peer that crashed, and is back, resets the old connection and opens a new one."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    peer.send("R 1:1(0)")
    peer.fence()
    documented("keep_crashed_send").judge(peer.socket.send(5).wait(1.0).outcome)
    peer.send("S 90000:90000(0) <mss 1460>")
    documented("keep_crashed_answer").judge(peer.observe(), within=1.0)
