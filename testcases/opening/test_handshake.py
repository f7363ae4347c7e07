"""Handshake: three segments, field by field, from both sides."""

import itertools

import pytest

from harness import State


@pytest.mark.measures(
    "syn_segment",
    "syn_ack_field",
    "syn_source_port",
    "syn_options",
    "syn_mss",
    "third_ack",
    "active_open_states",
    "connect_returns",
)
def test_closed_connect_sends_syn_and_acknowledges_the_syn_ack(target, peer, documented):
    """connect() sends a SYN, acknowledges the SYN-ACK that answers it, and then returns."""
    attempt = target.connect(peer.port(2017))
    syn = peer.expect("S 0:0(0)", measure="syn_segment")
    before = peer.state()

    documented("syn_ack_field").judge(syn.ack)
    documented("syn_source_port").judge(peer.remote.port)
    documented("syn_options").judge(syn.option_names())
    documented("syn_mss").judge(syn.mss)

    peer.send("S. 0:0(0) ack 1 <mss 1460>")
    peer.expect(". 1:1(0) ack 1", measure="third_ack")
    documented("active_open_states").judge([before, peer.reaches(State.ESTABLISHED)])
    documented("connect_returns").judge(attempt.wait(1.0).outcome)


@pytest.mark.measures("synack_segment", "passive_open_states", "accept_returns")
def test_listen_syn_is_answered_and_the_third_ack_establishes(target, peer, documented):
    """A listening port answers a SYN, and the third segment establishes the connection."""
    listener = target.listen(2017)
    waiting = listener.accept()
    peer.send("S 0:0(0) win 65535 <mss 1460>")
    peer.expect("S. 0:0(0) ack 1", measure="synack_segment")
    embryonic = peer.state()
    peer.send(". 1:1(0) ack 1")

    documented("passive_open_states").judge([embryonic, peer.reaches(State.ESTABLISHED)])
    documented("accept_returns").judge(waiting.wait(1.0).outcome)


@pytest.mark.measures(
    "synack_options_for_none",
    "synack_options_for_sack",
    "synack_options_for_wscale",
    "synack_options_for_timestamps",
    "synack_options_for_all",
)
def test_listen_syn_options_are_echoed_only_when_offered(target, peer, documented):
    """A SYN-ACK carries SACK-permitted, window scale and timestamps only if the SYN had them."""
    target.listen(2017)
    offers = {
        "synack_options_for_none": "<>",
        "synack_options_for_sack": "<sackOK>",
        "synack_options_for_wscale": "<wscale 7>",
        "synack_options_for_timestamps": "<TS val 100 ecr 0>",
        "synack_options_for_all": "<mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>",
    }
    for measure, options in offers.items():
        caller = peer.another()
        caller.send(f"S 0:0(0) {options}")
        answer = caller.expect("S. 0:0(0) ack 1")
        documented(measure).judge(answer.option_names(padding=False))


@pytest.mark.measures("synack_mss")
def test_listen_syn_with_small_mss_is_answered_with_the_own_mss(target, peer, documented):
    """The MSS is announced, not negotiated: the SYN-ACK carries the responder's own."""
    target.listen(2017)
    peer.send("S 0:0(0) <mss 500>")
    documented("synack_mss").judge(peer.expect("S. 0:0(0) ack 1").mss)


@pytest.mark.measures("syn_window_with_rcvbuf")
def test_closed_connect_with_small_receive_buffer_offers_a_smaller_window(target, peer, documented):
    """The window of the SYN reflects the receive buffer."""
    target.connect(peer.port(2017))
    usual = peer.expect("S 0:0(0)")
    other = peer.another(remote_port=0)
    target.connect(other.port(2018), options={"SO_RCVBUF": 8192})
    small = other.expect("S 0:0(0)")

    documented("syn_window_with_rcvbuf").judge(small.window < usual.window)


@pytest.mark.measures("synack_isn_independent")
def test_listen_equal_syns_from_many_ports_get_unrelated_numbers(target, peer, documented):
    """The responder's ISN depends neither on the initiator's nor on another connection's."""
    target.listen(2017, backlog=64)
    callers = [peer.another() for _ in range(16)]
    for caller in callers:
        caller.connection.iss = caller.connection.snd_nxt = 1_000_000
        caller.send("S 0:0(0) <mss 1460>")
        caller.expect("S. 0:0(0) ack 1")
    numbers = [caller.connection.irs for caller in callers]
    steps = {(later - earlier) % 2**32 for earlier, later in itertools.pairwise(numbers)}
    unrelated = len(steps) == len(numbers) - 1 and min(steps) > 2**16 and 1_000_000 not in numbers

    documented("synack_isn_independent").judge(unrelated)


@pytest.mark.measures("isn_clock_driven")
def test_closed_connect_again_from_one_port_numbers_advance_with_time(target, peer, documented):
    """The ISNs of one four-tuple advance with a clock of one tick in at most 4 microseconds."""
    numbers, stamps = [], []
    for _ in range(4):
        caller = peer.another(local_port=2017, remote_port=0)
        attempt = target.connect(caller.local, source_port=41000)
        caller.expect("S 0:0(0)")
        numbers.append(caller.connection.irs)
        stamps.append(caller.last_stamp)
        caller.send("R. 0:0(0) ack 1")
        attempt.wait(1.0).socket.close()
        caller.wait(0.4)
    rates = [
        ((b - a) % 2**32) / (v - u)
        for a, b, u, v in zip(numbers, numbers[1:], stamps, stamps[1:], strict=False)
    ]
    slowest, fastest = min(rates), max(rates)

    documented("isn_clock_driven").judge(slowest >= 250_000 * 0.99 and fastest < slowest * 1.2)
