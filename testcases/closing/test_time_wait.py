"""TIME-WAIT: its length, its restart, and what may use its ports."""

import pytest

from harness import By, State

TIMESTAMPS = "<mss 1460,nop,nop,TS val 1000 ecr 0>"


@pytest.mark.tuned(orphan_fin_wait_2_timeout=7)
@pytest.mark.measures("time_wait_duration")
def test_time_wait_lasts_as_documented(reach, documented):
    """TIME-WAIT lasts twice the MSL."""
    peer = reach(State.TIME_WAIT)
    documented("time_wait_duration").judge(peer.target_leaves(State.TIME_WAIT))


@pytest.mark.tuned(orphan_fin_wait_2_timeout=7)
@pytest.mark.measures("time_wait_late_fin", "time_wait_restart_duration")
def test_time_wait_late_fin_is_acknowledged_and_restarts_the_wait(reach, documented):
    """A repeated FIN is acknowledged in TIME-WAIT, which then lasts twice the MSL from there."""
    peer = reach(State.TIME_WAIT)
    peer.wait(5.0)
    peer.send("F. 1:1(0) ack 2")
    peer.expect(". 2:2(0) ack 2", within=0.5, measure="time_wait_late_fin")
    documented("time_wait_restart_duration").judge(peer.target_leaves(State.TIME_WAIT))


@pytest.mark.measures("time_wait_higher_syn")
def test_time_wait_new_syn_above_the_window_may_reopen(reach):
    """A SYN numbered above all that was used may open a new incarnation from TIME-WAIT."""
    peer = reach(State.TIME_WAIT)
    peer.answer("S 200000:200000(0) <mss 1460>", measure="time_wait_higher_syn")


@pytest.mark.measures("time_wait_lower_syn")
def test_time_wait_old_syn_is_acknowledged(reach):
    """A SYN that is an old duplicate draws an acknowledgement and changes nothing."""
    peer = reach(State.TIME_WAIT)
    peer.answer("S -200000:-200000(0) <mss 1460>", measure="time_wait_lower_syn")


@pytest.mark.measures("time_wait_rst")
def test_time_wait_rst(reach, documented):
    """A RST in TIME-WAIT does not end the wait where RFC 1337 is heeded."""
    peer = reach(State.TIME_WAIT)
    peer.send("R 2:2(0)")
    peer.fence()
    documented("time_wait_rst").judge([peer.state()])


@pytest.mark.tuned(time_wait_reuse=1)
@pytest.mark.measures("time_wait_reuse_connect")
def test_time_wait_connect_reuses_the_port_when_timestamps_allow_it(target, reach, documented):
    """With timestamps a new connection may start from a port in TIME-WAIT."""
    reuse = {"SO_REUSEADDR": 1}
    peer = reach(State.TIME_WAIT, by=By.ACTIVE_OPEN, syn=TIMESTAMPS, options=reuse)
    peer.wait(2.1)
    again = peer.another(local_port=peer.local.port, remote_port=peer.remote.port)
    attempt = target.connect(again.local, source_port=again.remote.port, options=reuse)
    again.let_connect(attempt)
    documented("time_wait_reuse_connect").judge(attempt.outcome)


@pytest.mark.tuned(time_wait_reuse=0, ephemeral_port_first=41000, ephemeral_port_last=41000)
@pytest.mark.measures("time_wait_reuse_off_connect")
def test_time_wait_connect_finds_no_port_when_reuse_is_off(target, reach, documented):
    """Without reuse a port in TIME-WAIT is not chosen for a new connection."""
    peer = reach(State.TIME_WAIT, by=By.ACTIVE_OPEN, syn=TIMESTAMPS)
    peer.wait(2.1)
    again = peer.another(local_port=peer.local.port, remote_port=peer.remote.port)
    attempt = target.connect(again.local)
    again.let_connect(attempt)
    documented("time_wait_reuse_off_connect").judge(attempt.outcome)


@pytest.mark.measures("time_wait_bind")
def test_time_wait_bind_to_the_port_fails(target, reach, documented):
    """A port that has a connection in TIME-WAIT cannot be bound."""
    peer = reach(State.TIME_WAIT)
    peer.listener.close()
    documented("time_wait_bind").judge(target.socket().bind(2017).outcome)


@pytest.mark.measures("time_wait_bind_reuseaddr")
def test_time_wait_bind_with_reuseaddr_on_both_sockets(target, reach, documented):
    """SO_REUSEADDR on the old and on the new socket makes the port usable during TIME-WAIT."""
    peer = reach(State.TIME_WAIT, options={"SO_REUSEADDR": 1})
    peer.listener.close()
    socket = target.socket()
    socket.set("SO_REUSEADDR", 1)
    calls = socket.bind(2017), socket.listen()
    refused = (call.outcome for call in calls if call.outcome != "success")
    documented("time_wait_bind_reuseaddr").judge(next(refused, "success"))


@pytest.mark.measures("time_wait_bind_reuseaddr_new_only")
def test_time_wait_bind_with_reuseaddr_on_the_new_socket_only(target, reach, documented):
    """SO_REUSEADDR on the new socket makes the port usable during TIME-WAIT."""
    peer = reach(State.TIME_WAIT)
    peer.listener.close()
    socket = target.socket()
    socket.set("SO_REUSEADDR", 1)
    documented("time_wait_bind_reuseaddr_new_only").judge(socket.bind(2017).outcome)
