"""Closed port: RST answers everything but RST."""

import pytest

from harness import State


@pytest.mark.measures(
    "closed_port_syn",
    "closed_port_syn_data",
    "closed_port_ack",
    "closed_port_synack",
    "closed_port_fin",
    "closed_port_finack",
    "closed_port_data",
    "closed_port_none",
    "closed_port_xmas",
    "closed_port_rst",
    "closed_port_rstack",
)
def test_closed_any_segment_but_rst_is_answered_with_rst(reach):
    """A port without a listener answers every segment but a RST with a RST."""
    peer = reach(State.CLOSED)

    peer.another().answer("S 0:0(0)", measure="closed_port_syn")
    peer.another().answer("S 0:10(10)", measure="closed_port_syn_data")
    peer.another().answer(". 1:1(0) ack 77", measure="closed_port_ack")
    peer.another().answer("S. 0:0(0) ack 77", measure="closed_port_synack")
    peer.another().answer("F 1:1(0)", measure="closed_port_fin")
    peer.another().answer("F. 1:1(0) ack 77", measure="closed_port_finack")
    peer.another().answer("P. 1:11(10) ack 77", measure="closed_port_data")
    peer.another().answer("none 1:1(0)", measure="closed_port_none")
    peer.another().answer("FPU 1:1(0)", measure="closed_port_xmas")
    peer.another().answer("R 1:1(0)", measure="closed_port_rst")
    peer.another().answer("R. 1:1(0) ack 77", measure="closed_port_rstack")


@pytest.mark.measures("closed_port_connect", "connect_after_refusal")
def test_syn_sent_rst_refuses_the_connection(target, peer, documented):
    """A RST that acknowledges the SYN refuses the connection."""
    attempt = target.connect(peer.port(2017))
    peer.expect("S 0:0(0)")
    peer.send("R. 0:0(0) ack 1")
    documented("closed_port_connect").judge(attempt.wait(1.0).outcome)

    other = peer.another(remote_port=0)
    again = attempt.socket.connect(other.local)
    other.let_connect(again)
    documented("connect_after_refusal").judge(again.outcome)
