"""Silence: how often a SYN is repeated under which setting, and what comes late."""

import pytest

from harness import By, State


def attempt_in_silence(target, peer, **options):
    """Let connect() fail for want of an answer; return the call and the SYNs."""
    attempt = target.connect(peer.port(2017), options=options)
    return attempt, peer.collect("S 0:0(0)", until=attempt.finished)


@pytest.mark.tuned(syn_linear_timeouts=0)
@pytest.mark.measures("syncnt_repetitions")
def test_syn_sent_socket_option_says_how_often_the_syn_is_repeated(target, peer, documented):
    """The application can say how often the SYN of its socket is sent again."""
    _, ladder = attempt_in_silence(target, peer, TCP_SYNCNT=1)
    documented("syncnt_repetitions").judge(len(ladder.intervals))


@pytest.mark.tuned(syn_linear_timeouts=0, syn_retries=1)
@pytest.mark.measures("syn_repetitions_set")
def test_syn_sent_repetitions_of_the_syn_can_be_set(target, peer, documented):
    """An administrator can say how often a SYN is sent again."""
    _, ladder = attempt_in_silence(target, peer)
    documented("syn_repetitions_set").judge(len(ladder.intervals))


@pytest.mark.tuned(synack_retries=1)
@pytest.mark.measures("synack_repetitions_set")
def test_syn_received_repetitions_of_the_syn_ack_can_be_set(reach, documented):
    """An administrator can say how often a SYN-ACK is sent again."""
    peer = reach(State.SYN_RECEIVED)
    peer.target_leaves(State.SYN_RECEIVED)
    documented("synack_repetitions_set").judge(len(peer.history("S. 0:0(0) ack 1").intervals))


@pytest.mark.tuned(syn_linear_timeouts=0, syn_retries=2)
@pytest.mark.measures("syn_ladder_exponential", "syn_sameness", "exponential_connect_timeout")
def test_syn_sent_time_outs_double_from_the_first_on(target, peer, documented):
    """Without linear time-outs each SYN waits twice as long as the one before, and is the same."""
    attempt, ladder = attempt_in_silence(target, peer)
    documented("syn_ladder_exponential").judge(ladder)
    documented("exponential_connect_timeout").judge(attempt.outcome, after=attempt.elapsed)
    same = {(one.source_port, one.seq, one.window) for one in ladder.segments}
    documented("syn_sameness").judge(len(same) == 1)


@pytest.mark.tuned(syn_linear_timeouts=0, syn_retries=3, rto_max=2)
@pytest.mark.measures("syn_ladder_with_rto_max")
def test_syn_sent_time_outs_grow_to_the_longest_at_most(target, peer, documented):
    """No time-out of a SYN is longer than the longest that is set."""
    target.knob("rto_max")
    _, ladder = attempt_in_silence(target, peer)
    documented("syn_ladder_with_rto_max").judge(ladder)


@pytest.mark.measures("user_timeout_connect")
def test_syn_sent_user_timeout_ends_the_attempt(target, peer, documented):
    """The application can say how long its connection may go without an acknowledgment."""
    attempt, _ = attempt_in_silence(target, peer, TCP_USER_TIMEOUT=2000)
    documented("user_timeout_connect").judge(attempt.outcome, after=attempt.elapsed)


@pytest.mark.measures("late_syn_ack_third_ack", "late_syn_ack_connect", "rto_after_syn_timeout")
def test_syn_sent_late_syn_ack_still_opens_and_lengthens_the_first_time_out(reach, documented):
    """A SYN-ACK after a repeated SYN opens the connection; data then begins with a longer RTO."""
    peer = reach(State.SYN_SENT)
    peer.expect("S 0:0(0)", within=30.0)
    peer.answer("S. 0:0(0) ack 1 <mss 1460>", measure="late_syn_ack_third_ack")
    documented("late_syn_ack_connect").judge(peer.call.wait(1.0).outcome)
    peer.socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    first = peer.last_stamp
    peer.expect(". 1:11(10) ack 1", within=30.0)
    documented("rto_after_syn_timeout").judge(peer.last_stamp - first)


@pytest.mark.measures("late_third_ack", "late_third_ack_accept")
def test_syn_received_late_third_ack_still_opens(reach, documented):
    """A third ACK after a repeated SYN-ACK opens the connection."""
    peer = reach(State.SYN_RECEIVED)
    peer.expect("S. 0:0(0) ack 1", within=30.0)
    peer.send(". 1:1(0) ack 1")
    documented("late_third_ack").judge([peer.reaches(State.ESTABLISHED)])
    documented("late_third_ack_accept").judge(peer.listener.accept().wait(1.0).outcome)


@pytest.mark.measures("repeated_syn_ack_answer", "repeated_syn_ack_states")
def test_established_syn_ack_once_more_is_acknowledged_again(reach, documented):
    """When the third ACK was lost, the SYN-ACK that comes again is acknowledged again."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN)
    peer.answer("S. 0:0(0) ack 1 <mss 1460>", measure="repeated_syn_ack_answer")
    documented("repeated_syn_ack_states").judge([peer.state()])


@pytest.mark.measures("repeated_syns_connections", "repeated_syns_isn")
def test_listen_the_same_syn_many_times_makes_one_connection(target, peer, documented):
    """A SYN that comes again and again makes one connection, with one and the same number."""
    target.listen(2017)
    for _ in range(3):
        peer.send("S 0:0(0) <mss 1460>")
        peer.fence()
    answers = peer.history("S. ack 1").segments
    documented("repeated_syns_connections").judge(len(target.rows(State.SYN_RECEIVED)))
    documented("repeated_syns_isn").judge(len({one.seq for one in answers}))
