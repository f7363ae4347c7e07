"""Simultaneous open: two SYNs that cross make one connection."""

import pytest

from harness import State


@pytest.mark.measures(
    "simultaneous_open_answer",
    "simultaneous_open_states",
    "simultaneous_open_connections",
    "simultaneous_open_segments",
)
def test_syn_sent_crossing_syn_opens_one_connection(target, reach, documented):
    """Two SYNs that cross open one connection."""
    peer = reach(State.SYN_SENT)
    states = [peer.state()]
    peer.send("S 0:0(0) <mss 1460>")
    peer.expect("S. 0:0(0) ack 1", measure="simultaneous_open_answer")
    states.append(peer.state())
    peer.send("S. 0:0(0) ack 1 <mss 1460>")
    peer.fence()
    states.append(peer.reaches(State.ESTABLISHED))

    documented("simultaneous_open_states").judge(states)
    documented("simultaneous_open_connections").judge(len(target.table()))
    documented("simultaneous_open_segments").judge(peer.passed_segments())
