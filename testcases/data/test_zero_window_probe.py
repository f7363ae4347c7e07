"""Zero window probe: how a sender finds out that a window has opened again."""

import itertools

import pytest

from harness import State

LONGEST = 120.0
"""Seconds: twice the least that RFC 6298 allows for the longest time-out."""


@pytest.mark.measures("probe_first", "probe_ladder", "probe_states", "probe_then_data")
def test_established_closed_window_is_probed_for_as_long_as_probes_are_answered(reach, documented):
    """A closed window is probed ever more rarely; its opening is heeded at once."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    closed = peer.now
    peer.socket.send(10)
    stamps = []
    while len(stamps) < 5 and peer.observe(LONGEST) is not None:
        stamps.append(peer.last_stamp)
        peer.send(". 1:1(0) ack 1 win 0")
    first = stamps[0] - closed if stamps else None
    documented("probe_first").judge((first or LONGEST, first))
    documented("probe_ladder").judge([b - a for a, b in itertools.pairwise(stamps)])
    documented("probe_states").judge([peer.state()])
    peer.send(". 1:1(0) ack 1 win 1000")
    peer.expect("P. 1:11(10) ack 1", measure="probe_then_data")


@pytest.mark.measures("probe_user_timeout")
def test_established_user_timeout_counts_for_data_that_cannot_be_sent(reach, documented):
    """The user timeout also bounds how long data waits for a window."""
    peer = reach(State.ESTABLISHED, options={"TCP_USER_TIMEOUT": 2000}, window=0)
    peer.fence()
    reading = peer.socket.receive()
    peer.socket.send(10)
    peer.wait_until(lambda: answered(peer) or reading.finished(), within=8.0)
    documented("probe_user_timeout").judge(reading.outcome, after=reading.elapsed)


def answered(peer):
    """Answer the probes that have come; tell that this is not the end."""
    while peer.observe(0.0) is not None:
        peer.send(". 1:1(0) ack 1 win 0")
    return False


@pytest.mark.tuned(data_retries=3)
@pytest.mark.measures("probe_silence", "probe_silence_end")
def test_established_probes_that_nobody_answers_end_the_connection(reach, documented):
    """A peer that answers no probe is given up."""
    peer = reach(State.ESTABLISHED, window=0)
    peer.fence()
    reading = peer.socket.receive()
    peer.socket.send(10)
    peer.wait_until(reading.finished, within=60.0)
    documented("probe_silence").judge(reading.outcome)
    peer.discard()
    documented("probe_silence_end").judge(peer.observe(0.5), within=0.5)


@pytest.mark.measures("probe_octet_refused", "probe_octet_later", "probe_octets")
def test_established_octet_of_a_probe_does_not_spoil_what_follows(reach, documented):
    """After a refused octet the same octet, with more behind it, is taken when there is room."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 4096})
    window, at = peer.history("S.").newest.window, 1
    while window:
        size = min(window, 536)
        peer.send(f"P. {at}:{at + size}({size}) ack 1")
        at += size
        window = peer.expect(f". 1:1(0) ack {at}", skip=[f". ack {at - size}"]).window
    peer.discard()
    peer.send(f". {at}:{at + 1}(1) ack 1")
    documented("probe_octet_refused").judge(peer.expect(". *:*(*) ack *").ack == at)
    peer.socket.receive().wait(1.0)
    peer.fence()
    peer.discard()
    peer.send(f"P. {at}:{at + 10}(10) ack 1")
    peer.expect(f". 1:1(0) ack {at + 10}")
    documented("probe_octet_later").judge(peer.history(f". ack {at + 10}").segments != ())
    documented("probe_octets").judge(len(peer.socket.receive().wait(1.0).value or b""))


@pytest.mark.measures("shrunk_new_data", "shrunk_repeat", "shrunk_states", "shrunk_then_data")
def test_established_window_that_shrinks_below_the_flight_is_coped_with(reach, documented):
    """A window that shrinks stops new data, and old data is sent again all the same."""
    peer = reach(State.ESTABLISHED, options={"TCP_NODELAY": 1}, window=1000)
    peer.fence()
    peer.socket.send(500)
    peer.expect("P. 1:501(500) ack 1")
    peer.send("P. 1:2(1) ack 1 win 100")
    peer.send(". 2:2(0) ack 1 win 100")
    peer.fence()
    peer.socket.send(500)
    peer.wait(1.0)
    peer.discard()
    came = peer.history(".").segments
    new = [one for one in came if one.payload and one.seq + len(one.payload) > 501]
    documented("shrunk_new_data").judge(len(new))
    repeats = [one for one in came if one.payload and one.seq == 1]
    documented("shrunk_repeat").judge(len(repeats))
    documented("shrunk_states").judge([peer.state()])
    peer.send(". 2:2(0) ack 501 win 1000")
    peer.expect("P. 501:1001(500) ack 2", skip=["P. 1:501(500)"], measure="shrunk_then_data")


@pytest.mark.measures("shrunk_without_numbers_new_data")
def test_established_window_that_shrinks_with_nothing_else_new_is_heeded(reach, documented):
    """A window that shrinks in a segment with the same numbers counts like any other."""
    peer = reach(State.ESTABLISHED, options={"TCP_NODELAY": 1}, window=1000)
    peer.fence()
    peer.socket.send(500)
    peer.expect("P. 1:501(500) ack 1")
    peer.send(". 1:1(0) ack 1 win 600")
    peer.fence()
    peer.socket.send(500)
    peer.wait(0.15)
    peer.discard()
    ends = [one.seq + len(one.payload) for one in peer.history("P.").segments]
    documented("shrunk_without_numbers_new_data").judge(len([end for end in ends if end > 601]))


@pytest.mark.measures("shrunk_to_zero_probe")
def test_established_window_that_shrinks_to_zero_is_probed(reach, documented):
    """A window that has shrunk to zero below the flight is probed as any zero window."""
    peer = reach(State.ESTABLISHED, window=1000)
    peer.fence()
    peer.socket.send(500)
    peer.expect("P. 1:501(500) ack 1")
    peer.send(". 1:1(0) ack 1 win 0")
    documented("shrunk_to_zero_probe").judge(peer.observe(LONGEST) is not None)
