"""Recovery: reordering, lost retransmissions, spurious time-outs, and what a path was like."""

import pytest

from harness import FAR, State

RENO = {"TCP_CONGESTION": "reno"}
SIZE = 1400
SYN = f"<mss {SIZE}>"
SELECTIVE = f"<mss {SIZE},sackOK>"
FIRST = f". 1:{1 + SIZE}({SIZE}) ack 1"
SOON = 0.01
"""Seconds by which a round trip may be longer than it is meant to be."""


def flight(peer):
    """Return the segments that come, unacknowledged."""
    return peer.collect(". *:*(*)", until=0.1).segments


def duplicates_needed(peer):
    """Acknowledge nothing again and again; return how often until the first segment is repeated."""
    # Later than that, it would be because of a time-out.
    with peer.at_once(2 * FAR):
        peer.socket.send(100_000)
        flight(peer)
        for count in range(1, 9):
            peer.send(". 1:1(0) ack 1")
            peer.fence()
            if len(peer.history(FIRST).stamps) > 1:
                return count
    return 0


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("reordering_duplicates", "reordering_value")
def test_established_degree_of_reordering_at_first(reach, documented):
    """The degree of reordering is how many duplicates it takes to see a loss."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN, round_trip=FAR)
    documented("reordering_value").judge(peer.socket.reported("reordering"))
    documented("reordering_duplicates").judge(duplicates_needed(peer))


@pytest.mark.tuned(tail_loss_probe=0, reordering=5)
@pytest.mark.measures("reordering_set_duplicates")
def test_established_degree_of_reordering_can_be_set(reach, documented):
    """With a higher degree more duplicates are needed."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN, round_trip=FAR)
    documented("reordering_set_duplicates").judge(duplicates_needed(peer))


def reordered(peer):
    """Acknowledge a flight from its end to its beginning; return the degree that is thought of."""
    peer.socket.send(100_000)
    flight(peer)
    for number in range(8, 0, -1):
        left = 1 + number * SIZE
        peer.send(f". 1:1(0) ack 1 <nop,nop,sack {left}:{1 + 9 * SIZE}>")
    peer.send(f". 1:1(0) ack {1 + 9 * SIZE}")
    peer.fence()
    return peer.socket.reported("reordering")


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("reordering_learned")
def test_established_degree_of_reordering_is_learned(reach, documented):
    """What comes in another order than it was sent makes the degree larger."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SELECTIVE)
    documented("reordering_learned").judge(reordered(peer))


@pytest.mark.tuned(tail_loss_probe=0, most_reordering=4)
@pytest.mark.measures("reordering_limited")
def test_established_degree_of_reordering_has_a_limit(reach, documented):
    """However much is reordered, the degree stays within its limit."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SELECTIVE)
    documented("reordering_limited").judge(reordered(peer))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("lost_retransmission_repeated", "lost_retransmission_threshold")
def test_established_lost_retransmission_is_noticed_before_the_timer(reach, documented):
    """When what was sent after a retransmission arrives, and it does not, it is sent again."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SELECTIVE)
    peer.socket.send(200_000)
    came = flight(peer)
    with peer.at_once():
        for number in range(2, 5):
            right = 1 + number * SIZE
            peer.send(f". 1:1(0) ack 1 <nop,nop,sack {1 + SIZE}:{right}>")
        peer.fence()
        again = len(peer.history(FIRST).stamps)
        for number in range(5, len(came) + 4):
            right = 1 + number * SIZE
            peer.send(f". 1:1(0) ack 1 <nop,nop,sack {1 + SIZE}:{right}>")
            peer.fence()
        third = len(peer.history(FIRST).stamps)
    documented("lost_retransmission_repeated").judge(again == 2 and third > 2)
    documented("lost_retransmission_threshold").judge(
        peer.socket.reported("snd_ssthresh") <= max(len(came) / 2, 2)
    )


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("lost_retransmission_window")
def test_established_lost_retransmission_is_another_loss(reach, documented):
    """When a retransmission is lost too, the window is halved once more."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SELECTIVE)
    peer.socket.send(400_000)
    for one in flight(peer):
        peer.send(f". 1:1(0) ack {one.seq + SIZE}")
    came = flight(peer)
    at = came[0].seq
    for number in range(2, len(came) + 4):
        peer.send(f". 1:1(0) ack {at} <nop,nop,sack {at + SIZE}:{at + number * SIZE}>")
        peer.fence()
    first = f". {at}:{at + SIZE}({SIZE}) ack 1"
    peer.wait_until(lambda: len(peer.history(first).stamps) > 2, within=30.0)
    newest = max(one.seq + len(one.payload) for one in peer.history(". *:*(*)").segments)
    peer.send(f". 1:1(0) ack {newest}")
    peer.fence()
    window = peer.socket.reported("snd_cwnd")
    documented("lost_retransmission_window").judge(window <= len(came) / 4 + 1)


def new_after_time_out(reach):
    """Let a flight time out and acknowledge two of it; return whether new data comes first."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(200_000)
    newest = max(one.seq for one in flight(peer))
    peer.wait_until(lambda: len(peer.history(FIRST).stamps) > 1, within=30.0)
    peer.discard()
    peer.send(f". 1:1(0) ack {1 + 2 * SIZE}")
    return peer.expect(". *:*(*)").seq > newest


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("forward_recovery_new")
def test_established_spurious_time_out_is_looked_for(reach, documented):
    """An acknowledgment that advances after a time-out draws new data first, not old."""
    documented("forward_recovery_new").judge(new_after_time_out(reach))


@pytest.mark.tuned(tail_loss_probe=0, forward_rto_recovery=0)
@pytest.mark.measures("plain_recovery_new")
def test_established_time_out_without_forward_recovery_repeats_all(reach, documented):
    """Without F-RTO an acknowledgment that advances has the next segment sent again."""
    documented("plain_recovery_new").judge(new_after_time_out(reach))


NODELAY = {"TCP_NODELAY": 1}


def repeated_size(peer):
    """Let small segments time out; return the octets of the first retransmission."""
    for _ in range(5):
        peer.socket.send(10).wait(1.0)
    peer.collect("P. *:*(10)", until=0.05)
    return len(peer.expect("P. 1:*(*) ack 1", within=30.0).payload)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("repeated_small_size")
def test_established_small_segments_are_repeated_together(reach, documented):
    """What was sent in small segments is sent again in a larger one."""
    peer = reach(State.ESTABLISHED, options=NODELAY)
    documented("repeated_small_size").judge(repeated_size(peer))


@pytest.mark.tuned(tail_loss_probe=0, retransmissions_collapse=0)
@pytest.mark.measures("repeated_same_size")
def test_established_small_segments_can_be_repeated_as_they_were(reach, documented):
    """Told so, a stack sends again what it sent before."""
    peer = reach(State.ESTABLISHED, options=NODELAY)
    documented("repeated_same_size").judge(repeated_size(peer))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("data_second_rto")
def test_established_time_out_follows_from_all_round_trips(peer, target, documented):
    """The second round trip is smoothed into the time-out that the first one gave."""
    listener = target.listen(2017)
    peer.send("S 0:0(0) <mss 1400>")
    answered = peer.expect("S. 0:0(0) ack 1")
    # A round trip that is longer is one of which the documents expect another time-out.
    with peer.at_once(0.3 + SOON):
        peer.wait(0.3)
        peer.send(". 1:1(0) ack 1")
    socket = listener.accept().wait(1.0).socket
    socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    with peer.at_once(0.6 + SOON):
        peer.wait(0.6)
        peer.send(". 1:1(0) ack 6")
    socket.send(5)
    peer.expect("P. 6:11(5) ack 1")
    sent = peer.last_stamp
    peer.expect("P. 6:11(5) ack 1", within=30.0)
    documented("data_second_rto").judge(peer.last_stamp - sent)
    assert answered.syn


@pytest.mark.measures("flight_without_mss")
def test_established_syn_ack_without_mss_does_not_open_the_window(peer, target, documented):
    """A SYN-ACK without an MSS option makes the first flight no larger than one with it."""
    flights = []
    for options in ("<>", "<mss 536>"):
        other = peer.another()
        call = target.connect(other.port(2018))
        other.expect("S 0:0(0)")
        other.send(f"S. 0:0(0) ack 1 {options}".replace(" <>", ""))
        other.expect(". 1:1(0) ack 1")
        call.wait(1.0).socket.send(100_000)
        flights.append(len(flight(other)))
    documented("flight_without_mss").judge(0 < flights[0] <= flights[1])
