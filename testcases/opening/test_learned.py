"""Application: what it can give to the opening of a connection, and learn of what came."""

import pytest

from harness import State

DSCP = 0x28
ROUTER, OTHER_ROUTER = "198.51.100.8", "198.51.100.9"
# An IPv4 option: a loose source route by ROUTER, and one that has come by both.
ROUTE = b"\x83\x07\x04\xc6\x33\x64\x08\x00"
RETURN = b"\x83\x0b\x0c\xc6\x33\x64\x08\xc6\x33\x64\x09\x00"
ON = {"TCP_FASTOPEN": 5}
OLD_KEY, NEW_KEY = b"o" * 16, b"n" * 16


def routed(target, peer):
    """Let the target open a connection by way of a router; return the attempt."""
    for router in (ROUTER, OTHER_ROUTER):
        peer.bench.station.answers_for(router)
    socket = target.socket()
    socket.set_octets("IP_OPTIONS", ROUTE)
    attempt = socket.connect(peer.port(2017))
    peer.expect("S 0:0(0)")
    return attempt


@pytest.mark.families("ipv4")
@pytest.mark.measures("given_route")
def test_closed_source_route_can_be_given(target, peer, documented):
    """An application can say by which routers a connection is to be opened."""
    routed(target, peer)
    syn = peer.datagrams[-1]
    given = syn.destination == ROUTER and syn.ip_options[:1] == ROUTE[:1]
    documented("given_route").judge(given)


@pytest.mark.families("ipv4")
@pytest.mark.tuned(accept_source_route=1)
@pytest.mark.measures("given_route_kept")
def test_syn_sent_source_route_that_was_given_is_kept(target, peer, documented):
    """The route that an application has given goes before one that came in a datagram."""
    attempt = routed(target, peer)
    peer.send("S. 0:0(0) ack 1 <mss 1460>", ip_options=RETURN)
    peer.expect(". 1:1(0) ack 1")
    attempt.wait(1.0).socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    documented("given_route_kept").judge(peer.datagrams[-1].destination == ROUTER)


@pytest.mark.families("ipv4")
@pytest.mark.measures("received_dscp_told")
def test_established_received_dscp_can_be_asked_for(reach, documented):
    """An application can learn which DSCP came last."""
    peer = reach(State.ESTABLISHED, options={"IP_RECVTOS": 1})
    peer.socket.set("IP_RECVTOS", 1)
    peer.send("P. 1:11(10) ack 1", tos=DSCP)
    peer.fence()
    documented("received_dscp_told").judge(peer.socket.received_tos() == DSCP)


def cookie_of(peer):
    """Ask for a Fast Open cookie; return it as it is written."""
    peer.send("S 0:0(0) <mss 1460,nop,nop,kind-34>")
    answer = peer.expect("S. 0:0(0) ack 1 <kind-34 *,...>")
    peer.send("R 1:1(0)")
    return next(f"0x{one.data.hex()}" for one in answer.options if hasattr(one, "data"))


@pytest.mark.tuned(fast_open=3)
@pytest.mark.measures("fast_open_backup_key", "fast_open_new_key", "fast_open_old_key")
def test_listen_fast_open_keys_can_be_replaced(target, peer, documented):
    """Cookies are made with the first key; the second one still proves those of before."""
    listener = target.listen(2017, options=ON)
    listener.socket.set_octets("TCP_FASTOPEN_KEY", OLD_KEY)
    old = cookie_of(peer.another())
    data = f"S 0:10(10) <mss 1460,nop,nop,kind-34 {old}>"
    listener.socket.set_octets("TCP_FASTOPEN_KEY", NEW_KEY + OLD_KEY)
    peer.another().answer(data, measure="fast_open_backup_key")
    documented("fast_open_new_key").judge(cookie_of(peer.another()) != old)
    listener.socket.set_octets("TCP_FASTOPEN_KEY", NEW_KEY)
    peer.another().answer(data, measure="fast_open_old_key")


def flight(listener, peer):
    """Let the application send much on the next connection; return how many segments come."""
    listener.accept().wait(1.0).socket.send(100_000)
    peer.expect(". 1:*(*)")
    return 1 + len(peer.collect(". *:*(*)", until=0.15).segments)


@pytest.mark.tuned(fast_open=3)
@pytest.mark.measures("fast_open_first_flight")
def test_syn_received_fast_open_keeps_to_the_initial_window(target, peer, documented):
    """Before the third ACK no more is sent than a connection begins with."""
    listener = target.listen(2017, options=ON)
    eager, usual = peer.another(), peer.another()
    eager.send(f"S 0:10(10) <mss 1400,nop,nop,kind-34 {cookie_of(peer.another())}>")
    eager.expect("S. 0:0(0) ack 11")
    at_once = flight(listener, eager)
    usual.send("S 0:0(0) <mss 1400>")
    usual.expect("S. 0:0(0) ack 1")
    usual.send(". 1:1(0) ack 1")
    documented("fast_open_first_flight").judge(at_once <= flight(listener, usual))
