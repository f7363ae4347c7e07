"""Metrics: what a stack remembers of a path, and at what pace it sends."""

import pytest

from harness import State

RENO = {"TCP_CONGESTION": "reno"}
SIZE = 1400
SYN = f"<mss {SIZE}>"
INFINITE = 0x7FFFFFFF


def lose(peer):
    """Let a flight lose its first segment and recover; return the number that comes next."""
    peer.socket.send(20 * SIZE)
    came = peer.collect(". *:*(*)", until=0.1).segments
    for _ in came[1:]:
        peer.send(". 1:1(0) ack 1")
    peer.fence()
    newest = max(one.seq + len(one.payload) for one in peer.history(". *:*(*)").segments)
    peer.send(f". 1:1(0) ack {newest}")
    peer.fence()
    return newest


def remembered(reach):
    """Tell whether a connection to a peer that lost a segment before knows a threshold."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    lose(peer)
    for _ in range(4):
        peer.wait(0.05)
        ends = [one.seq + len(one.payload) for one in peer.history(". *:*(*)").segments]
        peer.send(f". 1:1(0) ack {max(ends)}")
    peer.socket.close()
    end = 1 + 20 * SIZE
    peer.wait_until(lambda: bool(peer.history(f"F. {end}:{end}(0) ack 1").stamps), within=1.0)
    peer.send(f"F. 1:1(0) ack {end + 1}")
    peer.fence()
    later = reach(State.ESTABLISHED, peer=reach.another(), options=RENO, syn=SYN)
    return later.socket.reported("snd_ssthresh") < INFINITE


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("threshold_by_default")
def test_closed_threshold_of_a_path_is_not_remembered(reach, documented):
    """A new connection knows nothing of the slow-start threshold of one before."""
    documented("threshold_by_default").judge(remembered(reach))


@pytest.mark.tuned(tail_loss_probe=0, no_threshold_save=0)
@pytest.mark.measures("threshold_saved")
def test_closed_threshold_of_a_path_can_be_remembered(reach, documented):
    """Told so, a stack begins with the threshold that a connection before had."""
    documented("threshold_saved").judge(remembered(reach))


@pytest.mark.tuned(tail_loss_probe=0, no_threshold_save=0, no_metrics_save=1)
@pytest.mark.measures("threshold_unsaved")
def test_closed_nothing_of_a_path_need_be_remembered(reach, documented):
    """Told to keep nothing, a stack keeps no threshold either."""
    documented("threshold_unsaved").judge(remembered(reach))


def least_round_trip(reach):
    """Return the least round trip in seconds, when short ones are more than a second ago."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(5)
    peer.expect("P. 1:6(5) ack 1")
    peer.send(". 1:1(0) ack 6")
    for number in range(6, 16, 5):
        peer.wait(1.2)
        peer.socket.send(5)
        peer.expect(f"P. {number}:{number + 5}(5) ack 1")
        peer.wait(0.12)
        peer.send(f". 1:1(0) ack {number + 5}")
    peer.fence()
    return peer.socket.reported("min_rtt") / 1e6


@pytest.mark.lasts(3)
@pytest.mark.measures("least_round_trip")
def test_established_least_round_trip_is_remembered(reach, documented):
    """The least round trip is that of a long time."""
    documented("least_round_trip").judge(least_round_trip(reach) < 0.1)


@pytest.mark.lasts(3)
@pytest.mark.tuned(least_round_trip_memory=1)
@pytest.mark.measures("least_round_trip_forgotten")
def test_established_least_round_trip_is_forgotten(reach, documented):
    """With a short memory the least round trip is that of the last second."""
    documented("least_round_trip_forgotten").judge(least_round_trip(reach) < 0.1)


def pace(peer):
    """Return the pace of sending in hundredths of a window in a round trip."""
    size, window = peer.socket.reported("snd_mss"), peer.socket.reported("snd_cwnd")
    rate, trip = peer.socket.reported("pacing_rate"), peer.socket.reported("rtt")
    return round(100 * rate / (size * window / (trip / 1e6)))


def far(peer, target):
    """Open a connection with a long round trip and send some of it."""
    listener = target.listen(2017, options=RENO)
    peer.send(f"S 0:0(0) {SYN}")
    peer.expect("S. 0:0(0) ack 1")
    peer.wait(0.1)
    peer.send(". 1:1(0) ack 1")
    peer.socket = listener.accept().wait(1.0).socket
    return peer


@pytest.mark.measures("pace_in_slow_start")
def test_established_pace_in_slow_start(peer, target, documented):
    """In slow start the pace allows for the growth of the window."""
    peer = far(peer, target)
    peer.socket.send(SIZE)
    peer.expect(f"P. 1:{1 + SIZE}({SIZE}) ack 1")
    peer.wait(0.1)
    peer.send(f". 1:1(0) ack {1 + SIZE}")
    peer.fence()
    documented("pace_in_slow_start").judge(pace(peer))


@pytest.mark.tuned(tail_loss_probe=0)
@pytest.mark.measures("pace_in_avoidance")
def test_established_pace_in_congestion_avoidance(peer, target, documented):
    """In congestion avoidance the pace is little more than the window."""
    peer = far(peer, target)
    lose(peer)
    documented("pace_in_avoidance").judge(pace(peer))
