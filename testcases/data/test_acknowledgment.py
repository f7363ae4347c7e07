"""Acknowledgment: when one is sent at once, when it waits, and what it echoes."""

import pytest

from harness import State

STAMPS = "<mss 1400,nop,nop,TS val 1000 ecr 0>"
SELECTIVE = "<mss 1400,sackOK,TS val 1000 ecr 0>"
RTT = 0.9
SOON = 0.015
"""Seconds in which an acknowledgment comes that nothing holds back."""


def reply(peer):
    """Let a request of ten octets come, be read, and be answered by ten; acknowledge the answer."""
    with peer.at_once(2 * SOON):
        peer.send("P. 1:11(10) ack 1")
        peer.fence()
        peer.socket.receive().wait(1.0)
        peer.socket.send(10)
        peer.wait_until(lambda: bool(peer.history("P. 1:11(10) ack 11").stamps), within=1.0)
    peer.discard()
    peer.send(". 11:11(0) ack 11")


def waited(peer, text):
    """Send a segment and tell whether its acknowledgment was held back."""
    peer.discard()
    peer.send(text)
    peer.expect(". 11:11(0) ack *", within=1.0)
    return peer.last_stamp - peer.last_sent_stamp > SOON


@pytest.mark.measures("reply_delays")
def test_established_replies_make_acknowledgments_wait(reach, documented):
    """A connection on which the application has replied once delays its acknowledgments."""
    peer = reach(State.ESTABLISHED)
    reply(peer)
    documented("reply_delays").judge(waited(peer, "P. 11:21(10) ack 11"))


@pytest.mark.tuned(pingpong_threshold=3)
@pytest.mark.measures("reply_delays_later")
def test_established_more_replies_may_be_needed_to_make_acknowledgments_wait(reach, documented):
    """With a higher threshold one reply does not yet delay acknowledgments."""
    peer = reach(State.ESTABLISHED)
    reply(peer)
    documented("reply_delays_later").judge(waited(peer, "P. 11:21(10) ack 11"))


@pytest.mark.measures("quickack_at_once")
def test_established_quick_acknowledgments_can_be_asked_for(reach, documented):
    """With TCP_QUICKACK what would wait is acknowledged at once."""
    peer = reach(State.ESTABLISHED)
    reply(peer)
    peer.socket.set("TCP_QUICKACK", 1)
    documented("quickack_at_once").judge(not waited(peer, "P. 11:21(10) ack 11"))


@pytest.mark.measures("quickack_off_waits")
def test_established_quick_acknowledgments_can_be_switched_off(reach, documented):
    """Without TCP_QUICKACK acknowledgments wait, even on a connection that is new."""
    peer = reach(State.ESTABLISHED)
    peer.socket.set("TCP_QUICKACK", 0)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11", within=1.0)
    documented("quickack_off_waits").judge(peer.last_stamp - peer.last_sent_stamp > SOON)


@pytest.mark.measures("delayed_echo")
def test_established_delayed_acknowledgment_echoes_the_earliest_timestamp(reach):
    """Of the segments that one acknowledgment covers it echoes the timestamp of the first."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.socket.set("TCP_QUICKACK", 0)
    with peer.at_once():
        peer.send("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 0>")
        peer.send("P. 11:21(10) ack 1 <nop,nop,TS val 2500 ecr 0>")
    peer.expect(". 1:1(0) ack 21", within=1.0, measure="delayed_echo")


def holes(peer, target):
    """Send twenty segments beyond a hole to a target far away; return the answers.

    `RTT` is the round trip that the target measures; the answers come within a second.
    """
    listener = target.listen(2017)
    peer.send(f"S 0:0(0) {SELECTIVE}")
    answer = peer.expect("S. 0:0(0) ack 1")
    echo = next(one.value for one in answer.options if hasattr(one, "echo"))
    stamps = f"<nop,nop,TS val 2000 ecr {echo}>"
    peer.wait(RTT)
    peer.send(f". 1:1(0) ack 1 {stamps}")
    accepted = listener.accept().wait(1.0).socket
    peer.send(f"P. 1:1401(1400) ack 1 {stamps}")
    peer.expect(". 1:1(0) ack 1401", within=1.0)
    accepted.set("TCP_QUICKACK", 0)
    starts = range(1501, 3501, 100)
    together = [f"P. {at}:{at + 100}(100) ack 1 {stamps}" for at in starts]
    peer.send_together(together, within=RTT / 40)
    peer.wait(1.0)
    return peer.history(". 1:1(0) ack 1401 <sack *,...>").stamps


@pytest.mark.tuned(held_sack_delay=10_000_000)
@pytest.mark.measures("held_sacks", "held_sack_delay")
def test_established_selective_acknowledgments_are_held_back(peer, target, documented):
    """Selective acknowledgments that follow each other are combined, and not held for long."""
    came = holes(peer, target)
    documented("held_sacks").judge(len(came))
    documented("held_sack_delay").judge(came[-1] - peer.last_sent_stamp)


@pytest.mark.lasts(2)
@pytest.mark.tuned(held_sack_delay=1_000_000_000)
@pytest.mark.measures("held_sack_share")
def test_established_selective_acknowledgments_are_held_for_a_part_of_the_round_trip(
    peer, target, documented
):
    """How long they are held back depends on the round trip."""
    came = holes(peer, target)
    documented("held_sack_share").judge(came[-1] - came[0])


@pytest.mark.tuned(held_sack_delay=1_000_000_000, held_sacks=0)
@pytest.mark.measures("unheld_sacks")
def test_established_selective_acknowledgments_need_not_be_held_back(peer, target, documented):
    """Told so, each segment beyond a hole is acknowledged."""
    documented("unheld_sacks").judge(len(holes(peer, target)))


@pytest.mark.tuned(held_sack_delay=1_000_000_000, held_sacks=1)
@pytest.mark.measures("limited_sacks")
def test_established_selective_acknowledgments_are_held_back_up_to_a_number(
    peer, target, documented
):
    """When so many acknowledgments were held back, one is sent."""
    documented("limited_sacks").judge(len(holes(peer, target)))


@pytest.mark.measures("clock_of_windows")
def test_established_timestamp_clock_ticks_in_each_window(reach, documented):
    """Each window of data has a later timestamp than the one before."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.socket.send(100_000)
    values = []
    for _ in range(3):
        came = peer.collect(". *:*(*)", until=0.05).segments
        values.append(next(one.value for one in came[0].options if hasattr(one, "echo")))
        for one in came:
            peer.send(f". 1:1(0) ack {one.seq + len(one.payload)} <nop,nop,TS val 1001 ecr 0>")
    documented("clock_of_windows").judge(values[0] < values[1] < values[2])
