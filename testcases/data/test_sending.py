"""Sending: Nagle and what switches it off, PSH, sizes, and how much goes out at once."""

import pytest

from harness import FAR, State

RENO = {"TCP_CONGESTION": "reno"}
SIZE = 1400
SYN = f"<mss {SIZE}>"
STAMPS = "<mss 1400,nop,nop,TS val 1000 ecr 0>"
ROUND_TRIP = 0.12
"""Seconds in which all that a window lets out has come, before it is acknowledged."""


def small_sends(peer):
    """Let the application send five octets one by one; return the segments that come at once."""
    for _ in range(5):
        peer.socket.send(1).wait(1.0)
    came = peer.collect("P. *:*(*)", until=0.1).segments
    # What comes again is no other segment.
    return list({segment.seq: segment for segment in came}.values())


@pytest.mark.measures("nagle_first", "nagle_rest")
def test_established_small_sends_wait_for_the_acknowledgment_of_the_first(reach, documented):
    """While a small segment is outstanding, further small sends are gathered."""
    peer = reach(State.ESTABLISHED)
    documented("nagle_first").judge(len(small_sends(peer)))
    peer.send(". 1:1(0) ack 2")
    peer.expect("P. 2:6(4) ack 1", measure="nagle_rest")


@pytest.mark.measures("nodelay_count")
def test_established_small_sends_go_at_once_without_nagle(reach, documented):
    """With TCP_NODELAY every small send is a segment at once."""
    peer = reach(State.ESTABLISHED, options={"TCP_NODELAY": 1})
    documented("nodelay_count").judge(len(small_sends(peer)))


@pytest.mark.measures("nodelay_flushes")
def test_established_switching_nagle_off_sends_what_waits(reach):
    """TCP_NODELAY, once set, sends what Nagle's algorithm held back."""
    peer = reach(State.ESTABLISHED, round_trip=FAR)
    # Later than that, a time-out has the first one sent again.
    with peer.at_once(2 * FAR):
        small_sends(peer)
        peer.socket.set("TCP_NODELAY", 1)
    peer.expect("P. 2:6(4) ack 1", within=0.1, measure="nodelay_flushes")


@pytest.mark.measures("cork_holds", "cork_duration", "cork_cleared")
def test_established_cork_holds_small_segments_back(reach, documented):
    """TCP_CORK holds partial segments back for a while, or until it is cleared."""
    peer = reach(State.ESTABLISHED, options={"TCP_CORK": 1})
    peer.socket.send(5).wait(1.0)
    sent = peer.now
    documented("cork_holds").judge(peer.observe(0.1) is None)
    peer.expect("P. 1:6(5) ack 1", within=1.0)
    documented("cork_duration").judge(peer.last_stamp - sent)
    peer.send(". 1:1(0) ack 6")
    peer.socket.send(5).wait(1.0)
    peer.socket.set("TCP_CORK", 0)
    peer.expect("P. 6:11(5) ack 1", within=0.1, measure="cork_cleared")


@pytest.mark.measures("nodelay_flushes_cork")
def test_established_switching_nagle_off_sends_what_a_cork_holds(reach):
    """TCP_NODELAY, once set, sends even what TCP_CORK holds back."""
    peer = reach(State.ESTABLISHED, options={"TCP_CORK": 1})
    peer.socket.send(5).wait(1.0)
    peer.socket.set("TCP_NODELAY", 1)
    peer.expect("P. 1:6(5) ack 1", within=0.1, measure="nodelay_flushes_cork")


@pytest.mark.measures("push_last", "full_segments", "segments_sizes")
def test_established_large_send_is_cut_into_full_segments(reach, documented):
    """A large send goes out in segments of the peer's MSS, and PSH stands on the last."""
    peer = reach(State.ESTABLISHED, syn="<mss 1000>")
    peer.socket.send(4500).wait(1.0)
    for _ in range(4):
        for one in peer.collect(". *:*(*)", until=0.1).segments:
            peer.send(f". 1:1(0) ack {one.seq + len(one.payload)}")
    first = {one.seq: one for one in reversed(peer.history(". *:*(*)").segments) if one.payload}
    sizes = [len(first[seq].payload) for seq in sorted(first)]
    documented("segments_sizes").judge(",".join(map(str, sizes)))
    documented("full_segments").judge(sizes[:4] == [1000] * 4)
    pushed = [one.seq for one in peer.history("P. *:*(*)").segments]
    documented("push_last").judge(max(first, default=0) in pushed)


@pytest.mark.measures("options_make_room", "timestamps_always")
def test_established_options_take_their_room_from_the_data(reach, documented):
    """With timestamps every segment carries them, and has so much less data."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.socket.send(4000).wait(1.0)
    came = peer.collect(". *:*(*)", until=0.1).segments
    documented("options_make_room").judge(max([len(one.payload) for one in came], default=0))
    documented("timestamps_always").judge(all("TS" in one.option_names() for one in came))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("slow_start_initial", "slow_start_second", "slow_start_doubles")
def test_established_slow_start_doubles_what_is_in_flight(reach, documented):
    """A connection begins with a few segments, and each round trip doubles them at most."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN, round_trip=FAR)
    peer.socket.send(200_000)
    flights = []
    for _ in range(3):
        # The time-out follows the round trips, and is soon as short as a stack lets it be.
        with peer.at_once(2 * ROUND_TRIP):
            segments = peer.collect(". *:*(*)", until=ROUND_TRIP).segments
            flights.append(len(segments))
            ends = (one.seq + len(one.payload) for one in segments)
            peer.send_together([f". 1:1(0) ack {end}" for end in ends], within=ROUND_TRIP)
    documented("slow_start_initial").judge(flights[0])
    documented("slow_start_second").judge(flights[1] <= 2 * flights[0])
    documented("slow_start_doubles").judge(
        flights[1] > 1.5 * flights[0] and flights[2] > 1.5 * flights[1]
    )


@pytest.mark.measures("large_window_flight")
def test_established_window_above_half_of_the_field_is_used(reach, documented):
    """The window is an unsigned number: more than half of what it can say is sent."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(300_000)
    documented("large_window_flight").judge(peer.absorb())


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures(
    "limited_transmit", "fast_retransmit", "fast_retransmit_threshold", "fast_recovery_deflates"
)
def test_established_three_duplicate_acks_have_the_missing_segment_sent(reach, documented):
    """The third duplicate ACK has the missing segment sent again before any timer."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN, round_trip=FAR)
    # Later than that, a time-out would have it sent.
    with peer.at_once(2 * FAR):
        peer.socket.send(100_000)
        flight = len(peer.collect(". *:*(*)", until=0.1).segments)
        peer.send(". 1:1(0) ack 1")
        peer.send(". 1:1(0) ack 1")
        new = peer.collect(". *:*(*)", until=0.05).segments
        peer.send(". 1:1(0) ack 1")
    documented("limited_transmit").judge(len(new))
    documented("fast_retransmit").judge(peer.observe(0.1), within=0.1)
    threshold = peer.socket.info()["snd_ssthresh"]
    documented("fast_retransmit_threshold").judge(threshold <= max((flight + len(new)) / 2, 2))
    # Each more lets the window grow by a segment, for as long as the recovery lasts.
    with peer.at_once(2 * FAR):
        for _ in range(flight - 3):
            peer.send(". 1:1(0) ack 1")
        more = peer.collect(". *:*(*)", until=0.05).segments
    end = max([one.seq + len(one.payload) for one in more], default=1 + (flight + len(new)) * SIZE)
    peer.send(f". 1:1(0) ack {end}")
    peer.fence()
    documented("fast_recovery_deflates").judge(peer.socket.info()["snd_cwnd"] <= threshold + 1)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("timeout_threshold")
def test_established_time_out_halves_the_threshold(reach, documented):
    """A loss that the timer sees sets the threshold to half of what was in flight."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(100_000)
    flight = len(peer.collect(". *:*(*)", until=0.1).segments)
    peer.expect(f". 1:{1 + SIZE}({SIZE}) ack 1", within=30.0)
    threshold = peer.socket.info()["snd_ssthresh"]
    documented("timeout_threshold").judge(2 <= threshold <= max(flight / 2, 2))


@pytest.mark.measures("silly_sender")
def test_established_sliver_of_a_window_is_not_used_at_once(reach, documented):
    """A window that is a small part of the largest one does not draw a small segment."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(1)
    peer.expect("P. 1:2(1) ack 1")
    peer.send(". 1:1(0) ack 2 win 0")
    peer.fence()
    peer.socket.send(20_000)
    peer.send(". 1:1(0) ack 2 win 50")
    peer.fence()
    slivers = [one for one in peer.history(". *:*(*)").segments if one.payload and one.seq > 1]
    documented("silly_sender").judge(len(slivers))
