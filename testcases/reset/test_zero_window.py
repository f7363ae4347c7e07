"""Zero window: what is still dealt with while the target can take no data."""

import pytest

from harness import State

SMALL = {"SO_RCVBUF": 4096}
SEGMENT = 536


def fill(peer):
    """Send data until the target has closed its window; return the number that is next."""
    window = peer.history("S.").newest.window
    at = 1
    while window:
        size = min(window, SEGMENT)
        peer.send(f"P. {at}:{at + size}({size}) ack 1")
        at += size
        window = peer.expect(f". 1:1(0) ack {at}", skip=[f". ack {at - size}"]).window
    peer.discard()
    return at


@pytest.mark.measures("zero_window_rst")
def test_established_rst_while_the_window_is_closed_resets(reach, documented):
    """A RST at RCV.NXT ends the connection also while the receive window is zero."""
    peer = reach(State.ESTABLISHED, options=SMALL)
    at = fill(peer)
    peer.send(f"R {at}:{at}(0)")
    peer.fence()
    documented("zero_window_rst").judge([peer.state()])


@pytest.mark.measures("zero_window_urgent")
def test_established_urgent_pointer_while_the_window_is_closed_counts(reach, documented):
    """An urgent pointer is kept in mind also while the receive window is zero.

    The octet that it points to comes later, in a segment that no longer says so.
    """
    peer = reach(State.ESTABLISHED, options=SMALL)
    at = fill(peer)
    urgent = peer.socket.wait_for("POLLPRI")
    peer.send(f"U. {at}:{at}(0) ack 1 urg 5")
    peer.fence()
    peer.socket.receive().wait(1.0)
    peer.fence()
    peer.send(f"P. {at}:{at + 10}(10) ack 1")
    documented("zero_window_urgent").judge(urgent.wait(1.0).outcome)


@pytest.mark.measures("zero_window_data", "zero_window_later_data")
def test_established_data_while_the_window_is_closed_is_refused(reach):
    """Data that no window was offered for is not taken, but answered; the window opens later."""
    peer = reach(State.ESTABLISHED, options=SMALL)
    at = fill(peer)
    peer.answer(f"P. {at}:{at + 1}(1) ack 1", measure="zero_window_data")
    peer.socket.receive().wait(1.0)
    peer.expect(f". 1:1(0) ack {at} win *", measure="zero_window_later_data")


@pytest.mark.measures("zero_window_acknowledgment")
def test_established_acknowledgment_while_the_window_is_closed_counts(reach, documented):
    """An ACK is processed also while the receive window is zero: nothing is sent again."""
    peer = reach(State.ESTABLISHED, options=SMALL)
    at = fill(peer)
    peer.socket.send(5)
    peer.expect(f"P. 1:6(5) ack {at}")
    peer.send(f". {at}:{at}(0) ack 6")
    documented("zero_window_acknowledgment").judge(peer.observe(1.5), within=1.5)
