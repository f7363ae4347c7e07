"""Ports: which one connect() and listen() take, and which one they are given."""

import pytest

from harness import State

NARROW = {"ephemeral_port_first": 50000, "ephemeral_port_last": 50003}
FOUR = range(50000, 50004)


def taken(target, peer, attempts):
    """Connect so often to one endpoint; return the source ports, and the calls."""
    caller = peer.another(remote_port=0)
    calls = [target.connect(caller.local) for _ in range(attempts)]
    peer.fence()
    rows = target.rows(State.SYN_SENT, remote=caller.local)
    return sorted(row.local_port for row in rows), calls


@pytest.mark.measures("bound_source_port")
def test_closed_bound_socket_calls_from_its_port(target, peer, documented):
    """A client that binds a port calls from it."""
    target.connect(peer.port(2017), source_port=41000)
    peer.expect("S 0:0(0)")
    documented("bound_source_port").judge(peer.remote.port)


@pytest.mark.tuned(**NARROW)
@pytest.mark.measures("narrow_range_ports", "narrow_range_distinct", "narrow_range_exhausted")
def test_closed_connect_takes_each_port_of_the_range_once(target, peer, documented):
    """Ports come from the range, none twice to one endpoint; then there is none left."""
    ports, calls = taken(target, peer, len(FOUR) + 1)
    documented("narrow_range_ports").judge(min(ports, default=0))
    documented("narrow_range_ports").judge(max(ports, default=0))
    documented("narrow_range_distinct").judge(len(set(ports)))
    documented("narrow_range_exhausted").judge(calls[-1].wait(0.5).outcome)


@pytest.mark.tuned(**NARROW)
@pytest.mark.measures("listening_port_avoided", "bound_port_avoided")
def test_closed_connect_leaves_the_ports_of_others_alone(target, peer, documented):
    """Neither a listener's port nor one that is bound is taken for a call."""
    target.listen(FOUR[1])
    target.socket().bind(FOUR[2])
    ports, _ = taken(target, peer, len(FOUR))
    documented("listening_port_avoided").judge(FOUR[1] not in ports)
    documented("bound_port_avoided").judge(FOUR[2] not in ports)


@pytest.mark.measures("unbound_listener_port", "unbound_listener_answer")
def test_closed_listen_without_bind_takes_a_free_port(target, peer, documented):
    """A socket that listens without having been bound listens on a port of the range."""
    listening = target.socket()
    listening.listen()
    port = listening.local.port
    documented("unbound_listener_port").judge(port)
    peer.towards(port).answer("S 0:0(0) <mss 1460>", measure="unbound_listener_answer")


@pytest.mark.tuned(**NARROW)
@pytest.mark.measures("autobind_exhausted")
def test_closed_bind_takes_no_port_that_is_in_use(target, documented):
    """bind() to any port takes none that is in use, whatever SO_REUSEADDR says."""
    sockets = [target.socket() for _ in range(len(FOUR) + 1)]
    for socket in sockets:
        socket.set("SO_REUSEADDR", 1)
    outcomes = [socket.bind(0).outcome for socket in sockets]
    documented("autobind_exhausted").judge(outcomes[-1])


@pytest.mark.measures("ephemeral_range_size")
def test_closed_range_of_ports_is_wide(target, documented):
    """The range that ports are taken from is as wide as it can be."""
    first, last = target.knob("ephemeral_port_first"), target.knob("ephemeral_port_last")
    documented("ephemeral_range_size").judge(int(last - first) + 1)


@pytest.mark.measures("maxseg_syn", "maxseg_segment_size")
def test_closed_maxseg_bounds_both_directions(target, peer, documented):
    """TCP_MAXSEG before connect() bounds the MSS that is announced, and what is sent."""
    attempt = target.connect(peer.port(2017), TCP_MAXSEG=600)
    documented("maxseg_syn").judge(peer.expect("S 0:0(0)").mss)
    peer.send("S. 0:0(0) ack 1 <mss 1460>")
    peer.expect(". 1:1(0) ack 1")
    attempt.wait(1.0).socket.send(3000)
    sizes = [len(one.payload) for one in peer.collect(".", until=0.15).segments]
    documented("maxseg_segment_size").judge(max(sizes, default=0))


@pytest.mark.families("ipv4")
@pytest.mark.measures("syn_options_with_default_mss")
def test_closed_mss_option_when_it_says_the_default(target, peer, documented):
    """The MSS option may be there even when the MSS is the default."""
    target.connect(peer.port(2017), TCP_MAXSEG=536)
    syn = peer.expect("S 0:0(0) <mss 536,...>")
    documented("syn_options_with_default_mss").judge(syn.option_names())


@pytest.mark.tuned(**NARROW, reserved_port=FOUR[1])
@pytest.mark.measures("reserved_port_avoided", "reserved_port_bound")
def test_closed_reserved_port_is_not_chosen_but_given(target, peer, documented):
    """A reserved port is not chosen for a call, but given to who asks for it."""
    target.knob("reserved_port")
    ports, _ = taken(target, peer, len(FOUR))
    documented("reserved_port_avoided").judge(FOUR[1] not in ports)
    documented("reserved_port_bound").judge(target.socket().bind(FOUR[1]).outcome)
