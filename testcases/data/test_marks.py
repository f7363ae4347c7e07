"""Marks: congestion that is told by marks instead of losses, once both sides have agreed."""

import pytest

from harness import State

RENO = {"TCP_CONGESTION": "reno"}
SIZE = 1400
ECT, CE = 2, 3
COUNTERS = "<kind-172 0x000001000001000001,nop>"
"""The option of Accurate ECN, of a peer to which no octet was sent."""


def agreed(target, peer, **options):
    """Open a connection whose sides agree on marks; return its socket."""
    listener = target.listen(2017, options={**RENO, **options})
    peer.send(f"SEW 0:0(0) <mss {SIZE}>")
    peer.expect("SE. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    return listener.accept().wait(1.0).socket


def mark(datagrams, wanted):
    """Return the marks, without repetition, of the segments that are wanted."""
    return {one.tos & CE for one in datagrams if one.segment and wanted(one.segment)}


@pytest.mark.tuned(tail_loss_probe=0, ecn=1)
@pytest.mark.measures("mark_data", "mark_acknowledgment", "mark_retransmission")
def test_established_data_is_sent_with_a_mark_and_acknowledgments_without(target, peer, documented):
    """New data is marked as capable of ECN; retransmissions and bare ACKs are not."""
    socket = agreed(target, peer)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")
    bare = mark(peer.datagrams, lambda one: not one.payload and not one.syn)
    documented("mark_acknowledgment").judge(max(bare, default=CE))
    socket.send(10)
    peer.expect("P. 1:11(10) ack 11")
    documented("mark_data").judge(peer.datagrams[-1].tos & CE)
    peer.expect("P. 1:11(10) ack 11", within=30.0)
    documented("mark_retransmission").judge(peer.datagrams[-1].tos & CE)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("mark_ce_answer", "mark_ce_next", "mark_ce_reduced")
def test_established_congestion_is_told_until_the_peer_has_heard(target, peer):
    """A CE mark is answered with ECE in every ACK until the peer says CWR."""
    agreed(target, peer)
    peer.send("P. 1:11(10) ack 1", tos=CE)
    peer.expect(".E 1:1(0) ack 11", measure="mark_ce_answer")
    peer.send("P. 11:21(10) ack 1", tos=ECT)
    peer.expect(".E 1:1(0) ack 21", measure="mark_ce_next")
    peer.send("PW. 21:31(10) ack 1", tos=ECT)
    peer.expect(". 1:1(0) ack 31", measure="mark_ce_reduced")


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures(
    "mark_echo_threshold", "mark_echo_once", "mark_echo_window", "mark_echo_answer"
)
def test_established_echo_of_congestion_halves_the_window_and_is_confirmed(
    target, peer, documented
):
    """ECE makes the congestion window half as large, and the next new data says CWR."""
    socket = agreed(target, peer)
    socket.send(50_000)
    flight = len(peer.collect(". *:*(*)", until=0.1).segments)
    peer.send(f".E 1:1(0) ack {1 + 2 * SIZE}")
    peer.fence()
    threshold = socket.info()["snd_ssthresh"]
    documented("mark_echo_threshold").judge(threshold <= flight / 2)
    peer.send(f".E 1:1(0) ack {1 + 4 * SIZE}")
    peer.fence()
    documented("mark_echo_once").judge(socket.info()["snd_ssthresh"] == threshold)
    early = peer.observe(0.1)
    peer.send(f". 1:1(0) ack {1 + flight * SIZE}")
    peer.fence()
    documented("mark_echo_window").judge(socket.info()["snd_cwnd"] <= flight / 2 + 1)
    later = peer.observe(0.3)
    first = next((one for one in (early, later) if one is not None), None)
    documented("mark_echo_answer").judge(first, within=0.3)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("mark_window_probe")
def test_established_window_probe_is_not_marked(target, peer, documented):
    """A window probe is not marked as capable of ECN."""
    socket = agreed(target, peer)
    peer.send(". 1:1(0) ack 1 win 0")
    peer.fence()
    socket.send(10)
    peer.expect(". *:*(*) ack 1", within=30.0)
    documented("mark_window_probe").judge(peer.datagrams[-1].tos & CE)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("mark_not_agreed")
def test_established_data_is_not_marked_where_nobody_agreed(reach, documented):
    """Without agreement data is not marked as capable of ECN."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(10)
    peer.expect("P. 1:11(10) ack 1")
    documented("mark_not_agreed").judge(peer.datagrams[-1].tos & CE)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("mark_outside")
def test_established_mark_outside_the_window_is_ignored(target, peer):
    """A CE mark on a segment outside the window is not told."""
    agreed(target, peer)
    peer.send("P. 900000:900010(10) ack 1", tos=CE)
    peer.expect(". 1:1(0) ack 1")
    peer.send("P. 1:11(10) ack 1", tos=ECT)
    peer.expect(". 1:1(0) ack 11", measure="mark_outside")


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("mark_reopened_answer", "mark_reopened_data")
def test_time_wait_new_connection_agrees_anew(target, peer, documented):
    """What was agreed does not outlive the connection: another one from its ports has no marks."""
    listener = target.listen(2017)
    peer.send(f"SEW 0:0(0) <mss {SIZE}>")
    peer.expect("SE. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0).socket.shutdown("write")
    peer.expect("F. 1:1(0) ack 1")
    peer.send("F. 1:1(0) ack 2")
    peer.expect(". 2:2(0) ack 2")
    peer.answer(f"S 200000:200000(0) <mss {SIZE}>", measure="mark_reopened_answer")
    peer.send(f". 200001:200001(0) ack {peer.history('S.').newest.seq + 1}")
    listener.accept().wait(1.0).socket.send(10)
    peer.expect("P. *:*(10) ack 200001")
    documented("mark_reopened_data").judge(peer.datagrams[-1].tos & CE)


@pytest.mark.tuned(tail_loss_probe=0, ecn=1)
@pytest.mark.measures("mark_single_wait")
def test_established_echo_of_congestion_at_one_segment_waits_for_the_timer(
    target, peer, documented
):
    """With a window of one segment an echo of congestion makes new data wait for the timer."""
    listener = target.listen(2017, options=RENO)
    peer.send(f"SEW 0:0(0) <mss {SIZE}>")
    peer.expect("SE. 0:0(0) ack 1")
    for _ in range(2):
        peer.observe(30.0)
    peer.send(". 1:1(0) ack 1")
    socket = listener.accept().wait(1.0).socket
    socket.send(2 * SIZE)
    peer.expect(f". 1:{1 + SIZE}({SIZE}) ack 1")
    peer.send(f".E 1:1(0) ack {1 + SIZE}")
    echoed = peer.last_sent_stamp
    timer = socket.info()["rto"] / 1e6
    later = peer.observe(30.0)
    documented("mark_single_wait").judge(
        later is not None and peer.last_stamp - echoed > 0.9 * timer
    )


def with_counters(listener, peer, options=COUNTERS):
    """Agree on Accurate ECN, and let a peer far away send twelve unmarked segments.

    Return how many of the SYN-ACK and the acknowledgments have the option.
    """
    peer.send("SEWe 0:0(0) <mss 1460>")
    peer.expect("S.W 0:0(0) ack 1")
    peer.wait(0.3)
    peer.send(f".E 1:1(0) ack 1 {options}")
    listener.accept().wait(1.0).socket.set("TCP_QUICKACK", 1)
    with peer.at_once(0.3):
        for at in range(1, 121, 10):
            peer.send(f"P. {at}:{at + 10}(10) ack 1 {options}")
            peer.fence()
    came = [one.segment for one in peer.datagrams if one.segment]
    names = [set(one.option_names().split(",")) for one in came]
    return sum(bool(of_one & {"kind-172", "kind-174"}) for of_one in names)


@pytest.mark.measures("counters_never", "counters_sparingly", "counters_always", "counters_forced")
def test_established_counters_of_accurate_ecn_are_told_as_set(target, peer, documented):
    """The option of Accurate ECN is sent never, when something changed, or always, as set."""
    settings = ("counters_never", "counters_sparingly", "counters_always", "counters_forced")
    listener = target.listen(2017)
    for value, measure in enumerate(settings):
        target.tune(ecn=3, accurate_ecn_option=value)
        documented(measure).judge(with_counters(listener, peer.another()))


@pytest.mark.measures("counters_by_default", "counters_unasked")
def test_established_counters_of_accurate_ecn_are_told_to_who_tells_them(target, peer, documented):
    """The option of Accurate ECN is sent, after the SYN-ACK, only to a peer that sends it."""
    target.tune(ecn=3)
    listener = target.listen(2017)
    documented("counters_by_default").judge(with_counters(listener, peer.another()))
    documented("counters_unasked").judge(with_counters(listener, peer.another(), "<>"))
