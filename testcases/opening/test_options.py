"""Options: what is understood, what is skipped, and what is survived."""

import pytest

from harness import By, State

ALL = "<mss 1460,sackOK,nop,wscale 7>"


def largest_segment(peer, octets):
    """Let the target send so many octets; return the size of its largest segment."""
    peer.socket.send(octets)
    sizes = (len(one.payload) for one in peer.collect(".", until=0.15).segments)
    return max(sizes, default=0)


@pytest.mark.measures(
    "syn_padding",
    "syn_end_of_list",
    "syn_unknown_option",
    "syn_unknown_option_echo",
    "syn_user_timeout_option",
    "syn_accurate_ecn_option",
    "syn_several_mss",
    "syn_forty_octets_of_options",
)
def test_listen_syn_with_unusual_options_is_answered(target, peer, documented):
    """A SYN is answered whatever options it carries, as long as they can be read."""
    target.listen(2017, backlog=64)
    peer.another().answer("S 0:0(0) <nop,nop,nop,nop>", measure="syn_padding")
    peer.another().answer("S 0:0(0) <mss 600,nop,nop,nop,eol>", measure="syn_end_of_list")
    caller = peer.another()
    caller.send("S 0:0(0) <kind-253 0xcafe,mss 600>")
    found = caller.expect("S. 0:0(0) ack 1", measure="syn_unknown_option")
    documented("syn_unknown_option_echo").judge(found.option_names(padding=False))
    peer.another().answer("S 0:0(0) <kind-28 0x8001>", measure="syn_user_timeout_option")
    peer.another().answer("S 0:0(0) <kind-172 0x01>", measure="syn_accurate_ecn_option")
    peer.another().answer("S 0:0(0) <mss 600,mss 1400>", measure="syn_several_mss")
    full = "S 0:0(0) <mss 600,kind-253 0x" + "00" * 34 + ">"
    peer.another().answer(full, measure="syn_forty_octets_of_options")


@pytest.mark.measures(
    "syn_option_length_zero",
    "syn_option_length_one",
    "syn_option_length_past_header",
    "syn_mss_of_wrong_length",
    "bad_option_length_liveness",
)
def test_listen_syn_with_illegal_option_lengths_is_survived(target, peer, documented):
    """An option length that cannot be harms nothing: the next SYN is answered as ever."""
    target.listen(2017, backlog=64)
    peer.another().answer("S 0:0(0) <raw 0xfd000000>", measure="syn_option_length_zero")
    peer.another().answer("S 0:0(0) <raw 0xfd010000>", measure="syn_option_length_one")
    peer.another().answer("S 0:0(0) <raw 0xfd280000>", measure="syn_option_length_past_header")
    peer.another().answer("S 0:0(0) <raw 0x0203050100000000>", measure="syn_mss_of_wrong_length")
    peer.send("S 0:0(0) <mss 1460>")
    answer = peer.observe()
    documented("bad_option_length_liveness").judge(answer is not None and answer.syn)


@pytest.mark.measures("established_bad_option_lengths")
def test_established_illegal_option_lengths_are_survived(reach, documented):
    """After segments with illegal option lengths a connection still carries data, or was reset."""
    peer = reach(State.ESTABLISHED)
    peer.send(". 1:1(0) ack 1 <raw 0xfd000000>")
    peer.send(". 1:1(0) ack 1 <raw 0xfd010000>")
    peer.send(". 1:1(0) ack 1 <raw 0xfd280000>")
    peer.fence()
    peer.discard()
    peer.send("P. 1:11(10) ack 1")
    documented("established_bad_option_lengths").judge(peer.observe(0.5), within=0.5)


@pytest.mark.measures("non_syn_options_third_ack", "non_syn_options_data", "non_syn_options_fin")
def test_syn_received_and_after_options_may_come_in_any_segment(reach, documented):
    """Options are accepted in every segment, not only in a SYN."""
    peer = reach(State.SYN_RECEIVED)
    peer.send(". 1:1(0) ack 1 <nop,nop,kind-253 0xcafe>")
    documented("non_syn_options_third_ack").judge([peer.reaches(State.ESTABLISHED)])
    data = "P. 1:11(10) ack 1 <kind-253 0xcafecafe,nop,nop>"
    peer.answer(data, measure="non_syn_options_data", within=0.5)
    peer.answer("F. 11:11(0) ack 1 <nop,nop,nop,nop>", measure="non_syn_options_fin", within=0.5)


@pytest.mark.measures("sent_options", "sent_options_beside_syn")
def test_established_options_of_setting_up_are_sent_with_syn_only(reach, documented):
    """MSS, SACK-permitted and window scale are in SYN segments alone, and every list is right."""
    peer = reach(State.ESTABLISHED, syn=ALL, agreed=False)
    peer.socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    peer.send("P. 1:11(10) ack 11")
    peer.expect(". 11:11(0) ack 11")
    peer.socket.receive().wait(1.0)
    peer.socket.close()
    peer.expect("F. 11:11(0) ack 11")
    peer.send("P. 11:21(10) ack 12")
    peer.fence()
    sent = [one.segment for one in peer.datagrams]
    names = {name for one in sent for name in one.option_names().split(",")}
    later = {name for one in sent if not one.syn for name in one.option_names().split(",")}
    documented("sent_options").judge(",".join(sorted(names)))
    documented("sent_options_beside_syn").judge(",".join(sorted(later)))


@pytest.mark.measures("synack_timestamps_unaligned", "synack_mss_unaligned")
def test_listen_syn_options_off_word_boundaries_are_understood(reach, documented):
    """Options count wherever they begin, on a word boundary or not."""
    peer = reach(State.ESTABLISHED, syn="<nop,mss 600,nop,nop,nop>")
    documented("synack_mss_unaligned").judge(largest_segment(peer, 3000))
    odd = peer.another()
    odd.answer("S 0:0(0) <nop,TS val 77 ecr 0,eol>", measure="synack_timestamps_unaligned")


@pytest.mark.measures("send_mss_after_600")
def test_established_segments_keep_to_the_mss_of_the_syn(reach, documented):
    """No segment is larger than the MSS that the peer has announced."""
    peer = reach(State.ESTABLISHED, syn="<mss 600>")
    documented("send_mss_after_600").judge(largest_segment(peer, 3000))


@pytest.mark.measures("send_mss_after_syn_ack_of_600")
def test_established_segments_keep_to_the_mss_of_the_syn_ack(reach, documented):
    """The caller keeps to the MSS of the SYN-ACK."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN, syn="<mss 600>")
    documented("send_mss_after_syn_ack_of_600").judge(largest_segment(peer, 3000))


@pytest.mark.families("ipv4")
@pytest.mark.measures("default_send_mss_ipv4")
def test_established_without_mss_option_segments_keep_to_the_default_of_ipv4(reach, documented):
    """Whoever announces no MSS gets segments of the IPv4 default at most."""
    peer = reach(State.ESTABLISHED, syn="")
    documented("default_send_mss_ipv4").judge(largest_segment(peer, 5000))


@pytest.mark.families("ipv6")
@pytest.mark.measures("default_send_mss_ipv6")
def test_established_without_mss_option_segments_keep_to_the_default_of_ipv6(reach, documented):
    """Whoever announces no MSS gets segments of the IPv6 default at most."""
    peer = reach(State.ESTABLISHED, syn="")
    documented("default_send_mss_ipv6").judge(largest_segment(peer, 5000))


@pytest.mark.measures("send_mss_after_1")
def test_established_segments_keep_to_an_mss_of_one(reach, documented):
    """An MSS of a single octet is respected, or raised to a documented minimum."""
    peer = reach(State.ESTABLISHED, syn="<mss 1>")
    documented("send_mss_after_1").judge(largest_segment(peer, 100))


@pytest.mark.measures("send_mss_after_0")
def test_established_mss_of_zero_stops_nothing(reach, documented):
    """An MSS of zero does not keep a connection from carrying data."""
    peer = reach(State.ESTABLISHED, syn="<mss 0>")
    documented("send_mss_after_0").judge(largest_segment(peer, 3000))


@pytest.mark.measures("wscale_above_limit_flight")
def test_established_window_scale_above_the_limit_counts_as_the_limit(reach, documented):
    """A window scale of more than 14 is used as 14."""
    peer = reach(State.ESTABLISHED, syn="<mss 1000,nop,wscale 15>", window=1)
    peer.fence()
    peer.socket.send(200_000)
    documented("wscale_above_limit_flight").judge(peer.absorb(". 1:1(0) ack {} win 1"))


@pytest.mark.tuned(sack=0, timestamps=0, window_scaling=0)
@pytest.mark.measures("syn_options_switched_off", "synack_options_switched_off")
def test_closed_and_listen_options_that_are_switched_off_are_not_sent(target, peer, documented):
    """Neither SYN nor SYN-ACK has an option that the stack is set not to use."""
    caller = peer.another(remote_port=0)
    target.connect(caller.local)
    syn = caller.expect("S 0:0(0)")
    documented("syn_options_switched_off").judge(syn.option_names(padding=False))
    target.listen(2017)
    peer.send("S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7>")
    answer = peer.expect("S. 0:0(0) ack 1")
    documented("synack_options_switched_off").judge(answer.option_names(padding=False))
