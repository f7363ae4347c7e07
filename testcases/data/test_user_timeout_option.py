"""User timeout option: what a peer asks for, and what a stack makes of it."""

import pytest

from harness import State

MINUTES = "<kind-28 0x8002>"
SECOND = "<kind-28 0x0001>"
ZERO = "<kind-28 0x0000>"


def silent(reach, option, **more):
    """Let a peer ask for a timeout and then answer nothing; return it and a recv() under way."""
    peer = reach(State.ESTABLISHED, **more)
    peer.send(f". 1:1(0) ack 1 {option}")
    peer.fence()
    reading = peer.socket.receive()
    peer.socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    return peer, reading


@pytest.mark.measures("asked_own_timeout", "asked_own_timeout_states")
def test_established_user_timeout_of_the_application_is_kept(reach, documented):
    """A timeout that the application has set is not changed by what the peer asks for."""
    peer, reading = silent(reach, MINUTES, options={"TCP_USER_TIMEOUT": 1500})
    peer.wait_until(reading.finished, within=8.0)
    documented("asked_own_timeout").judge(reading.outcome, after=reading.elapsed)
    documented("asked_own_timeout_states").judge([peer.state()])


@pytest.mark.lasts(8)
@pytest.mark.tuned(data_retries=3)
@pytest.mark.measures("asked_long_persists")
def test_established_longer_user_timeout_of_the_peer_is_adopted(reach, documented):
    """Where the application has set no timeout, the longer one that a peer asks for holds."""
    peer, _ = silent(reach, MINUTES)
    peer.wait(8.0)
    documented("asked_long_persists").judge(peer.state() is State.ESTABLISHED)


@pytest.mark.measures("asked_short_persists")
def test_established_very_short_user_timeout_of_the_peer_is_not_adopted(reach, documented):
    """A timeout of a second is below every limit."""
    peer, _ = silent(reach, SECOND)
    peer.wait(3.0)
    documented("asked_short_persists").judge(peer.state() is State.ESTABLISHED)


@pytest.mark.measures("asked_zero_persists")
def test_established_user_timeout_of_zero_is_ignored(reach, documented):
    """A timeout of zero is none."""
    peer, _ = silent(reach, ZERO)
    peer.wait(1.5)
    # The first time-out is 3 s where no round trip has been measured.
    repeated = peer.wait_until(lambda: len(peer.history("P. 1:6(5) ack 1").stamps) > 1, within=4.0)
    documented("asked_zero_persists").judge(repeated and peer.state() is State.ESTABLISHED)
