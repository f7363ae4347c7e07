"""Addresses: from and to where a connection cannot be."""

from dataclasses import replace

import pytest

from harness import State

BROADCAST = "255.255.255.255"
NET_BROADCAST = "198.51.100.255"
ALL_HOSTS = {"ipv4": "224.0.0.1", "ipv6": "ff02::1"}
NOWHERE = {"ipv4": "198.51.100.77", "ipv6": "2001:db8::77"}
LOOPBACK = {"ipv4": "127.0.0.1", "ipv6": "::1"}
UNSPECIFIED = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 - a source, and nothing is bound
SYN = "S 0:0(0) <mss 1460>"


def listening(target, peer):
    """Let the target listen, and a caller without oddity see that it answers."""
    target.listen(2017, backlog=64)
    caller = peer.another()
    caller.send(SYN)
    caller.expect("S. 0:0(0) ack 1")
    caller.send("R 1:1(0)")


def embryonic(target, *callers):
    """Return how many connections the target has made of these callers' SYNs."""
    ports = {caller.local.port for caller in callers}
    rows = target.rows(State.SYN_RECEIVED, local_port=2017)
    return len([row for row in rows if row.remote_port in ports])


@pytest.mark.families("ipv4")
@pytest.mark.measures("syn_to_broadcast", "syn_to_broadcast_rows")
def test_listen_syn_to_a_broadcast_address_is_dropped(target, peer, documented):
    """A SYN to a broadcast address is discarded in silence."""
    listening(target, peer)
    one, other = peer.another(), peer.another()
    one.send(SYN, destination=BROADCAST)
    other.send(SYN, destination=NET_BROADCAST)
    documented("syn_to_broadcast").judge(one.observe() or other.observe())
    documented("syn_to_broadcast_rows").judge(embryonic(target, one, other))


@pytest.mark.measures("syn_to_multicast", "syn_to_multicast_rows")
def test_listen_syn_to_a_multicast_address_is_dropped(target, peer, documented):
    """A SYN to a multicast address is discarded in silence."""
    listening(target, peer)
    caller = peer.another()
    caller.send(SYN, destination=ALL_HOSTS[target.family])
    documented("syn_to_multicast").judge(caller.observe())
    documented("syn_to_multicast_rows").judge(embryonic(target, caller))


@pytest.mark.families("ipv4")
@pytest.mark.measures("syn_from_broadcast", "syn_from_broadcast_rows")
def test_listen_syn_from_the_broadcast_address_is_ignored(target, peer, documented):
    """A SYN from the broadcast address of all networks is ignored."""
    listening(target, peer)
    caller = peer.another()
    caller.send(SYN, source=BROADCAST)
    documented("syn_from_broadcast").judge(caller.observe())
    documented("syn_from_broadcast_rows").judge(embryonic(target, caller))


@pytest.mark.families("ipv4")
@pytest.mark.measures("syn_from_net_broadcast", "syn_from_net_broadcast_rows")
def test_listen_syn_from_the_broadcast_address_of_the_link_is_ignored(target, peer, documented):
    """A SYN from the broadcast address of the link is ignored."""
    listening(target, peer)
    caller = peer.another()
    caller.send(SYN, source=NET_BROADCAST)
    documented("syn_from_net_broadcast").judge(caller.observe())
    documented("syn_from_net_broadcast_rows").judge(embryonic(target, caller))


@pytest.mark.measures("syn_from_invalid", "syn_from_invalid_rows")
def test_listen_syn_from_a_multicast_or_loopback_address_is_ignored(target, peer, documented):
    """A SYN from a multicast or a loopback address is ignored."""
    listening(target, peer)
    one, other = peer.another(), peer.another()
    one.send(SYN, source=ALL_HOSTS[target.family])
    other.send(SYN, source=LOOPBACK[target.family])
    documented("syn_from_invalid").judge(one.observe() or other.observe())
    documented("syn_from_invalid_rows").judge(embryonic(target, one, other))


@pytest.mark.measures("syn_from_unspecified", "syn_from_unspecified_rows")
def test_listen_syn_from_the_unspecified_address_is_ignored(target, peer, documented):
    """A SYN from the address of a host that has none yet is ignored."""
    listening(target, peer)
    caller = peer.another()
    caller.send(SYN, source=UNSPECIFIED[target.family])
    documented("syn_from_unspecified").judge(caller.observe())
    documented("syn_from_unspecified_rows").judge(embryonic(target, caller))


@pytest.mark.measures("syn_from_own_address", "syn_from_own_address_rows")
def test_listen_syn_from_the_own_address_is_ignored(target, peer, documented):
    """A SYN that claims to come from the very host that it goes to is ignored."""
    listening(target, peer)
    caller = peer.another()
    caller.send(SYN, source=target.address)
    documented("syn_from_own_address").judge(caller.observe())
    documented("syn_from_own_address_rows").judge(embryonic(target, caller))


@pytest.mark.measures("syn_from_port_zero")
def test_listen_syn_from_port_zero_is_answered(target, peer):
    """A SYN is answered whatever port it comes from, even the reserved port 0."""
    target.listen(2017)
    peer.port(0)
    peer.towards(2017).answer(SYN, measure="syn_from_port_zero")


@pytest.mark.measures("connect_to_broadcast", "connect_to_multicast", "impossible_open_syns")
def test_closed_connect_to_an_address_that_no_peer_can_have_is_refused(target, peer, documented):
    """connect() to a broadcast or multicast address is an error, and nothing is sent."""
    nets = {"ipv4": BROADCAST, "ipv6": "ff0e::1"}
    attempts = {
        "connect_to_broadcast": nets[target.family],
        "connect_to_multicast": ALL_HOSTS[target.family],
    }
    for measure, address in attempts.items():
        attempt = target.connect(replace(peer.port(2017), address=address))
        documented(measure).judge(attempt.wait(0.3).outcome)
    documented("impossible_open_syns").judge(peer.passed_segments())


@pytest.mark.measures("source_address", "source_address_later", "bound_source_address")
def test_closed_connect_without_bind_uses_an_address_of_the_interface(target, peer, documented):
    """The local address that nobody gave is chosen before the SYN, and stays."""
    attempt = target.connect(peer.port(2017))
    peer.expect("S 0:0(0)")
    chosen = attempt.socket.local.address
    peer.send("S. 0:0(0) ack 1 <mss 1460>")
    peer.expect(". 1:1(0) ack 1")
    attempt.wait(1.0).socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    attempt.socket.shutdown("write")
    peer.expect("F. 11:11(0) ack 1")
    sources = {one.source for one in peer.datagrams}
    documented("source_address").judge(peer.datagrams[0].source == chosen == target.address)
    documented("source_address_later").judge(len(sources))

    bound = target.socket()
    bound.bind(0, target.address)
    other = peer.another(remote_port=0)
    bound.connect(other.local)
    other.expect("S 0:0(0)")
    documented("bound_source_address").judge(other.datagrams[0].source == target.address)


@pytest.mark.measures("bind_nonlocal")
def test_closed_bind_to_an_address_of_another_host_fails(target, documented):
    """bind() to an address that the host does not have is an error."""
    call = target.socket().bind(0, NOWHERE[target.family])
    documented("bind_nonlocal").judge(call.outcome)
