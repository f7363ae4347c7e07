"""SYN-RECEIVED: the third acknowledgement late, wrong, or lost."""

import pytest

from harness import State


@pytest.mark.measures(
    "synack_retry_ladder",
    "embryonic_lifetime",
    "embryonic_end",
    "third_ack_lost_answer",
    "third_ack_lost_late_ack",
)
def test_syn_received_silence_repeats_the_syn_ack_until_it_is_given_up(reach, documented):
    """A SYN-ACK nobody acknowledges is sent again; then the embryonic connection is forgotten."""
    peer = reach(State.SYN_RECEIVED)
    lifetime = peer.target_leaves(State.SYN_RECEIVED, since=peer.history("S.").began)
    repeated = peer.observe(0.0)

    documented("third_ack_lost_answer").judge(repeated)
    documented("synack_retry_ladder").judge(peer.history("S. 0:0(0) ack 1"))
    documented("embryonic_lifetime").judge(lifetime)
    documented("embryonic_end").judge(peer.observe(0.0, skip=["S. 0:0(0) ack 1"]))
    peer.answer(". 1:1(0) ack 1", measure="third_ack_lost_late_ack")


@pytest.mark.measures("third_ack_lost_data")
def test_syn_received_data_instead_of_the_third_ack_establishes(reach):
    """Data that acknowledges the SYN-ACK does what the lost third segment would have done."""
    peer = reach(State.SYN_RECEIVED)
    peer.answer("P. 1:11(10) ack 1", measure="third_ack_lost_data", within=0.5)


@pytest.mark.measures("syn_received_bad_ack")
def test_syn_received_wrong_acknowledgement_is_reset(reach):
    """In SYN-RECEIVED an acknowledgement of what was not sent is answered with a RST."""
    peer = reach(State.SYN_RECEIVED)
    peer.answer(". 1:1(0) ack 77", measure="syn_received_bad_ack")


@pytest.mark.measures("syn_received_duplicate_syn")
def test_syn_received_the_same_syn_again_is_answered_again(reach):
    """In SYN-RECEIVED the SYN once more draws an answer, and no second connection."""
    peer = reach(State.SYN_RECEIVED)
    peer.answer("S 0:0(0) <mss 1460>", measure="syn_received_duplicate_syn")


@pytest.mark.measures("syn_received_rst")
def test_syn_received_rst_returns_to_listen(reach, documented):
    """A RST ends an embryonic connection from a passive open without a word."""
    peer = reach(State.SYN_RECEIVED)
    peer.send("R 1:1(0)")
    peer.fence()
    documented("syn_received_rst").judge([peer.state()])
