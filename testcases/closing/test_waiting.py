"""Waiting: TIME-WAIT and new incarnations, by number and by timestamp, and its knobs."""

import itertools

import pytest

from harness import By, State

BEFORE = "<mss 1460,nop,nop,TS val 1000 ecr 0>"
NEWER = "<mss 1460,nop,nop,TS val 2000 ecr 0>"
OLDER = "<mss 1460,nop,nop,TS val 500 ecr 0>"
HIGHER, LOWER = "S 200000:200000(0)", "S -200000:-200000(0)"


@pytest.mark.measures("waiting_newer_timestamp", "waiting_same_timestamp", "waiting_no_timestamp")
def test_time_wait_syn_that_is_surely_new_opens_a_new_connection(reach, documented):
    """After timestamps a newer one, or else a higher number, shows that a SYN is new."""
    for measure, syn in (
        ("waiting_newer_timestamp", f"{LOWER} {NEWER}"),
        ("waiting_same_timestamp", f"{HIGHER} {BEFORE}"),
        ("waiting_no_timestamp", f"{HIGHER} <mss 1460>"),
    ):
        peer = reach(State.TIME_WAIT, peer=reach.another(), syn=BEFORE)
        peer.send(syn)
        documented(measure).judge(peer.observe(), within=1.0)


@pytest.mark.measures("waiting_older_timestamp", "waiting_older_timestamp_states")
def test_time_wait_syn_with_an_older_timestamp_opens_nothing(reach, documented):
    """After timestamps an older one shows that a SYN is an old duplicate."""
    peer = reach(State.TIME_WAIT, syn=BEFORE)
    peer.send(f"{HIGHER} {OLDER}")
    documented("waiting_older_timestamp").judge(peer.observe(), within=1.0)
    documented("waiting_older_timestamp_states").judge([peer.state()])


@pytest.mark.measures("waiting_first_timestamp")
def test_time_wait_syn_with_the_first_timestamp(reach):
    """After a connection without timestamps a SYN that has them opens a new one."""
    peer = reach(State.TIME_WAIT)
    peer.answer(f"{LOWER} {NEWER}", measure="waiting_first_timestamp")


@pytest.mark.measures("waiting_new_isn", "waiting_old_syn_after_all")
def test_time_wait_reopened_connection_has_a_higher_number(reach, documented):
    """A connection reopened from TIME-WAIT begins above all numbers of the one before.

    When the SYN turns out to be an old duplicate, TIME-WAIT goes on.
    """
    peer = reach(State.TIME_WAIT)
    before = peer.connection.irs
    peer.send(f"{HIGHER} <mss 1460>")
    peer.expect("S. *:*(*) ack 200001")
    documented("waiting_new_isn").judge(2 < (peer.connection.irs - before) % 2**32 < 2**31)
    peer.send("R 200001:200001(0)")
    peer.fence()
    documented("waiting_old_syn_after_all").judge([peer.state()])


@pytest.mark.measures("waiting_old_data", "waiting_old_data_states")
def test_time_wait_old_data_is_acknowledged_and_changes_nothing(reach, documented):
    """Data that comes twice in TIME-WAIT draws the last ACK again."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")
    peer.socket.receive().wait(1.0)
    peer.socket.shutdown("write")
    peer.expect("F. 1:1(0) ack 11")
    peer.send("F. 11:11(0) ack 2")
    peer.expect(". 2:2(0) ack 12")
    peer.answer("P. 1:11(10) ack 1", measure="waiting_old_data")
    documented("waiting_old_data_states").judge([peer.state()])


@pytest.mark.tuned(rfc1337=1)
@pytest.mark.measures("waiting_rst_rfc1337", "waiting_rst_rfc1337_answer")
def test_time_wait_rst_with_rfc_1337_is_ignored(reach, documented):
    """A RST in TIME-WAIT is ignored where the stack is told to follow RFC 1337."""
    peer = reach(State.TIME_WAIT)
    peer.answer("R 2:2(0)", measure="waiting_rst_rfc1337_answer")
    documented("waiting_rst_rfc1337").judge([peer.state()])


@pytest.mark.tuned(rfc1337=0)
@pytest.mark.measures("waiting_rst_no_rfc1337")
def test_time_wait_rst_without_rfc_1337_ends_it(reach, documented):
    """A RST at RCV.NXT ends TIME-WAIT where nothing protects it."""
    peer = reach(State.TIME_WAIT)
    peer.send("R 2:2(0)")
    peer.fence()
    documented("waiting_rst_no_rfc1337").judge([peer.state()])


@pytest.mark.measures("waiting_rst_timestamps")
def test_time_wait_early_rst_with_timestamps(reach, documented):
    """With timestamps a RST may be ignored for the first two seconds of TIME-WAIT."""
    peer = reach(State.TIME_WAIT, syn=BEFORE)
    peer.send("R 2:2(0) <nop,nop,TS val 1001 ecr 0>")
    peer.fence()
    documented("waiting_rst_timestamps").judge([peer.state()])


@pytest.mark.tuned(max_time_wait=1)
@pytest.mark.measures("waiting_limit_states")
def test_time_wait_beyond_the_limit_is_not_kept(reach, documented):
    """When as many connections wait as may, the next one that closes is gone at once."""
    first = reach(State.TIME_WAIT, peer=reach.another())
    states = []
    for _ in range(2):
        peer = reach(State.FIN_WAIT_2, peer=reach.another())
        peer.send("F. 1:1(0) ack 2")
        peer.fence()
        states.append(peer.state())
    documented("waiting_limit_states").judge([first.state(), states[-1]])


@pytest.mark.lasts(2)
@pytest.mark.tuned(ephemeral_port_first=41000, ephemeral_port_last=41000)
@pytest.mark.measures("waiting_reuse_default_connect")
def test_time_wait_connect_on_a_link_at_the_default(target, reach, documented):
    """At the default a port in TIME-WAIT is reused on the loopback interface only."""
    peer = reach(State.TIME_WAIT, by=By.ACTIVE_OPEN, syn=BEFORE)
    peer.wait(2.1)
    again = peer.another(local_port=peer.local.port, remote_port=peer.remote.port)
    attempt = target.connect(again.local)
    again.let_connect(attempt)
    documented("waiting_reuse_default_connect").judge(attempt.outcome)


@pytest.mark.tuned(
    time_wait_reuse=1,
    time_wait_reuse_delay=3,
    ephemeral_port_first=41000,
    ephemeral_port_last=41000,
)
@pytest.mark.measures("waiting_reuse_early_connect", "waiting_reuse_late_connect")
def test_time_wait_connect_reuses_the_port_after_the_delay_only(target, reach, documented):
    """A port in TIME-WAIT is not reused before the delay is over, and is after it."""
    peer = reach(State.TIME_WAIT, by=By.ACTIVE_OPEN, syn=BEFORE)
    peer.wait(1.5)
    again = peer.another(local_port=peer.local.port, remote_port=peer.remote.port)
    attempt = target.connect(again.local)
    again.let_connect(attempt, within=1.0)
    documented("waiting_reuse_early_connect").judge(attempt.outcome)
    peer.wait(2.5)
    attempt = target.connect(again.local)
    again.let_connect(attempt)
    documented("waiting_reuse_late_connect").judge(attempt.outcome)


@pytest.mark.lasts(4)
@pytest.mark.tuned(tail_loss_probe=0, orphan_retries=2)
@pytest.mark.measures("fin_wait_1_ladder", "fin_wait_1_lifetime", "fin_wait_1_end")
def test_fin_wait_1_silence_with_few_retries_is_given_up_sooner(reach, documented):
    """How often an orphan's FIN is repeated follows the knob."""
    peer = reach(State.FIN_WAIT_1, by=By.CLOSE)
    lifetime = peer.target_leaves(State.FIN_WAIT_1, since=peer.last_stamp)
    documented("fin_wait_1_ladder").judge(peer.history("F. 1:1(0) ack 1"))
    documented("fin_wait_1_lifetime").judge(lifetime)
    documented("fin_wait_1_end").judge(peer.observe(0.0, skip=["F. 1:1(0) ack 1"]))


@pytest.mark.lasts(4)
@pytest.mark.tuned(tail_loss_probe=0, orphan_retries=2)
@pytest.mark.measures("last_ack_ladder", "last_ack_lifetime")
def test_last_ack_silence_with_few_retries_is_given_up_sooner(reach, documented):
    """In LAST-ACK, too, how often the FIN is repeated follows the knob."""
    peer = reach(State.LAST_ACK, by=By.CLOSE)
    lifetime = peer.target_leaves(State.LAST_ACK, since=peer.last_stamp)
    documented("last_ack_ladder").judge(peer.history("F. 1:1(0) ack 2"))
    documented("last_ack_lifetime").judge(lifetime)


@pytest.mark.tuned(tail_loss_probe=3, orphan_retries=3)
@pytest.mark.measures("waiting_fin_tail_probe")
def test_fin_wait_1_tail_loss_probe_repeats_the_fin_before_the_timer(reach, documented):
    """With tail loss probes on, the FIN is sent once more before time-outs begin to double."""
    peer = reach(State.FIN_WAIT_1, by=By.CLOSE, syn="<mss 1460,sackOK>")
    peer.target_leaves(State.FIN_WAIT_1, since=peer.last_stamp)
    early = itertools.pairwise(peer.history("F. 1:1(0) ack 1").intervals[:2])
    documented("waiting_fin_tail_probe").judge(any(second < first * 1.5 for first, second in early))


@pytest.mark.tuned(tail_loss_probe=0, orphan_retries=3)
@pytest.mark.measures("waiting_fin_no_tail_probe")
def test_fin_wait_1_without_tail_loss_probes_every_timeout_doubles(reach, documented):
    """With tail loss probes off, the second interval is already twice the first."""
    peer = reach(State.FIN_WAIT_1, by=By.CLOSE, syn="<mss 1460,sackOK>")
    peer.target_leaves(State.FIN_WAIT_1, since=peer.last_stamp)
    early = itertools.pairwise(peer.history("F. 1:1(0) ack 1").intervals[:2])
    documented("waiting_fin_no_tail_probe").judge(
        any(second < first * 1.5 for first, second in early)
    )
