"""FIN-WAIT-2: how long an orphan waits, and that a half-closed connection does not time out."""

import pytest

from harness import By, State


@pytest.mark.measures("orphan_fin_wait_2_duration", "late_fin_after_fin_wait_2")
def test_fin_wait_2_of_an_orphan_times_out(reach, documented):
    """After close() FIN-WAIT-2 ends by itself; a FIN that comes later is refused."""
    peer = reach(State.FIN_WAIT_2, by=By.CLOSE)
    documented("orphan_fin_wait_2_duration").judge(peer.target_leaves(State.FIN_WAIT_2))
    peer.answer("F. 1:1(0) ack 2", measure="late_fin_after_fin_wait_2")


@pytest.mark.tuned(orphan_fin_wait_2_timeout=9)
@pytest.mark.measures("linger2_fin_wait_2_duration")
def test_fin_wait_2_of_an_orphan_follows_the_socket_option(reach, documented):
    """TCP_LINGER2 sets how long this socket's FIN-WAIT-2 lasts after close()."""
    peer = reach(State.FIN_WAIT_1, options={"TCP_LINGER2": 4}, by=By.CLOSE)
    peer.send(". 1:1(0) ack 2")
    peer.reaches(State.FIN_WAIT_2)
    documented("linger2_fin_wait_2_duration").judge(peer.target_leaves(State.FIN_WAIT_2))


@pytest.mark.measures("half_closed_fin_wait_2_persists")
def test_fin_wait_2_of_a_half_closed_connection_persists(target, reach, documented):
    """A connection that the application still holds waits in FIN-WAIT-2 without a time-out."""
    peer = reach(State.FIN_WAIT_2, by=By.SHUTDOWN)
    peer.wait(2 * target.knob("orphan_fin_wait_2_timeout"))
    documented("half_closed_fin_wait_2_persists").judge(peer.state() is State.FIN_WAIT_2)
