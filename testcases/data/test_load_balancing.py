"""Load balancing: the flow label of IPv6, which leads to another path when one is congested."""

import pytest

pytestmark = [pytest.mark.families("ipv6"), pytest.mark.tuned(tail_loss_probe=0, ecn=1)]
SIZE = 1000
SYN = f"SEW 0:0(0) <mss {SIZE}>"
HEEDS_MARKS = {"TCP_CONGESTION": "dctcp"}
MOST = 24
"""Round trips after which no change is waited for any more."""


def sending(target, peer):
    """Open a connection whose algorithm heeds marks, and let much be sent; return the peer."""
    listener = target.listen(2017, options=HEEDS_MARKS)
    peer.send(SYN)
    peer.expect("SE. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0).socket.send(200_000)
    peer.wait_until(lambda: bool(data(peer)), within=2.0)
    return peer


def data(peer):
    """Return the datagrams with data, in their order."""
    return [one for one in peer.datagrams if one.segment and one.segment.payload]


def acknowledge(peer, flags, segments):
    """Acknowledge all up to the last of some datagrams."""
    last = segments[-1].segment
    end = (last.seq + len(last.payload) - peer.connection.irs) % 2**32
    peer.send(f"{flags} 1:1(0) ack {end}")


def round_trips(peer, *, outstanding=0, since=0):
    """Tell of congestion in each round trip until the flow label is another one; count them.

    So many segments are left unacknowledged. 0 says that the label stayed the same.
    """
    for number in range(MOST):
        # A time-out changes the flow label, too.
        with peer.at_once(0.15):
            peer.wait(0.05)
            came = data(peer)
            # One that changed before congestion was told of counts as after one round trip.
            if number and len({one.flow_label for one in came[since:]}) > 1:
                return number
            acknowledge(peer, ".E", came[: len(came) - outstanding])
    return 0


def after_time_out(target, peer):
    """Let a flight time out, which may change the flow label; then count round trips as ever."""
    sending(target, peer)
    before = len(data(peer))
    peer.wait_until(lambda: len(data(peer)) > before, within=5.0)
    return round_trips(peer, since=before)


def changes(peer, share):
    """Tell of congestion for a share of the first flight; return whether the flow label changes.

    A round trip begins with the first acknowledgment.
    """
    peer.wait(0.05)
    flight = data(peer)
    marked = round(share * len(flight))
    acknowledge(peer, ".", flight[:1])
    acknowledge(peer, ".", flight[: len(flight) - marked])
    acknowledge(peer, ".E" if marked else ".", flight)
    peer.wait(0.05)
    return {one.flow_label for one in data(peer)[-2:]} != {flight[0].flow_label}


@pytest.mark.measures("label_by_default")
def test_established_flow_label_stays_by_default(target, peer, documented):
    """By default congestion does not change the flow label."""
    documented("label_by_default").judge(round_trips(sending(target, peer)))


@pytest.mark.tuned(load_balancing=1)
@pytest.mark.measures("label_rounds")
def test_established_lasting_congestion_changes_the_flow_label(target, peer, documented):
    """Congested round trips, so many in a row, change the flow label."""
    documented("label_rounds").judge(round_trips(sending(target, peer), outstanding=1))


@pytest.mark.tuned(load_balancing=1, load_balancing_rounds=5)
@pytest.mark.measures("label_rounds_set")
def test_established_length_of_congestion_can_be_set(target, peer, documented):
    """How many congested round trips change the flow label can be set."""
    documented("label_rounds_set").judge(round_trips(sending(target, peer), outstanding=1))


@pytest.mark.tuned(load_balancing=1)
@pytest.mark.measures("label_idle_rounds")
def test_established_flow_label_changes_sooner_with_nothing_outstanding(target, peer, documented):
    """Fewer congested round trips change the flow label when nothing is outstanding."""
    documented("label_idle_rounds").judge(round_trips(sending(target, peer)))


@pytest.mark.tuned(load_balancing=1, load_balancing_idle_rounds=7)
@pytest.mark.measures("label_idle_rounds_set")
def test_established_length_of_congestion_without_data_can_be_set(target, peer, documented):
    """How many they are can be set."""
    documented("label_idle_rounds_set").judge(round_trips(sending(target, peer)))


@pytest.mark.tuned(load_balancing=1)
@pytest.mark.measures("label_suspended")
def test_established_flow_label_stays_after_a_time_out(target, peer, documented):
    """After a time-out congestion does not change the flow label for a minute or longer."""
    documented("label_suspended").judge(after_time_out(target, peer))


@pytest.mark.tuned(load_balancing=1, load_balancing_pause=0)
@pytest.mark.measures("label_not_suspended")
def test_established_flow_label_need_not_stay_after_a_time_out(target, peer, documented):
    """How long it stays can be set."""
    documented("label_not_suspended").judge(after_time_out(target, peer))


@pytest.mark.tuned(load_balancing=1, load_balancing_rounds=1)
@pytest.mark.measures("label_mostly_marked")
def test_established_round_trip_with_many_marks_is_congested(target, peer, documented):
    """A round trip is congested when a good part of its segments met congestion."""
    documented("label_mostly_marked").judge(changes(sending(target, peer), 0.7))


@pytest.mark.tuned(load_balancing=1, load_balancing_rounds=1)
@pytest.mark.measures("label_hardly_marked")
def test_established_round_trip_with_few_marks_is_not_congested(target, peer, documented):
    """A round trip is not congested when a smaller part of its segments met congestion."""
    documented("label_hardly_marked").judge(changes(sending(target, peer), 0.4))


@pytest.mark.tuned(load_balancing=1, load_balancing_rounds=1, load_balancing_threshold=64)
@pytest.mark.measures("label_hardly_marked_set")
def test_established_part_that_makes_congestion_can_be_set(target, peer, documented):
    """How many segments that takes can be set."""
    documented("label_hardly_marked_set").judge(changes(sending(target, peer), 0.4))


@pytest.mark.tuned(load_balancing=1, load_balancing_rounds=1, load_balancing_threshold=0)
@pytest.mark.measures("label_unmarked_set")
def test_established_flow_label_can_be_changed_without_congestion(target, peer, documented):
    """It can be set to none."""
    documented("label_unmarked_set").judge(changes(sending(target, peer), 0.0))
