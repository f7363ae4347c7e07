"""Challenge: how often invalid segments are answered, and what a restarted peer makes of it."""

import pytest

from harness import State

MANY = 20
FLOOD = 2000
FAR = 1_000_000


@pytest.mark.measures("challenge_restart_answer", "challenge_restart_states", "challenge_reopen")
def test_established_restarted_peer_resets_after_the_challenge(reach, documented):
    """A restarted peer meets the challenge ACK with a RST, and can then connect again."""
    peer = reach(State.ESTABLISHED)
    peer.send("S 5000:5000(0) <mss 1460>")
    challenge = peer.expect(". 1:1(0) ack 1", measure="challenge_restart_answer")
    peer.send(f"R {challenge.ack}:{challenge.ack}(0)")
    peer.fence()
    documented("challenge_restart_states").judge([peer.state()])
    peer.send("S 5000:5000(0) <mss 1460>")
    documented("challenge_reopen").judge(peer.observe(), within=1.0)


@pytest.mark.measures("challenge_count", "challenge_later")
def test_established_many_resets_in_the_window_draw_few_challenges(reach, documented):
    """Challenge ACKs of one connection are limited in rate, and go on later."""
    peer = reach(State.ESTABLISHED)
    with peer.at_once():
        for _ in range(MANY):
            peer.send("R 101:101(0)")
        peer.fence()
    documented("challenge_count").judge(len(peer.history(".").stamps))
    peer.discard()
    peer.wait(1.0)
    peer.answer("R 101:101(0)", measure="challenge_later")


@pytest.mark.measures("challenge_invalid_count")
def test_established_many_segments_outside_the_window_draw_few_answers(reach, documented):
    """Answers to invalid segments of one connection are limited in rate."""
    peer = reach(State.ESTABLISHED)
    with peer.at_once():
        for _ in range(MANY):
            peer.send(f". {FAR}:{FAR}(0) ack 1")
        peer.fence()
    documented("challenge_invalid_count").judge(len(peer.history(".").stamps))


@pytest.mark.tuned(invalid_rate_limit=0)
@pytest.mark.measures("challenge_unlimited_count")
def test_established_without_the_limit_every_invalid_segment_is_answered(reach, documented):
    """With the limit off every segment outside the window draws an ACK."""
    peer = reach(State.ESTABLISHED)
    with peer.at_once():
        for _ in range(MANY):
            peer.send(f". {FAR}:{FAR}(0) ack 1")
        peer.fence()
    documented("challenge_unlimited_count").judge(len(peer.history(".").stamps))


@pytest.mark.measures("challenge_connections_count")
def test_established_every_connection_has_a_limit_of_its_own(reach, documented):
    """What is answered on one connection is not taken from another."""
    peers = [reach(State.ESTABLISHED, peer=reach.another()) for _ in range(MANY)]
    with peers[0].at_once():
        for peer in peers:
            peer.send("R 101:101(0)")
            peer.fence()
    answered = [peer for peer in peers if peer.history(". 1:1(0) ack 1").stamps]
    documented("challenge_connections_count").judge(len(answered))


@pytest.mark.tuned(challenge_ack_limit=4)
@pytest.mark.measures("challenge_limit_heeded")
def test_established_common_limit_of_challenges_is_heeded(reach, documented):
    """An administrator can limit the challenge ACKs of all connections together."""
    peers = [reach(State.ESTABLISHED, peer=reach.another()) for _ in range(MANY)]
    with peers[0].at_once():
        for peer in peers:
            peer.send("R 101:101(0)")
            peer.fence()
    answered = [peer for peer in peers if peer.history(". 1:1(0) ack 1").stamps]
    documented("challenge_limit_heeded").judge(0 < len(answered) < MANY)


@pytest.mark.tuned(invalid_rate_limit=0)
@pytest.mark.measures("challenge_flood_limited")
def test_established_common_limit_of_challenges_by_default(reach, documented):
    """Thousands of resets a second draw as many challenges, or no more than a common limit."""
    peer = reach(State.ESTABLISHED)
    peer.send_together(["R 101:101(0)"] * FLOOD, within=1.0)
    peer.fence()
    answers = len(peer.history(". 1:1(0) ack 1").stamps)
    documented("challenge_flood_limited").judge(0 < answers < FLOOD)
