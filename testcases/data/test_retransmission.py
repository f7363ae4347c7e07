"""Retransmission: the ladder of data, its end, and what the time-out is made of."""

import pytest

from harness import By, State

RENO = {"TCP_CONGESTION": "reno"}
ROUND_TRIP = 0.3
STAMPS = "<mss 536,nop,nop,TS val 1000 ecr 0>"
FOREVER = 10_000_000
"""Milliseconds of user timeout that no testcase reaches."""


@pytest.mark.tuned(tail_loss_probe=0, data_retries=4)
@pytest.mark.measures("data_ladder", "data_repeats_same", "data_timeout", "data_end")
def test_established_data_that_nobody_acknowledges_is_repeated_then_given_up(reach, documented):
    """Data is sent again at growing intervals until the connection is given up."""
    peer = reach(State.ESTABLISHED)
    reading = peer.socket.receive()
    peer.socket.send(5)
    ladder = peer.collect("P. *:*(*)", until=reading.finished)
    documented("data_ladder").judge(ladder)
    same = {(one.seq, one.payload) for one in ladder.segments}
    documented("data_repeats_same").judge(len(same) == 1 < len(ladder.segments))
    documented("data_timeout").judge(reading.outcome, after=reading.after(ladder.began))
    documented("data_end").judge(peer.observe(0.3, skip=["P. *:*(*)"]), within=0.3)


@pytest.mark.tuned(tail_loss_probe=0, rto_max=1, data_retries=5)
@pytest.mark.measures("data_longest_interval", "data_capped_timeout")
def test_established_intervals_grow_no_longer_than_the_limit(reach, documented):
    """No interval between retransmissions is longer than the limit of the time-out."""
    peer = reach(State.ESTABLISHED)
    reading = peer.socket.receive()
    peer.socket.send(5)
    ladder = peer.collect("P. *:*(*)", until=reading.finished)
    documented("data_longest_interval").judge(max(ladder.intervals, default=0.0))
    documented("data_capped_timeout").judge(reading.outcome, after=reading.after(ladder.began))


@pytest.mark.tuned(tail_loss_probe=0, thin_linear_timeouts=1, data_retries=6)
@pytest.mark.measures("data_thin_grows")
def test_established_thin_stream_has_time_outs_of_one_length(reach, documented):
    """Told to, a stack repeats a thin stream's data a few times without backing off.

    One segment is lost before, so that the stream is not taken to be at its very beginning.
    """
    peer = reach(State.ESTABLISHED, options=RENO)
    peer.socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    peer.expect("P. 1:6(5) ack 1", within=30.0)
    peer.send(". 1:1(0) ack 6")
    peer.fence()
    peer.socket.send(5)
    ladder = peer.collect("P. 6:11(5)", until=1.4)
    intervals = ladder.intervals
    documented("data_thin_grows").judge(
        max(intervals, default=1.0) > 1.5 * min(intervals, default=0.0)
    )


@pytest.mark.measures("data_user_timeout", "data_user_timeout_end")
def test_established_user_timeout_ends_it(reach, documented):
    """The application can say how long data may stay unacknowledged."""
    peer = reach(State.ESTABLISHED, options={"TCP_USER_TIMEOUT": 1500})
    reading = peer.socket.receive()
    peer.socket.send(5)
    ladder = peer.collect("P. *:*(*)", until=reading.finished)
    documented("data_user_timeout").judge(reading.outcome, after=reading.after(ladder.began))
    documented("data_user_timeout_end").judge(peer.observe(0.3), within=0.3)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("data_round_trip_kept")
def test_established_acknowledged_retransmission_is_no_measurement(reach, documented):
    """Without timestamps the ACK of data that was sent twice says nothing about the round trip."""
    peer = reach(State.ESTABLISHED)
    before = peer.socket.info()["rtt"]
    peer.socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    peer.expect("P. 1:6(5) ack 1", within=30.0)
    peer.wait(ROUND_TRIP)
    peer.send(". 1:1(0) ack 6")
    peer.fence()
    documented("data_round_trip_kept").judge(peer.socket.info()["rtt"] == before)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("data_first_rto", "data_rto_not_early")
def test_established_first_time_out_follows_from_the_first_round_trip(target, peer, documented):
    """The first round trip makes the time-out: itself, and twice itself for its variance."""
    listener = target.listen(2017)
    peer.send("S 0:0(0) <mss 1460>")
    peer.expect("S. 0:0(0) ack 1")
    peer.wait(ROUND_TRIP)
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0).socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    sent = peer.last_stamp
    peer.expect("P. 1:6(5) ack 1", within=30.0)
    documented("data_first_rto").judge(peer.last_stamp - sent)
    documented("data_rto_not_early").judge(peer.last_stamp - sent)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("data_timeout_flight", "data_timeout_first", "data_after_timeout")
def test_established_time_out_of_many_segments_repeats_the_first_only(reach, documented):
    """When the timer expires the oldest segment is sent again, alone; slow start follows."""
    peer = reach(State.ESTABLISHED, options=RENO, syn="<mss 1400>")
    peer.socket.send(5 * 1400)
    peer.collect(". *:*(*)", until=0.15)
    first = peer.observe(30.0)
    documented("data_timeout_first").judge(first, within=30.0)
    more = [peer.observe(0.1), first]
    documented("data_timeout_flight").judge(len([one for one in more if one is not None]))
    peer.discard()
    peer.send(". 1:1(0) ack 1401")
    peer.fence()
    documented("data_after_timeout").judge(len(peer.collect(". *:*(*)", until=0.1).segments))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("data_timer_stops", "data_timer_restarts")
def test_established_timer_runs_for_what_is_outstanding(reach, documented):
    """An ACK of some data starts the timer anew; when all is acknowledged it stops.

    How long a time-out is another connection tells, and the one that follows: it is twice as long.
    """
    other = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN)
    other.socket.send(5)
    other.expect("P. 1:6(5) ack 1")
    sent = other.last_stamp
    other.expect("P. 1:6(5) ack 1", within=30.0)
    time_out = other.last_stamp - sent
    peer = reach(State.ESTABLISHED, peer=reach.another(), options={"TCP_NODELAY": 1})
    with peer.at_once(0.8 * time_out):
        peer.socket.send(5)
        peer.expect("P. 1:6(5) ack 1")
        peer.socket.send(5)
        peer.expect("P. 6:11(5) ack 1")
        peer.wait(time_out / 2)
        peer.send(". 1:1(0) ack 6")
    acknowledged = peer.now
    peer.expect("P. 6:11(5) ack 1", within=30.0)
    again = peer.last_stamp
    peer.expect("P. 6:11(5) ack 1", within=60.0)
    documented("data_timer_restarts").judge(
        again - acknowledged > 0.9 * (peer.last_stamp - again) / 2
    )
    peer.send(". 1:1(0) ack 11")
    documented("data_timer_stops").judge(peer.observe(1.5), within=1.5)


def settled(intervals):
    """Tell whether the last two intervals are equal."""
    return len(intervals) > 1 and intervals[-1] < 1.1 * intervals[-2]


@pytest.mark.lasts(750)
@pytest.mark.tuned(tail_loss_probe=0, data_retries=20)
@pytest.mark.measures("data_longest_time_out")
def test_established_time_outs_grow_up_to_a_limit(reach, documented):
    """Intervals between retransmissions grow until they are as long as they may be."""
    peer = reach(State.ESTABLISHED, options={"TCP_USER_TIMEOUT": FOREVER})
    peer.socket.send(5)
    ladder = peer.collect("P. 1:6(5)", until=lambda: settled(peer.history("P.").intervals))
    documented("data_longest_time_out").judge(max(ladder.intervals))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("round_trip_forgotten")
def test_established_round_trips_may_be_forgotten_after_expirations(reach, documented):
    """When the timer has expired again and again, the next round trip may be taken for the first.

    A first one is taken as it is, a later one is an eighth of the smoothed round trip.
    """
    peer = reach(State.ESTABLISHED)
    peer.socket.send(5)
    peer.wait_until(lambda: len(peer.history("P. 1:6(5) ack 1").stamps) > 4, within=60.0)
    peer.discard()
    peer.send(". 1:1(0) ack 6")
    peer.fence()
    peer.socket.send(5)
    peer.expect("P. 6:11(5) ack 1")
    peer.wait(ROUND_TRIP)
    peer.send(". 1:1(0) ack 11")
    peer.fence()
    documented("round_trip_forgotten").judge(peer.socket.info()["rtt"] / 1e6 > ROUND_TRIP / 2)


def stamp(segment):
    """Return the timestamp of a segment."""
    return next(option.value for option in segment.options if hasattr(option, "echo"))


@pytest.mark.measures("stamp_round_trip_kept")
def test_established_echo_without_an_acknowledgment_is_no_measurement(reach, documented):
    """The timestamp echoed by a segment that acknowledges nothing new measures no round trip."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    echo = stamp(peer.history("S.").newest)
    before = peer.socket.info()["rtt"]
    peer.wait(ROUND_TRIP)
    peer.send(f"P. 1:11(10) ack 1 <nop,nop,TS val 1300 ecr {echo}>")
    peer.send(f". 11:11(0) ack 1 <nop,nop,TS val 1300 ecr {echo}>")
    peer.fence()
    documented("stamp_round_trip_kept").judge(peer.socket.info()["rtt"] == before)


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("round_trip_share")
def test_established_many_samples_of_one_round_trip_count_as_few(reach, documented):
    """However many samples a round trip gives, it has no more weight than one that gives one."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=STAMPS)
    peer.socket.send(40_000)
    came = peer.collect(". *:*(*)", until=0.1).segments
    peer.wait(ROUND_TRIP - 0.1)
    for one in came:
        echo = f"<nop,nop,TS val 1300 ecr {stamp(one)}>"
        peer.send(f". 1:1(0) ack {one.seq + len(one.payload)} {echo}")
    peer.fence()
    share = peer.socket.info()["rtt"] / 1e6 / ROUND_TRIP
    documented("round_trip_share").judge(round(100 * share))
