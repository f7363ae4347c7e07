"""Queues: what becomes of those who wait for the third ACK, or for accept()."""

import pytest

from harness import State

SYN = "S 0:0(0) <mss 1460>"


def half_open(peer, number):
    """Send SYNs from so many ports; return the peers and what answered each."""
    callers = [peer.another() for _ in range(number)]
    for caller in callers:
        caller.send(SYN)
    peer.fence()
    return callers, [caller.observe(0.0) for caller in callers]


def overflow(target, peer):
    """Fill an accept queue while a SYN-ACK is not acknowledged; return its peer and the listener.

    All but two connections are complete before these begin, so that the queue of SYNs has room for
    them, however it counts.
    """
    listener = target.listen(2017, backlog=2)
    for _ in range(2):
        (early,), _ = half_open(peer, 1)
        early.send(". 1:1(0) ack 1")
        early.reaches(State.ESTABLISHED)
    (last, late), _ = half_open(peer, 2)
    last.send(". 1:1(0) ack 1")
    last.reaches(State.ESTABLISHED)
    return late, listener


@pytest.mark.tuned(abort_on_overflow=0)
@pytest.mark.measures(
    "accept_queue_full_third_ack",
    "accept_queue_full_third_ack_states",
    "accept_queue_overflows",
    "accept_queue_recovery",
)
def test_syn_received_full_accept_queue_ignores_the_third_ack(target, peer, documented):
    """A third ACK that finds the accept queue full is passed over; when there is room, it opens."""
    late, listener = overflow(target, peer)
    late.answer(". 1:1(0) ack 1", measure="accept_queue_full_third_ack")
    documented("accept_queue_full_third_ack_states").judge([late.state()])
    documented("accept_queue_overflows").judge(target.counter("TcpExtListenOverflows"))
    listener.accept().wait(1.0)
    late.send("P. 1:11(10) ack 1")
    documented("accept_queue_recovery").judge([late.reaches(State.ESTABLISHED)])


@pytest.mark.tuned(abort_on_overflow=1)
@pytest.mark.measures("accept_queue_full_abort")
def test_syn_received_full_accept_queue_resets_if_it_is_told_to(target, peer):
    """A third ACK that finds the accept queue full is reset where the stack is set so."""
    late, _ = overflow(target, peer)
    late.answer(". 1:1(0) ack 1", measure="accept_queue_full_abort")


@pytest.mark.tuned(somaxconn=2)
@pytest.mark.measures("somaxconn_connections")
def test_listen_backlog_is_bounded_by_the_stack(target, peer, documented):
    """The backlog that an application asks for is cut to what the stack allows."""
    target.listen(2017, backlog=64)
    for _ in range(6):
        caller = peer.another()
        caller.send(SYN)
        caller.observe()
        caller.send(". 1:1(0) ack 1")
    peer.fence()
    documented("somaxconn_connections").judge(len(target.rows(State.ESTABLISHED)))


@pytest.mark.measures("somaxconn_value")
def test_closed_bound_of_backlogs_by_default(target, documented):
    """By default the bound of all backlogs is the one that is documented."""
    documented("somaxconn_value").judge(int(target.knob("somaxconn")))


@pytest.mark.tuned(syn_cookies=0, max_syn_backlog=8)
@pytest.mark.measures(
    "syn_queue_length", "syn_queue_full_syn", "syn_queue_full_drops", "syn_queue_full_oldest"
)
def test_listen_full_syn_queue_drops_further_syns(target, peer, documented):
    """Without cookies only so many half-open connections are kept; further SYNs are dropped."""
    target.listen(2017, backlog=64)
    callers, _ = half_open(peer, 20)
    documented("syn_queue_length").judge(len(target.rows(State.SYN_RECEIVED)))
    peer.another().answer(SYN, measure="syn_queue_full_syn")
    documented("syn_queue_full_drops").judge(target.counter("TcpExtListenDrops"))
    documented("syn_queue_full_oldest").judge([callers[0].state()])


@pytest.mark.tuned(synack_retries=0)
@pytest.mark.measures("shortened_embryonic_lifetime")
def test_syn_received_half_open_connections_can_be_given_up_earlier(reach, documented):
    """How long a half-open connection is kept can be shortened."""
    peer = reach(State.SYN_RECEIVED)
    lasted = peer.target_leaves(State.SYN_RECEIVED, since=peer.history("S.").began)
    documented("shortened_embryonic_lifetime").judge(lasted)


@pytest.mark.measures("deferred_accept_third_ack", "deferred_accept_data")
def test_syn_received_deferred_accept_wakes_when_data_comes(target, peer, documented):
    """A listener that defers wakes when data comes, not when the third ACK does."""
    listener = target.listen(2017, TCP_DEFER_ACCEPT=5)
    waiting = listener.accept()
    peer.send(SYN)
    peer.expect("S. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    peer.fence()
    documented("deferred_accept_third_ack").judge(waiting.wait(0.1).outcome)
    peer.send("P. 1:11(10) ack 1")
    documented("deferred_accept_data").judge(waiting.wait(1.0).outcome)


@pytest.mark.tuned(migrate_requests=0)
@pytest.mark.measures("listener_close_queued", "listener_close_embryonic")
def test_established_close_of_the_listener_aborts_what_nobody_accepted(target, peer, documented):
    """When a listener is closed, its connections that were not accepted are aborted."""
    listener = target.listen(2017)
    (queued, embryonic), _ = half_open(peer, 2)
    queued.send(". 1:1(0) ack 1")
    queued.reaches(State.ESTABLISHED)
    listener.close()
    documented("listener_close_queued").judge(queued.observe())
    embryonic.answer(". 1:1(0) ack 1", measure="listener_close_embryonic")
