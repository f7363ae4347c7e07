"""Flood: SYNs from forged sources, thousands a second, while somebody wants to connect."""

import pytest

from harness import State

SYN = "S 0:0(0) <mss 1460>"
RATE = 2_000
BACKLOG = 8
ENOUGH = 500


def flooded(target, peer, flood):
    """Let a flood fill the listener's queue; return who then calls, and the listener."""
    listener = target.listen(2017, backlog=BACKLOG)
    peer.wait_until(lambda: flood.sent >= ENOUGH)
    return peer.another(), listener


@pytest.mark.tuned(syn_cookies=1)
@pytest.mark.measures("flood_cookies_answer", "flood_cookies_connect", "flood_cookies_rows")
def test_listen_flood_with_cookies_leaves_room_for_callers(target, peer, documented):
    """Under a flood the cookies let a caller through, and the queue is no longer than before."""
    with peer.flood(SYN, rate=RATE) as flood:
        caller, listener = flooded(target, peer, flood)
        caller.answer(SYN, measure="flood_cookies_answer")
        caller.send(". 1:1(0) ack 1")
        documented("flood_cookies_connect").judge(listener.accept().wait(1.0).outcome)
        rows = target.rows(State.SYN_RECEIVED, local_port=2017)
        documented("flood_cookies_rows").judge(len(rows))


@pytest.mark.tuned(syn_cookies=0, max_syn_backlog=BACKLOG, synack_retries=0)
@pytest.mark.measures("flood_without_cookies_answer", "flood_over_answer")
def test_listen_flood_without_cookies_keeps_callers_out(target, peer):
    """Under a flood without cookies nobody gets an answer; when it is over, entries expire."""
    with peer.flood(SYN, rate=RATE) as flood:
        caller, _ = flooded(target, peer, flood)
        caller.answer(SYN, measure="flood_without_cookies_answer")
    peer.wait_until(lambda: not target.rows(State.SYN_RECEIVED, local_port=2017))
    peer.another().answer(SYN, measure="flood_over_answer", within=1.0)


@pytest.mark.lasts(256)
@pytest.mark.tuned(syn_cookies=2)
@pytest.mark.measures("cookie_replayed_soon", "cookie_replayed_late")
def test_listen_cookie_is_good_for_a_time_only(target, peer, documented):
    """A cookie that comes back when its time counter has moved on four times opens nothing."""
    listener = target.listen(2017)
    peer.send(SYN)
    peer.expect("S. 0:0(0) ack 1")
    late = peer.another()
    late.send(SYN)
    late.expect("S. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    documented("cookie_replayed_soon").judge(listener.accept().wait(1.0).outcome)
    late.wait(256.0)
    late.answer(". 1:1(0) ack 1", measure="cookie_replayed_late")
