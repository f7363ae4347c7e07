"""Receiving: order, acknowledgments and their delay, windows, urgent data, old timestamps."""

import pytest

from harness import State

STAMPS = "<mss 1460,nop,nop,TS val 1000 ecr 0>"
SELECTIVE = "<mss 1460,sackOK>"


@pytest.mark.measures(
    "order_duplicate_ack", "order_filled", "order_delivered", "order_overlap", "order_overlap_read"
)
def test_established_segments_out_of_order_are_delivered_in_order(reach, documented):
    """What comes too early is kept, told of by a duplicate ACK, and delivered in its turn."""
    peer = reach(State.ESTABLISHED)
    peer.answer('P. 7:12(5) ack 1 "world"', measure="order_duplicate_ack")
    peer.send('P. 1:7(6) ack 1 "hello "')
    peer.expect(". 1:1(0) ack 12", within=0.1, measure="order_filled")
    documented("order_delivered").judge(peer.socket.receive().wait(1.0).value == b"hello world")
    peer.send('P. 7:18(11) ack 1 "world again"')
    peer.expect(". 1:1(0) ack 18", measure="order_overlap")
    documented("order_overlap_read").judge(peer.socket.receive().wait(1.0).value == b" again")


@pytest.mark.measures("held_filled_acks", "held_filled_octets")
def test_established_all_that_was_held_is_acknowledged_at_once(reach, documented):
    """When a hole is filled, all that was held behind it is dealt with before one ACK is sent."""
    peer = reach(State.ESTABLISHED)
    for number in range(5):
        peer.send(f"P. {11 + 10 * number}:{21 + 10 * number}(10) ack 1")
    peer.fence()
    peer.discard()
    peer.send("P. 1:11(10) ack 1")
    documented("held_filled_acks").judge(len(peer.collect(". *:*(*)", until=0.6).segments))
    documented("held_filled_octets").judge(peer.history(". ack 61").segments != ())


@pytest.mark.measures("sack_first", "sack_second", "sack_duplicate", "sack_not_permitted")
def test_established_segments_beyond_a_hole_are_selectively_acknowledged(reach, documented):
    """Where it was agreed, an ACK names what came beyond a hole, the latest first."""
    peer = reach(State.ESTABLISHED, peer=reach.another(), syn=SELECTIVE)
    peer.send("P. 11:21(10) ack 1")
    documented("sack_first").judge(peer.observe(), within=1.0)
    peer.send("P. 31:41(10) ack 1")
    documented("sack_second").judge(peer.observe(), within=1.0)
    peer.send("P. 11:21(10) ack 1")
    documented("sack_duplicate").judge(peer.observe(), within=1.0)
    peer = reach(State.ESTABLISHED, peer=reach.another())
    peer.send("P. 11:21(10) ack 1")
    documented("sack_not_permitted").judge(peer.observe(), within=1.0)


@pytest.mark.measures("sack_off_answer")
@pytest.mark.tuned(sack=0)
def test_established_without_sack_no_block_is_sent(reach):
    """A stack that is told not to use SACK does not send any."""
    peer = reach(State.ESTABLISHED, syn=SELECTIVE)
    peer.answer("P. 11:21(10) ack 1", measure="sack_off_answer")


@pytest.mark.measures("ack_delay_longest", "ack_delayed", "ack_every_second", "ack_one_each")
def test_established_acknowledgments_are_delayed_but_not_for_long(reach, documented):
    """An ACK may wait for data to ride on, less than half a second and for one full segment."""
    peer = reach(State.ESTABLISHED, options={"TCP_NODELAY": 1})
    at, mine = 1, 1
    for _ in range(4):
        peer.send(f"P. {at}:{at + 100}(100) ack {mine}")
        at += 100
        peer.wait(0.01)
        peer.socket.send(5).wait(1.0)
        peer.expect(f"P. {mine}:{mine + 5}(5)", skip=[f". {mine}:{mine}(0)"])
        mine += 5
    delays = []
    for _ in range(4):
        peer.send(f"P. {at}:{at + 100}(100) ack {mine}")
        sent = peer.now
        at += 100
        peer.expect(f". ack {at}", within=1.0)
        delays.append(peer.last_stamp - sent)
    documented("ack_delay_longest").judge(max(delays))
    documented("ack_delayed").judge(max(delays) > 0.02)
    full, size = 12, 1400
    starts = range(at, at + full * size, size)
    together = [f". {one}:{one + size}({size}) ack {mine}" for one in starts]
    peer.send_together(together, within=0.02)
    came = peer.collect(". *:*(*)", until=0.6).segments
    documented("ack_every_second").judge(len(came))
    documented("ack_one_each").judge(len(came) <= full)


@pytest.mark.measures("window_right_edge", "silly_receiver_edge")
def test_established_window_does_not_shrink_and_does_not_open_by_slivers(reach, documented):
    """The right edge never moves left, and a closed window opens by a good piece at once."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 8192})
    window, at = peer.history("S.").newest.window, 1
    while window:
        size = min(window, 536)
        peer.send(f"P. {at}:{at + size}({size}) ack 1")
        at += size
        window = peer.expect(f". 1:1(0) ack {at}", skip=[f". ack {at - size}"]).window
    edges = [one.ack + one.window for one in peer.history(". *:*(*)").segments]
    documented("window_right_edge").judge(edges == sorted(edges))
    peer.discard()
    told, reads = len(edges), 0
    while len(peer.history(". *:*(*)").stamps) == told and reads < at / 50:
        peer.socket.receive(50).wait(1.0)
        peer.fence()
        reads += 1
    documented("silly_receiver_edge").judge(peer.expect(f". 1:1(0) ack {at}").window)


@pytest.mark.measures("urgent_pointer", "urgent_octet", "urgent_told", "urgent_rest")
def test_established_urgent_data_is_marked_and_told(reach, documented):
    """Urgent data is pointed to, the application is told, and reads it apart."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(b"abcde", urgent=True)
    sent = peer.expect("U. 1:6(5) ack 1")
    documented("urgent_pointer").judge(sent.urgent)
    told = peer.socket.wait_for("POLLPRI")
    peer.send('UP. 1:6(5) ack 6 urg 5 "abcde"')
    documented("urgent_told").judge(told.wait(1.0).outcome)
    documented("urgent_octet").judge(peer.socket.receive(urgent=True).wait(1.0).value == b"e")
    documented("urgent_rest").judge(len(peer.socket.receive().wait(1.0).value or b""))


@pytest.mark.tuned(urgent_to_last_octet=1)
@pytest.mark.measures("urgent_octet_host_requirements")
def test_established_urgent_pointer_read_as_the_host_requirements_have_it(reach, documented):
    """Told to, a stack takes the pointer for that of the last octet of urgent data."""
    peer = reach(State.ESTABLISHED)
    peer.send('UP. 1:6(5) ack 1 urg 4 "abcde"')
    peer.fence()
    octet = peer.socket.receive(urgent=True).wait(1.0).value
    documented("urgent_octet_host_requirements").judge(octet == b"e")


@pytest.mark.measures("urgent_long_told", "urgent_long_octets")
def test_established_urgent_data_may_be_long(reach, documented):
    """Urgent data may be of any length: the pointer may lie beyond its segment."""
    peer = reach(State.ESTABLISHED)
    told = peer.socket.wait_for("POLLPRI")
    peer.send("U. 1:1001(1000) ack 1 urg 1500")
    peer.send("U. 1001:2001(1000) ack 1 urg 500")
    documented("urgent_long_told").judge(told.wait(1.0).outcome)
    octets = 0
    # Not on and on where more comes than was ever sent.
    while octets <= 2000 and (read := peer.socket.receive().wait(0.5).value):
        octets += len(read)
    documented("urgent_long_octets").judge(octets)


@pytest.mark.measures("old_timestamp_answer", "old_timestamp_octets", "timestamp_echo")
def test_established_data_with_an_old_timestamp_is_refused(reach, documented):
    """Data whose timestamp is older than the last one is an old duplicate: an ACK, no delivery."""
    peer = reach(State.ESTABLISHED, syn=STAMPS)
    peer.send("P. 1:11(10) ack 1 <nop,nop,TS val 2000 ecr 0>")
    peer.expect(". 1:1(0) ack 11", measure="timestamp_echo")
    peer.answer("P. 11:21(10) ack 1 <nop,nop,TS val 1500 ecr 0>", measure="old_timestamp_answer")
    documented("old_timestamp_octets").judge(len(peer.socket.receive().wait(1.0).value or b""))


@pytest.mark.measures("missing_timestamp", "missing_timestamp_states", "unasked_timestamp")
def test_established_timestamps_that_are_missing_or_were_not_asked_for(reach, documented):
    """A segment without agreed timestamps aborts nothing; timestamps not agreed are ignored."""
    peer = reach(State.ESTABLISHED, peer=reach.another(), syn=STAMPS)
    peer.send("P. 1:11(10) ack 1")
    documented("missing_timestamp").judge(peer.observe(0.5), within=0.5)
    documented("missing_timestamp_states").judge([peer.state()])
    peer = reach(State.ESTABLISHED, peer=reach.another())
    peer.send("P. 1:11(10) ack 1 <nop,nop,TS val 1500 ecr 0>")
    documented("unasked_timestamp").judge(peer.observe(0.5), within=0.5)


@pytest.mark.measures("unknown_option_data", "syn_options_later_data")
def test_established_options_may_come_in_any_segment(reach):
    """An unknown option does no harm in any segment, nor do options that belong to a SYN."""
    peer = reach(State.ESTABLISHED)
    peer.answer("P. 1:11(10) ack 1 <kind-200 0xcafe>", measure="unknown_option_data", within=0.5)
    later = "P. 11:21(10) ack 1 <wscale 10,mss 100>"
    peer.answer(later, measure="syn_options_later_data", within=0.5)
