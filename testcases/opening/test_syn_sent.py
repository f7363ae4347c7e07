"""SYN-SENT: silence, refusals that are none, and wrong acknowledgements."""

import pytest

from harness import State


@pytest.mark.measures("syn_retry_ladder", "connect_timeout", "syn_repeat_same")
def test_syn_sent_silence_repeats_the_syn_until_connect_fails(target, peer, documented):
    """A SYN nobody answers is sent again at the documented times; then connect() fails."""
    attempt = target.connect(peer.port(2017))
    ladder = peer.collect("S 0:0(0)", until=attempt.finished)

    documented("syn_retry_ladder").judge(ladder)
    documented("connect_timeout").judge(attempt.outcome, after=attempt.elapsed)
    documented("syn_repeat_same").judge(len({s.source_port for s in ladder.segments}) == 1)


@pytest.mark.measures("syn_sent_rst_wrong_ack")
def test_syn_sent_rst_that_does_not_acknowledge_the_syn_is_ignored(reach, documented):
    """In SYN-SENT a RST counts only if it acknowledges the SYN."""
    peer = reach(State.SYN_SENT)
    peer.send("R. 0:0(0) ack 77")
    peer.fence()
    documented("syn_sent_rst_wrong_ack").judge([peer.state()])


@pytest.mark.measures("syn_sent_synack_wrong_ack")
def test_syn_sent_syn_ack_that_acknowledges_something_else_is_reset(reach):
    """In SYN-SENT an acknowledgement of what was not sent is answered with a RST."""
    peer = reach(State.SYN_SENT)
    peer.answer("S. 0:0(0) ack 77", measure="syn_sent_synack_wrong_ack")
