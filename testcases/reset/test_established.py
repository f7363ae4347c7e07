"""Reset: which RST and which SYN an established connection believes."""

import pytest

from harness import State

FAR = 1_000_000
ELSEWHERE = {"ipv4": "198.51.100.9", "ipv6": "2001:db8::9"}


@pytest.mark.measures(
    "rst_exact", "rst_exact_answer", "rst_exact_receive", "rst_exact_send", "peer_reset_receive"
)
def test_established_rst_at_rcv_nxt_resets(reach, documented):
    """A RST whose number is RCV.NXT resets; the application is told, and nothing is answered."""
    peer = reach(State.ESTABLISHED)
    reading = peer.socket.receive()
    peer.answer("R 1:1(0)", measure="rst_exact_answer")
    documented("rst_exact").judge([peer.state()])
    outcome = reading.wait(1.0).outcome
    documented("rst_exact_receive").judge(outcome)
    documented("peer_reset_receive").judge(outcome)
    documented("rst_exact_send").judge(peer.socket.send(1).wait(1.0).outcome)


@pytest.mark.measures("rst_in_window", "rst_in_window_states")
def test_established_rst_in_the_window_is_challenged(reach, documented):
    """A RST inside the window that is not RCV.NXT draws a challenge ACK and resets nothing."""
    peer = reach(State.ESTABLISHED)
    peer.answer("R 101:101(0)", measure="rst_in_window")
    documented("rst_in_window_states").judge([peer.state()])


@pytest.mark.measures("rst_out_of_window", "rst_out_of_window_states")
def test_established_rst_outside_the_window_is_ignored(reach, documented):
    """A RST outside the window is dropped without a word."""
    peer = reach(State.ESTABLISHED)
    peer.answer(f"R {FAR}:{FAR}(0)", measure="rst_out_of_window")
    documented("rst_out_of_window_states").judge([peer.state()])


@pytest.mark.measures("rst_with_data")
def test_established_rst_with_data_resets(reach, documented):
    """A RST may carry data."""
    peer = reach(State.ESTABLISHED)
    peer.send("R 1:11(10)")
    peer.fence()
    documented("rst_with_data").judge([peer.state()])


@pytest.mark.measures("established_syn", "established_syn_states")
def test_established_syn_is_challenged(reach, documented):
    """A SYN on an established connection draws a challenge ACK and resets nothing."""
    peer = reach(State.ESTABLISHED)
    peer.answer("S 1:1(0)", measure="established_syn")
    documented("established_syn_states").judge([peer.state()])


@pytest.mark.measures("other_port_segment")
def test_established_segment_with_another_port_is_another_connections(reach):
    """A segment with a wrong port is refused and does not touch the connection."""
    peer = reach(State.ESTABLISHED)
    peer.another().answer("P. 1:11(10) ack 77", measure="other_port_segment")
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")


@pytest.mark.measures("other_address_segment")
def test_established_segment_from_another_address_is_another_connections(reach, target, documented):
    """A segment with a wrong source address is refused and does not touch the connection."""
    peer = reach(State.ESTABLISHED)
    peer.send("P. 1:11(10) ack 1", source=ELSEWHERE[target.family])
    documented("other_address_segment").judge(peer.observe(), within=1.0)
    peer.send("P. 1:11(10) ack 1")
    peer.expect(". 1:1(0) ack 11")
