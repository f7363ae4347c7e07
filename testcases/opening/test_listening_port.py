"""Listening port: what is no SYN opens nothing."""

import pytest

from harness import State


@pytest.mark.measures(
    "listen_ack",
    "listen_synack",
    "listen_fin",
    "listen_finack",
    "listen_none",
    "listen_data",
    "listen_rst",
    "listen_rstack",
    "listen_synfin",
    "listen_synrst",
)
def test_listen_acknowledgements_are_reset_and_the_rest_is_dropped(reach):
    """A listening port resets what acknowledges something, and drops what is no SYN."""
    peer = reach(State.LISTEN)

    peer.another().answer(". 1:1(0) ack 77", measure="listen_ack")
    peer.another().answer("S. 0:0(0) ack 77", measure="listen_synack")
    peer.another().answer("F 1:1(0)", measure="listen_fin")
    peer.another().answer("F. 1:1(0) ack 77", measure="listen_finack")
    peer.another().answer("none 1:1(0)", measure="listen_none")
    peer.another().answer("P. 1:11(10) ack 77", measure="listen_data")
    peer.another().answer("R 1:1(0)", measure="listen_rst")
    peer.another().answer("R. 1:1(0) ack 77", measure="listen_rstack")
    peer.another().answer("SF 0:0(0)", measure="listen_synfin")
    peer.another().answer("SR 0:0(0)", measure="listen_synrst")


@pytest.mark.measures("listen_backlog_connections", "accept_queue_full_syn")
def test_listen_full_accept_queue_ignores_further_syns(target, peer, documented):
    """While nobody accepts, only so many connections are completed as listen() allows."""
    target.listen(2017, backlog=1)
    for _ in range(5):
        caller = peer.another()
        caller.send("S 0:0(0) <mss 1460>")
        caller.observe()
        caller.send(". 1:1(0) ack 1")
        caller.observe()
    established = [row for row in target.table() if row.state == State.ESTABLISHED]

    documented("listen_backlog_connections").judge(len(established))
    peer.another().answer("S 0:0(0) <mss 1460>", measure="accept_queue_full_syn")
