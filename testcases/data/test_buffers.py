"""Buffers: how large windows become, who stops them, and what full windows mean."""

import pytest

from harness import State

SCALED = "<mss 1400,nop,wscale 7>"
BURST = 1399
"""Octets of a segment: odd, so that right edges lie between those that scaled windows can tell."""


def shift_of(peer):
    """Return the shift count that the target announced, 0 without one."""
    options = peer.history("S. *:*(*)").newest.options
    return max((one.shift for one in options if hasattr(one, "shift")), default=0)


def windows(peer):
    """Return window and right edge of all segments that the target has sent without SYN."""
    shift = shift_of(peer)
    came = peer.history(". *:*(*)").segments
    return [(one.window << shift, one.ack + (one.window << shift)) for one in came]


OLD = ". 1:2(1) ack 1"
"""An octet that has come already: the answer to it comes at once, and tells the right edge."""


def deliver(peer, octets, *, read, asking=False):
    """Send so many octets as the window takes, and let the application read; return the last.

    Asking, have the right edge told after each segment.
    """
    at, edge = 1, 1 + peer.history("S. *:*(*)").newest.window
    while at <= octets and at < edge:
        for _ in range(8):
            end = min(at + BURST, edge)
            if end > at:
                peer.send(f". {at}:{end}({end - at}) ack 1")
                if asking:
                    peer.send(OLD)
            at = end
        peer.fence()
        if read:
            peer.socket.receive(1 << 18).wait(1.0)
            peer.fence()
        edge = max([edge, *(right for _, right in windows(peer))])
        peer.discard()
    return at


def acknowledged(peer):
    """Return the number after the last octet that the target has acknowledged."""
    peer.wait(0.5)
    return max(one.ack for one in peer.history(". *:*(*)").segments)


def all_taken(peer):
    """Fill the window, repeat once what was lost, and tell whether all is acknowledged."""
    sent = deliver(peer, 700_000, read=False, asking=True)
    for at in range(acknowledged(peer), sent, BURST):
        end = min(at + BURST, sent)
        peer.send(f". {at}:{end}({end - at}) ack 1")
    return acknowledged(peer) == sent


def growth(peer):
    """Return how many times the first window the largest is, when an application reads much."""
    first = peer.history("S. *:*(*)").newest.window
    deliver(peer, 700_000, read=True)
    return max(window for window, _ in windows(peer)) / first


@pytest.mark.measures("buffer_grows")
def test_established_receive_buffer_grows_by_itself(reach, documented):
    """When an application reads all that comes, the window becomes larger than at first."""
    peer = reach(State.ESTABLISHED, syn=SCALED)
    documented("buffer_grows").judge(growth(peer) > 2)


@pytest.mark.tuned(receive_buffer_tuning=0)
@pytest.mark.measures("buffer_untuned_grows")
def test_established_receive_buffer_that_is_not_tuned_does_not_grow(reach, documented):
    """Without automatic tuning the window stays about what it was."""
    peer = reach(State.ESTABLISHED, syn=SCALED)
    documented("buffer_untuned_grows").judge(growth(peer) > 2)


@pytest.mark.measures("buffer_set_grows")
def test_established_receive_buffer_that_was_set_does_not_grow(reach, documented):
    """SO_RCVBUF ends the automatic tuning of a socket."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 65536}, syn=SCALED)
    documented("buffer_set_grows").judge(growth(peer) > 2)


@pytest.mark.measures("window_edge_taken")
def test_established_all_of_the_announced_window_is_taken(reach, documented):
    """Octets up to the right edge that any acknowledgment gave are taken."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 16384}, syn=SCALED)
    documented("window_edge_taken").judge(all_taken(peer))


@pytest.mark.measures("scaled_edge_taken")
def test_established_right_edge_is_not_lost_in_scaling(reach, documented):
    """Octets up to the right edge are taken although a scaled window tells it less exactly."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 200_000}, syn=SCALED)
    documented("scaled_edge_taken").judge(all_taken(peer))


@pytest.mark.tuned(timestamps=0)
@pytest.mark.measures("unscaled_window")
def test_listen_window_without_scaling_may_use_all_of_the_field(peer, target, documented):
    """A window that is not scaled is a number of sixteen bits."""
    target.listen(2017)
    peer.send("S 0:0(0) <mss 1400>")
    documented("unscaled_window").judge(peer.expect("S. 0:0(0) ack 1").window)


@pytest.mark.tuned(signed_windows=1)
@pytest.mark.measures("signed_window")
def test_listen_window_for_peers_that_read_it_as_signed(peer, target, documented):
    """Told that peers without scaling read a sign, a stack offers no more than fifteen bits."""
    target.listen(2017)
    peer.send("S 0:0(0) <mss 1400>")
    documented("signed_window").judge(peer.expect("S. 0:0(0) ack 1").window)


@pytest.mark.measures("buffer_asked_for")
def test_closed_receive_buffer_that_is_asked_for(target, documented):
    """What SO_RCVBUF says is what was asked for, and the stack's own need."""
    socket = target.socket()
    socket.set("SO_RCVBUF", 10_000)
    documented("buffer_asked_for").judge(socket.get("SO_RCVBUF"))


def transfer(peer):
    """Let the application send a lot and acknowledge it; return the send buffer before and after.

    Each flight is acknowledged a moment after it came.
    """
    before = peer.socket.get("SO_SNDBUF")
    peer.socket.send(400_000)
    for _ in range(5):
        for one in peer.collect(". *:*(*)", until=0.1).segments:
            peer.send(f". 1:1(0) ack {one.seq + len(one.payload)}")
    return before, peer.socket.get("SO_SNDBUF")


@pytest.mark.measures("send_buffer_first", "send_buffer_grows")
def test_established_send_buffer_grows_by_itself(target, reach, documented):
    """A send buffer begins as set up, and becomes larger while much is sent."""
    documented("send_buffer_first").judge(target.socket().get("SO_SNDBUF"))
    before, after = transfer(reach(State.ESTABLISHED))
    documented("send_buffer_grows").judge(after > before)


@pytest.mark.measures("send_buffer_set_grows")
def test_established_send_buffer_that_was_set_does_not_grow(reach, documented):
    """SO_SNDBUF ends the automatic tuning of a socket."""
    before, after = transfer(reach(State.ESTABLISHED, options={"SO_SNDBUF": 40_000}))
    documented("send_buffer_set_grows").judge(after > before)


def bound(reach):
    """Return the bound of the window of a new connection with 40000 octets, once some have come."""
    options = {"SO_RCVBUF": 40_000}
    peer = reach(State.ESTABLISHED, peer=reach.another(), options=options, syn=SCALED)
    deliver(peer, 50_000, read=True)
    return peer.socket.get("TCP_WINDOW_CLAMP")


@pytest.mark.measures("reserved_by_default", "reserved_share")
def test_established_part_of_the_window_is_reserved(target, reach, documented):
    """A part of the window is the application's: a segment, or as set."""
    usual = target.knob("application_share")
    target.tune(application_share=0)
    none = bound(reach)
    target.tune(application_share=1)
    documented("reserved_share").judge(round(100 * bound(reach) / none))
    target.tune(application_share=usual)
    documented("reserved_by_default").judge(none - bound(reach))


@pytest.mark.tuned(application_share=0)
@pytest.mark.measures("overhead_by_default", "overhead_small", "overhead_large")
def test_established_part_of_the_buffer_is_overhead(target, reach, documented):
    """A part of the buffer is no window, as set."""
    buffer = target.socket()
    buffer.set("SO_RCVBUF", 40_000)
    size = buffer.get("SO_RCVBUF")
    documented("overhead_by_default").judge(round(100 * bound(reach) / size))
    target.tune(overhead_share=2)
    documented("overhead_small").judge(round(100 * bound(reach) / size))
    target.tune(overhead_share=-2)
    documented("overhead_large").judge(round(100 * bound(reach) / size))


def edge_falls(reach, syn):
    """Send what takes more memory than room in the window; return whether the right edge falls."""
    peer = reach(State.ESTABLISHED, options={"SO_RCVBUF": 100_000}, syn=syn)
    at = 1
    for _ in range(15):
        for _ in range(20):
            peer.send(f"P. {at}:{at + 500}(500) ack 1")
            at += 500
        peer.fence()
    edges = [edge for _, edge in windows(peer)]
    return edges != sorted(edges)


@pytest.mark.tuned(shrink_window=0)
@pytest.mark.measures("kept_edge_falls")
def test_established_window_is_not_shrunk_for_want_of_memory(reach, documented):
    """Where it is off, a window is not shrunk, whatever what came takes of the memory."""
    documented("kept_edge_falls").judge(edge_falls(reach, SCALED))


@pytest.mark.tuned(shrink_window=1)
@pytest.mark.measures("shrunk_edge_falls")
def test_established_window_may_be_shrunk_for_want_of_memory(reach, documented):
    """Where it is on, a scaled window is shrunk when what came takes more memory than thought."""
    documented("shrunk_edge_falls").judge(edge_falls(reach, SCALED))


@pytest.mark.tuned(shrink_window=1)
@pytest.mark.measures("shrunk_unscaled_edge_falls")
def test_established_window_without_scaling_is_not_shrunk(reach, documented):
    """A window that is not scaled is not shrunk."""
    documented("shrunk_unscaled_edge_falls").judge(edge_falls(reach, "<mss 1400>"))
