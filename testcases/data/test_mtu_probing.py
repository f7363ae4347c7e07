"""MTU probing: the size of segments where no router tells what fits."""

import itertools

import pytest

from harness import By, State

RENO = {"TCP_CONGESTION": "reno"}
SYN = "<mss 1400>"
PAUSE = 0.02
WIDEST = 1000
"""The octets that pass in a segment where larger ones vanish."""


def first_size(reach, by=By.ACTIVE_OPEN):
    """Return the octets of the first segment of a lot of data."""
    peer = reach(State.ESTABLISHED, by=by, options=RENO, syn=SYN)
    peer.socket.send(100_000)
    return len(peer.expect(". *:*(*) ack 1").payload)


@pytest.mark.measures("unprobed_size")
def test_established_segments_are_full_without_probing(reach, documented):
    """Without MTU probing the first segment is as large as the peer takes."""
    documented("unprobed_size").judge(first_size(reach))


@pytest.mark.tuned(mtu_probing=2, timestamps=0)
@pytest.mark.measures("probed_first_size", "probed_larger")
def test_established_probing_begins_small_and_tries_larger_segments(reach, documented):
    """With MTU probing segments are small at first, until a larger one has passed."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN, options=RENO, syn=SYN)
    peer.socket.send(300_000)
    sizes = []
    for _ in range(6):
        for one in peer.collect(". *:*(*)", until=0.06).segments:
            sizes.append(len(one.payload))
            peer.send(f". 1:1(0) ack {one.seq + len(one.payload)}")
    documented("probed_first_size").judge(sizes[0])
    documented("probed_larger").judge(max(sizes) > sizes[0])


@pytest.mark.tuned(mtu_probing=2, probed_mss=700, timestamps=0)
@pytest.mark.measures("probed_set_size")
def test_established_size_that_probing_begins_with_can_be_set(reach, documented):
    """The first MSS of a connection with MTU probing can be chosen."""
    documented("probed_set_size").judge(first_size(reach))


@pytest.mark.tuned(mtu_probing=2, probed_mss=700, timestamps=0)
@pytest.mark.measures("probed_accepted_size")
def test_established_size_that_probing_begins_with_when_accepted(reach, documented):
    """A connection that was accepted begins with the same MSS."""
    documented("probed_accepted_size").judge(first_size(reach, By.PASSIVE_OPEN))


def least_size(reach):
    """Let a full segment vanish again and again; return the least octets that are tried."""
    peer = reach(State.ESTABLISHED, options=RENO, syn=SYN)
    peer.socket.send(1400)
    peer.wait(4.0)
    return min(len(one.payload) for one in peer.history(". *:*(*)").segments)


@pytest.mark.lasts(4)
@pytest.mark.tuned(tail_loss_probe=0, data_retries_advice=1)
@pytest.mark.measures("vanished_size")
def test_established_size_is_kept_where_nothing_is_probed(reach, documented):
    """Without MTU probing what vanishes is sent again as it was."""
    documented("vanished_size").judge(least_size(reach))


@pytest.mark.lasts(4)
@pytest.mark.tuned(tail_loss_probe=0, data_retries_advice=1, mtu_probing=1)
@pytest.mark.measures("vanished_probed_size")
def test_established_black_hole_makes_segments_smaller(reach, documented):
    """Where full segments vanish, smaller ones are tried."""
    documented("vanished_probed_size").judge(least_size(reach))


@pytest.mark.lasts(4)
@pytest.mark.tuned(tail_loss_probe=0, data_retries_advice=1, mtu_probing=1, least_probed_mss=600)
@pytest.mark.measures("vanished_floor_size")
def test_established_black_hole_makes_segments_no_smaller_than_the_floor(reach, documented):
    """Segments that are tried are not smaller than the floor."""
    documented("vanished_floor_size").judge(least_size(reach))


def narrow_path(reach, lasts):
    """Let much be sent for so many seconds on a path that larger segments do not pass.

    Return when each segment came and how many octets it had.
    """
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN, options=RENO, syn=SYN)
    peer.socket.send(6_000_000)
    taken, at, end = {}, 1, peer.now + lasts
    while peer.now < end:
        for one in peer.collect(". *:*(*)", until=PAUSE).segments:
            taken |= {one.seq: len(one.payload)} if len(one.payload) <= WIDEST else {}
            while at in taken:
                at += taken[at]
            peer.send(f". 1:1(0) ack {at} win 20000")
    ladder = peer.history(". *:*(*)")
    sizes = [len(one.payload) for one in ladder.segments]
    return list(zip(ladder.stamps, sizes, strict=True))


def left_to_search(reach):
    """Return how many octets lie between the largest segment that passes and the least that fails.

    They are those between which a stack that has stopped to probe does not search.
    """
    sizes = [size for _, size in narrow_path(reach, 3.0)]
    return min(size for size in sizes if size > WIDEST) - max(s for s in sizes if s <= WIDEST)


@pytest.mark.lasts(3)
@pytest.mark.tuned(mtu_probing=2, probed_mss=700, timestamps=0, tail_loss_probe=0)
@pytest.mark.measures("probed_width")
def test_established_probing_stops_when_it_is_exact(reach, documented):
    """Probing ends when what is left to search is narrow."""
    documented("probed_width").judge(left_to_search(reach))


@pytest.mark.lasts(3)
@pytest.mark.tuned(
    mtu_probing=2, probed_mss=700, timestamps=0, tail_loss_probe=0, probing_threshold=200
)
@pytest.mark.measures("probed_set_width")
def test_established_probing_can_be_less_exact(reach, documented):
    """How narrow that has to be can be set."""
    documented("probed_set_width").judge(left_to_search(reach))


@pytest.mark.tuned(
    mtu_probing=2,
    probed_mss=700,
    timestamps=0,
    tail_loss_probe=0,
    probing_threshold=200,
    probing_interval=2,
)
@pytest.mark.measures("probed_again")
def test_established_probing_begins_anew_after_a_time(reach, documented):
    """What did not pass is tried again after a time, as the path may be another one."""
    lost = [stamp for stamp, size in narrow_path(reach, 6.0) if size > WIDEST]
    begins = [later for one, later in itertools.pairwise(lost) if later - one > 1.0]
    # A search begins with the next acknowledgments, which come every so often.
    between = begins[1] - begins[0] if len(begins) > 1 else 0.0
    documented("probed_again").judge((between - PAUSE, between + PAUSE))


@pytest.mark.measures("probing_interval_value")
def test_closed_interval_of_probing_by_default(target, documented):
    """Probing begins anew after minutes by default."""
    documented("probing_interval_value").judge(int(target.knob("probing_interval")))
