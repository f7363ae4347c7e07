"""Scaling and timestamps: what a window means, what is echoed, and how the clock runs."""

import pytest

from harness import By, State

SIZE = 500
LARGEST = 65535
DAY = 86_400
STAMPS = "<mss 1460,nop,nop,TS val 1000 ecr 0>"


def sent(peer):
    """Return how many octets come at once, those that come again counted once."""
    came = peer.collect(". *:*(*)", until=0.1).segments
    return len({octet for one in came for octet in range(one.seq, one.seq + len(one.payload))})


def stamp(segment):
    """Return the timestamp of a segment."""
    return next(option.value for option in segment.options if hasattr(option, "echo"))


def shift(segment):
    """Return the shift that a SYN announces, 0 without one."""
    return next((option.shift for option in segment.options if hasattr(option, "shift")), 0)


@pytest.mark.measures("scale_agreed_octets", "scale_not_agreed_octets", "scale_late_octets")
def test_established_window_is_scaled_where_both_sides_agreed(reach, documented):
    """A window is shifted left by what the peer's SYN said, and not shifted if it said nothing."""
    agreed = f"<mss {SIZE},nop,wscale 2>"
    for measure, syn, options in (
        ("scale_agreed_octets", agreed, "<>"),
        ("scale_not_agreed_octets", f"<mss {SIZE}>", "<>"),
        ("scale_late_octets", f"<mss {SIZE}>", "<nop,wscale 2>"),
    ):
        peer = reach(State.ESTABLISHED, peer=reach.another(), syn=syn)
        # With a number of its own, so that the smaller window is taken for a newer one.
        peer.send("P. 1:2(1) ack 1")
        peer.send(f"P. 2:3(1) ack 1 win {SIZE} {options}")
        peer.socket.receive().wait(1.0)
        peer.fence()
        peer.discard()
        peer.socket.send(4000)
        documented(measure).judge(sent(peer))


@pytest.mark.measures("scale_syn_octets")
def test_syn_sent_window_of_the_syn_ack_is_not_scaled(reach, documented):
    """The window of a segment with SYN is never shifted."""
    syn = f"win {2 * SIZE} <mss {SIZE},nop,wscale 2>"
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN, syn=syn)
    peer.socket.send(4000)
    documented("scale_syn_octets").judge(sent(peer))


@pytest.mark.measures("late_window_octets")
def test_established_window_of_a_segment_that_comes_late_is_not_believed(reach, documented):
    """The window is what the newest segment says; one that comes after it and is older is not."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 11:21(10) ack 1 win 1460")
    peer.send("P. 1:11(10) ack 1 win 14600")
    peer.fence()
    peer.discard()
    peer.socket.send(14600)
    documented("late_window_octets").judge(sent(peer))


@pytest.mark.measures("scale_own_syn")
def test_listen_window_of_the_syn_ack_is_not_scaled(target, peer, documented):
    """The window of a SYN-ACK says octets, those of later segments are shifted."""
    target.listen(2017)
    peer.send(f"S 0:0(0) <mss {SIZE},nop,wscale 2>")
    answer = peer.expect("S. 0:0(0) ack 1")
    peer.send("P. 1:2(1) ack 1")
    offered = peer.expect(". 1:1(0) ack 2").window << shift(answer)
    documented("scale_own_syn").judge(answer.window > min(offered, LARGEST) / 2)


@pytest.mark.measures("echo_beyond_hole", "echo_hole_filled", "old_in_queue_octets")
def test_established_echo_is_of_the_segment_that_advanced_the_number(reach, documented):
    """Beyond a hole the last segment in order is echoed; then the one that fills the hole."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.send("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 0>")
    peer.expect(". 1:1(0) ack 11")
    peer.answer("P. 21:31(10) ack 1 <nop,nop,TS val 3000 ecr 0>", measure="echo_beyond_hole")
    peer.answer("P. 11:21(10) ack 1 <nop,nop,TS val 3500 ecr 0>", measure="echo_hole_filled")
    documented("old_in_queue_octets").judge(len(peer.socket.receive().wait(1.0).value or b""))


@pytest.mark.measures("old_stamp_not_kept")
def test_established_older_timestamp_does_not_lower_the_last(reach):
    """A RST or an ACK with an older timestamp does not make the remembered one older."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.send("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 0>")
    peer.expect(". 1:1(0) ack 11")
    peer.send(". 11:11(0) ack 1 <nop,nop,TS val 1990 ecr 0>")
    peer.fence()
    peer.discard()
    newer = "P. 11:21(10) ack 1 <nop,nop,TS val 2001 ecr 0>"
    peer.answer(newer, measure="old_stamp_not_kept", within=0.5)


@pytest.mark.lasts(25 * DAY)
@pytest.mark.measures("outdated_stamp")
def test_established_timestamp_of_the_peer_is_outdated_after_a_month(reach):
    """After 24 days without traffic an older timestamp says nothing of a segment's age."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.send("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 0>")
    peer.expect(". 1:1(0) ack 11")
    peer.wait(25 * DAY)
    older = "P. 11:21(10) ack 1 <nop,nop,TS val 1000 ecr 0>"
    peer.answer(older, measure="outdated_stamp", within=0.5)


@pytest.mark.lasts(3)
@pytest.mark.measures("stamp_clock_rate", "stamp_clock_steady")
def test_established_clock_of_the_timestamps_runs_steadily(reach, documented):
    """The clock behind the timestamps ticks once a millisecond to once a second, steadily."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    values, times = [], []
    for number in range(3):
        peer.send(f"P. {1 + number}:{2 + number}(1) ack 1 <nop,nop,TS val {2000 + number} ecr 0>")
        values.append(stamp(peer.expect(f". 1:1(0) ack {2 + number}")))
        times.append(peer.last_stamp)
        peer.wait(1.0)
    rates = [(values[at + 1] - values[at]) % 2**32 / (times[at + 1] - times[at]) for at in range(2)]
    documented("stamp_clock_rate").judge(round(sum(rates) / 2))
    documented("stamp_clock_steady").judge(abs(rates[0] - rates[1]) < 0.1 * max(rates))


@pytest.mark.measures("clamped_window")
def test_established_window_clamp_bounds_the_window(reach, documented):
    """TCP_WINDOW_CLAMP bounds the window that is offered."""
    peer = reach(State.ESTABLISHED, options={"TCP_WINDOW_CLAMP": 8000})
    peer.send("P. 1:11(10) ack 1")
    documented("clamped_window").judge(peer.expect(". 1:1(0) ack 11").window)
