"""Keepalive: off until asked for, its probe, its ladder and its end."""

import pytest

from harness import State

ON = {"SO_KEEPALIVE": 1}


@pytest.mark.measures("keepalive_default")
def test_closed_new_socket_has_keepalive_off(target, documented):
    """Keepalive is off unless the application asks for it."""
    documented("keepalive_default").judge(target.socket().get("SO_KEEPALIVE") != 0)


@pytest.mark.measures("keepalive_idle_silence", "idle_established_persists")
def test_established_idle_without_keepalive_stays_silent(target, reach, documented):
    """An idle connection without keepalive sends nothing and stays."""
    peer = reach(State.ESTABLISHED)
    came = peer.observe(3 * target.knob("keepalive_time"))
    documented("keepalive_idle_silence").judge(came is None)
    documented("idle_established_persists").judge(peer.state() is State.ESTABLISHED)


@pytest.mark.measures(
    "keepalive_probe",
    "keepalive_time",
    "keepalive_ladder",
    "keepalive_timeout",
    "keepalive_end",
)
def test_established_silent_peer_is_probed_and_given_up(reach, documented, target):
    """An idle connection is probed; when no probe is answered, the application gets ETIMEDOUT."""
    peer = reach(State.ESTABLISHED, options=ON)
    peer.socket.send(1)
    peer.expect(". 1:2(1) ack 1")
    peer.send("P. 1:2(1) ack 2")
    last = peer.expect(". 2:2(0) ack 2")
    peer.socket.receive().wait(1.0)
    reading = peer.socket.receive()
    began = peer.last_stamp
    probe = peer.observe(target.knob("keepalive_time") * 1.5)
    documented("keepalive_probe").judge(probe, within=target.knob("keepalive_time") * 1.5)
    documented("keepalive_time").judge(peer.last_stamp - began)

    peer.wait_until(reading.finished)
    ladder = peer.history(". 1:1(0) ack 2")
    documented("keepalive_ladder").judge(ladder)
    documented("keepalive_timeout").judge(reading.outcome, after=reading.after(began))
    documented("keepalive_end").judge(peer.observe(0.2, skip=[". 1:1(0) ack 2"]), within=0.2)
    assert last.payload == b""


@pytest.mark.tuned(keepalive_time=3, keepalive_interval=2, data_retries=3)
@pytest.mark.measures("keepalive_time_set", "keepalive_ladder_set", "keepalive_repetitions")
def test_established_probing_follows_the_settings(reach, documented):
    """An administrator can say when a connection is probed, and how often."""
    peer = reach(State.ESTABLISHED, options=ON)
    began = peer.last_sent_stamp
    reading = peer.socket.receive()
    peer.wait_until(reading.finished)
    ladder = peer.history(". 0:0(0) ack 1")
    documented("keepalive_time_set").judge(ladder.began - began)
    documented("keepalive_ladder_set").judge(ladder)
    documented("keepalive_repetitions").judge(len(ladder.intervals))


@pytest.mark.measures("keepalive_answered")
def test_established_second_probe_answered_keeps_the_connection(target, reach, documented):
    """One unanswered probe does not end a connection."""
    peer = reach(State.ESTABLISHED, options=ON)
    wait = target.knob("keepalive_time") * 1.5
    peer.expect(". 0:0(0) ack 1", within=wait)
    peer.observe(wait)
    peer.send(". 1:1(0) ack 1")
    peer.wait(target.knob("keepalive_interval") * target.knob("keepalive_probes") * 0.9)
    documented("keepalive_answered").judge([peer.state()])


@pytest.mark.measures("keepalive_postponed")
def test_established_traffic_postpones_the_probe(target, reach, documented):
    """Traffic that is more frequent than the keepalive time keeps probes away."""
    peer = reach(State.ESTABLISHED, options=ON)
    idle = target.knob("keepalive_time")
    octets = 0
    while octets < 4 and peer.observe(idle * 0.6) is None:
        octets += 1
        peer.send(f"P. {octets}:{octets + 1}(1) ack 1")
        peer.expect(f". 1:1(0) ack {octets + 1}")
    documented("keepalive_postponed").judge(octets == 4)


@pytest.mark.measures("keepalive_probe_answer")
def test_established_probe_of_the_peer_is_answered(reach):
    """A probe, an octet below RCV.NXT, is answered with an acknowledgement."""
    peer = reach(State.ESTABLISHED)
    peer.answer(". 0:0(0) ack 1", measure="keepalive_probe_answer")


@pytest.mark.measures("restarted_peer_receive")
def test_established_peer_that_lost_its_state_resets(reach, documented):
    """A peer that was restarted answers with RST, and the application is told."""
    peer = reach(State.ESTABLISHED)
    reading = peer.socket.receive()
    peer.socket.send(5)
    peer.expect(". 1:6(5) ack 1")
    peer.send("R 1:1(0)")
    documented("restarted_peer_receive").judge(reading.wait(1.0).outcome)
