"""Full window: what a receiver without room does with what comes, and for how long."""

import pytest

from harness import State

CE = 3


def fill(reach):
    """Fill the receive buffer of an application that does not read; return peer and next number."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 4096})
    return peer, filled(peer, peer.history("S.").newest.window)


def filled(peer, window):
    """Send as much as the window takes; return the next number."""
    at = 1
    while window:
        size = min(window, 536)
        peer.send(f"P. {at}:{at + size}({size}) ack 1")
        at += size
        window = peer.expect(f". 1:1(0) ack {at}", skip=[f". ack {at - size}"]).window
    peer.discard()
    return at


@pytest.mark.measures("closed_window_stays")
def test_established_window_of_a_full_buffer_stays_closed(reach, documented):
    """While nobody reads, the window stays closed, however often it is probed."""
    peer, at = fill(reach)
    windows = []
    for _ in range(4):
        peer.send(f". {at}:{at + 1}(1) ack 1")
        windows.append(peer.expect(". *:*(*) ack *", within=1.0).window)
        peer.wait(0.6)
    documented("closed_window_stays").judge(windows == [0] * 4)


@pytest.mark.tuned(ecn=1)
@pytest.mark.measures("marked_probe_answer")
def test_established_mark_of_congestion_on_a_probe_is_answered(target, peer):
    """A window probe that met congestion is answered with an echo of it."""
    listener = target.listen(2017, options={"SO_RCVBUF": 4096})
    peer.send("SEW 0:0(0) <mss 536>")
    window = peer.expect("SE. 0:0(0) ack 1").window
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0)
    at = filled(peer, window)
    peer.send(f". {at}:{at + 1}(1) ack 1", tos=CE)
    peer.expect(f".E 1:1(0) ack {at}", measure="marked_probe_answer")


@pytest.mark.measures("probe_then_ack", "probe_then_reading")
def test_established_octet_of_a_probe_after_a_short_read_does_not_lose_what_follows(
    reach, documented
):
    """A probe that meets the room of one octet does not make a receiver drop acknowledgments."""
    peer, at = fill(reach)
    peer.socket.receive(1).wait(1.0)
    peer.send(f". {at}:{at + 1}(1) ack 1")
    taken = peer.expect(". 1:1(0) ack *", within=1.0).ack
    peer.socket.send(10)
    peer.expect(f"P. 1:11(10) ack {taken}")
    peer.send(f". {taken}:{taken}(0) ack 11")
    # Longer than the RTO of a new connection, where that is measured or assumed to be short.
    documented("probe_then_ack").judge(peer.observe(4.0) is None)
    peer.socket.receive().wait(1.0)
    peer.fence()
    peer.discard()
    peer.send(f"P. {taken}:{taken + 10}(10) ack 11")
    documented("probe_then_reading").judge(peer.expect(". 11:11(0) ack *").ack == taken + 10)
