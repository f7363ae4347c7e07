"""Congestion: windows after a lost SYN, a loss, idleness, a smaller MTU, and with SACK."""

import itertools

import pytest

from harness import Problem, State

RENO = {"TCP_CONGESTION": "reno"}
SIZE = 1400
SYN = f"<mss {SIZE}>"
SELECTIVE = f"<mss {SIZE},sackOK>"
SMALL = {"ipv4": 600, "ipv6": 1280}
"""An MTU in octets; IPv6 has none that is smaller."""


def flight(peer, *, acknowledge=True):
    """Return how many segments come, and acknowledge each of them."""
    segments = peer.collect(". *:*(*)", until=0.1).segments
    for segment in segments if acknowledge else ():
        peer.send(f". 1:1(0) ack {segment.seq + len(segment.payload)}")
    return len(segments)


def newest(peer):
    """Return the number after the last octet that has come."""
    return max((one.seq + len(one.payload) for one in peer.history(".").segments), default=1)


@pytest.mark.measures("syn_lost_flight")
def test_established_lost_syn_ack_makes_the_first_flight_one_segment(target, peer, documented):
    """When the SYN-ACK was lost, the connection begins with one segment."""
    listener = target.listen(2017, options=RENO)
    peer.send(f"S 0:0(0) {SYN}")
    peer.expect("S. 0:0(0) ack 1")
    peer.expect("S. 0:0(0) ack 1", within=30.0)
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0).socket.send(50_000)
    documented("syn_lost_flight").judge(flight(peer, acknowledge=False))


def late(target, peer):
    """Acknowledge the third SYN-ACK only, and let much be sent; return the peer."""
    listener = target.listen(2017, options=RENO)
    peer.send(f"S 0:0(0) {SYN}")
    for _ in range(3):
        peer.expect("S. 0:0(0) ack 1", within=30.0)
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0).socket.send(50_000)
    return peer


@pytest.mark.measures("late_syn_ack_flight", "late_third_ack_flight")
def test_established_handshake_does_not_open_the_window(target, peer, documented):
    """Neither the SYN-ACK nor its acknowledgment makes a window of one segment larger.

    Some take a handshake to have met congestion only when it was repeated twice.
    """
    attempt = target.connect(peer.port(2018), options=RENO)
    for _ in range(3):
        peer.expect("S 0:0(0)", within=30.0)
    peer.send(f"S. 0:0(0) ack 1 {SYN}")
    peer.expect(". 1:1(0) ack 1")
    attempt.wait(1.0).socket.send(50_000)
    documented("late_syn_ack_flight").judge(flight(peer, acknowledge=False))
    caller = peer.another(remote_port=2017)
    documented("late_third_ack_flight").judge(flight(late(target, caller), acknowledge=False))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("smaller_path_window")
def test_established_smaller_mtu_makes_the_window_smaller(reach, target, documented):
    """When segments turn out to be too large, no more of them are sent for being smaller."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(400_000)
    flight(peer, acknowledge=False)
    before = peer.socket.info()["snd_cwnd"]
    peer.send_icmp(Problem.TOO_BIG, mtu=SMALL[target.family])
    size = len(peer.expect(". 1:*(*) ack 1", within=5.0).payload)
    window = peer.socket.info()
    documented("smaller_path_window").judge(window["snd_cwnd"] * window["snd_mss"] <= before * size)


@pytest.mark.measures("congestion_option", "congestion_inherited", "initial_threshold")
def test_established_congestion_control_can_be_chosen(reach, documented):
    """The algorithm of a socket can be chosen, and an accepted one has its listener's."""
    peer = reach(State.ESTABLISHED, options=RENO)
    documented("congestion_option").judge(peer.listener.socket.get("TCP_CONGESTION"))
    documented("congestion_inherited").judge(peer.socket.get("TCP_CONGESTION"))
    documented("initial_threshold").judge(peer.socket.info()["snd_ssthresh"])


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("avoidance_growth", "avoidance_by_one", "inflated_segments")
def test_established_after_a_loss_the_window_grows_slowly(reach, documented):
    """Beyond the threshold a round trip adds one segment at most."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(400_000)
    flight(peer)
    at = newest(peer)
    first = flight(peer, acknowledge=False)
    for _ in range(3):
        peer.send(f". 1:1(0) ack {at}")
    flight(peer, acknowledge=False)
    for _ in range(first - 3):
        peer.send(f". 1:1(0) ack {at}")
    documented("inflated_segments").judge(flight(peer, acknowledge=False))
    peer.send(f". 1:1(0) ack {newest(peer)}")
    flights = [flight(peer) for _ in range(4)]
    growth = [later - earlier for earlier, later in itertools.pairwise(flights)]
    documented("avoidance_growth").judge(max(growth))
    documented("avoidance_by_one").judge(0 < flights[-1] - flights[0] <= len(growth))


def after_idleness(peer):
    """Return the first flight, a later one, and the first after a second without traffic."""
    peer.socket.send(10 * SIZE)
    first = flight(peer)
    for _ in range(3):
        peer.socket.send(100 * SIZE)
        grown = flight(peer)
    while flight(peer):
        pass
    peer.wait(1.0)
    peer.socket.send(100 * SIZE)
    return first, grown, flight(peer, acknowledge=False)


@pytest.mark.lasts(2)
@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("idle_flight_is_initial", "idle_flight_decays")
def test_established_idle_connection_begins_with_slow_start_again(reach, documented):
    """After an idle time the first flight is no larger than that of a new connection."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    first, grown, idle = after_idleness(peer)
    documented("idle_flight_is_initial").judge(idle <= first)
    documented("idle_flight_decays").judge(idle < grown)


@pytest.mark.lasts(2)
@pytest.mark.tuned(tail_loss_probe=0, slow_start_after_idle=0)
@pytest.mark.measures("idle_flight_kept")
def test_established_idle_connection_keeps_its_window_where_it_is_told_to(reach, documented):
    """With the knob off an idle time does not make the congestion window smaller."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    first, _, idle = after_idleness(peer)
    documented("idle_flight_kept").judge(idle > first)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("sack_recovery_segments", "sack_timeout_first", "sack_reneged")
def test_established_selective_acknowledgments_spare_what_has_arrived(reach, documented):
    """What was selectively acknowledged is not sent again, unless its receiver dropped it."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SELECTIVE)
    peer.socket.send(5 * SIZE)
    # A stack may keep room for options that it does not send: then nothing below is about it.
    peer.expect(f". 1:{1 + SIZE}({SIZE}) ack 1")
    flight(peer, acknowledge=False)
    for last in range(2, 6):
        peer.send(f". 1:1(0) ack 1 <nop,nop,sack {1 + SIZE}:{1 + last * SIZE}>")
    documented("sack_recovery_segments").judge(flight(peer, acknowledge=False))
    documented("sack_timeout_first").judge(peer.observe(30.0), within=30.0)
    peer.send(f". 1:1(0) ack {1 + SIZE}")
    again = peer.observe(30.0)
    documented("sack_reneged").judge(again, within=30.0)
