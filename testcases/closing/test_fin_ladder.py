"""FIN ladders: a FIN nobody acknowledges, in FIN-WAIT-1 and in LAST-ACK."""

import pytest

from harness import By, State


@pytest.mark.lasts(8)
@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("fin_wait_1_ladder", "fin_wait_1_lifetime", "fin_wait_1_end")
def test_fin_wait_1_silence_repeats_the_fin_until_it_is_given_up(reach, documented):
    """A FIN nobody acknowledges is sent again with growing intervals, then given up."""
    peer = reach(State.FIN_WAIT_1, by=By.CLOSE)
    lifetime = peer.target_leaves(State.FIN_WAIT_1, since=peer.last_stamp)

    documented("fin_wait_1_ladder").judge(peer.history("F. 1:1(0) ack 1"))
    documented("fin_wait_1_lifetime").judge(lifetime)
    documented("fin_wait_1_end").judge(peer.observe(0.0, skip=["F. 1:1(0) ack 1"]))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("last_ack_ladder", "last_ack_lifetime")
def test_last_ack_silence_repeats_the_fin_until_it_is_given_up(reach, documented):
    """In LAST-ACK a FIN nobody acknowledges is sent again with growing intervals."""
    peer = reach(State.LAST_ACK, by=By.CLOSE)
    lifetime = peer.target_leaves(State.LAST_ACK, since=peer.last_stamp)

    documented("last_ack_ladder").judge(peer.history("F. 1:1(0) ack 2"))
    documented("last_ack_lifetime").judge(lifetime)
