"""IP: what the datagrams of a connection look like, and what they may bring."""

import pytest

from harness import By, State

TTL = 77
DSCP = 0x28
OTHER_DSCP = 0x48
ABORTING = [1, 0]
# Types of IPv4 options with their lengths: experimental, record route, timestamp, loose route.
UNKNOWN = b"\x9e\x04\x00\x00"
RECORD_ROUTE = b"\x07\x0b\x04" + bytes(8) + b"\x00"
TIMESTAMP = b"\x44\x0c\x05\x00" + bytes(8)
OTHER_ROUTE = b"\x83\x0b\x0c\xc6\x33\x64\x08\xc6\x33\x64\x09\x00"
ROUTERS = "198.51.100.8", "198.51.100.9"
COMPLETED_ROUTE = b"\x83\x0b\x0c\xc6\x33\x64\x09\xc6\x33\x64\x08\x00"


def lifelong(peer):
    """Let the target send SYN, acknowledgment, data, FIN and RST; return their datagrams."""
    peer.socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    peer.send(". 1:1(0) ack 11")
    peer.socket.shutdown("write")
    peer.expect("F. 11:11(0) ack 1")
    peer.socket.set("SO_LINGER", ABORTING)
    peer.socket.close()
    peer.wait_until(lambda: any(one.segment.rst for one in peer.datagrams), within=1.0)
    return peer.datagrams


def values(numbers):
    """Write the different numbers, in order."""
    return ",".join(map(str, sorted(set(numbers))))


@pytest.mark.measures("ttl_default")
def test_closed_to_closed_ttl_by_default(reach, documented):
    """Every segment of a connection has the TTL of the stack, if nothing else is said."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN)
    documented("ttl_default").judge(values(one.ttl for one in lifelong(peer)))


@pytest.mark.measures("ttl_of_the_socket")
def test_closed_to_closed_ttl_as_the_application_says(reach, documented):
    """Every segment, from SYN to RST, has the TTL that the application has set."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN, options={"IP_TTL": TTL})
    documented("ttl_of_the_socket").judge(values(one.ttl for one in lifelong(peer)))


@pytest.mark.families("ipv4")
@pytest.mark.tuned(default_ttl=99)
@pytest.mark.measures("ttl_of_the_stack")
def test_closed_to_closed_ttl_as_the_stack_is_set(reach, documented):
    """Every segment, from SYN to RST, has the TTL that the stack is set to."""
    peer = reach(State.ESTABLISHED, by=By.ACTIVE_OPEN)
    documented("ttl_of_the_stack").judge(values(one.ttl for one in lifelong(peer)))


@pytest.mark.measures("dscp_of_the_caller", "dscp_of_the_listener")
def test_closed_to_closed_dscp_as_the_application_says(target, reach, peer, documented):
    """Every segment, from SYN or SYN-ACK to RST, has the DSCP that the application has set."""
    reach(State.ESTABLISHED, by=By.ACTIVE_OPEN, options={"IP_TOS": DSCP})
    documented("dscp_of_the_caller").judge(values(one.tos for one in lifelong(peer)))
    listener = target.listen(2018, IP_TOS=DSCP)
    caller = peer.another(remote_port=2018)
    caller.send("S 0:0(0) <mss 1460>")
    caller.expect("S. 0:0(0) ack 1")
    caller.send(". 1:1(0) ack 1")
    caller.socket = listener.accept().socket
    documented("dscp_of_the_listener").judge(values(one.tos for one in lifelong(caller)))


@pytest.mark.measures("dscp_changed")
def test_established_dscp_can_be_changed(reach, documented):
    """What the application sets later holds for what is sent later."""
    peer = reach(State.ESTABLISHED, options={"IP_TOS": DSCP})
    peer.socket.set("IP_TOS", OTHER_DSCP)
    peer.socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    documented("dscp_changed").judge(peer.datagrams[-1].tos)


@pytest.mark.measures("dscp_not_reflected")
def test_listen_dscp_of_the_syn_is_its_senders_by_default(target, peer, documented):
    """The DSCP of a SYN is not that of the answer, if nothing else is said."""
    target.listen(2017)
    peer.send("S 0:0(0) <mss 1460>", tos=DSCP)
    peer.expect("S. 0:0(0) ack 1")
    documented("dscp_not_reflected").judge(peer.datagrams[-1].tos)


@pytest.mark.tuned(reflect_dscp=1)
@pytest.mark.measures("dscp_reflected")
def test_listen_dscp_of_the_syn_is_reflected_if_set(target, peer, documented):
    """Where the stack is set so, all that it sends has the DSCP of the SYN."""
    target.knob("reflect_dscp")
    listener = target.listen(2017)
    peer.send("S 0:0(0) <mss 1460>", tos=DSCP)
    peer.expect("S. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1", tos=DSCP)
    peer.socket = listener.accept().socket
    documented("dscp_reflected").judge(values(one.tos for one in lifelong(peer)))


@pytest.mark.families("ipv6")
@pytest.mark.measures("flow_labels")
def test_listen_to_closed_flow_label_is_one(reach, documented):
    """SYN-ACK, data, FIN and RST of one connection have one flow label."""
    peer = reach(State.ESTABLISHED)
    documented("flow_labels").judge(len({one.flow_label for one in lifelong(peer)}))


@pytest.mark.families("ipv4")
@pytest.mark.measures(
    "unknown_ip_option_syn", "record_route_syn", "ip_timestamp_syn", "source_route_syn"
)
def test_listen_syn_with_ip_options_is_answered(target, peer, documented):
    """IP options that TCP does not understand are ignored; others may be supported."""
    target.listen(2017)
    unknown = peer.another()
    unknown.send("S 0:0(0) <mss 1460>", ip_options=UNKNOWN)
    documented("unknown_ip_option_syn").judge(unknown.observe())
    for measure, option in (("record_route_syn", RECORD_ROUTE), ("ip_timestamp_syn", TIMESTAMP)):
        caller = peer.another()
        caller.send("S 0:0(0) <mss 1460>", ip_options=option)
        caller.expect("S. 0:0(0) ack 1")
        documented(measure).judge(len(caller.datagrams[-1].ip_options))
    routed = peer.another()
    routed.send("S 0:0(0) <mss 1460>", ip_options=COMPLETED_ROUTE)
    documented("source_route_syn").judge(routed.observe())


@pytest.mark.families("ipv4")
@pytest.mark.tuned(accept_source_route=1)
@pytest.mark.measures("source_route_kept")
def test_listen_source_route_of_a_syn_is_taken_back(target, peer, documented):
    """Where source routes are accepted, all segments go back by the route that the SYN took."""
    listener = target.listen(2017)
    for router in ROUTERS:
        peer.bench.station.answers_for(router)
    peer.send("S 0:0(0) <mss 1460>", ip_options=COMPLETED_ROUTE)
    peer.expect("S. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1")
    peer.socket = listener.accept().socket
    kinds = (int.from_bytes(one.ip_options[:1]) for one in lifelong(peer))
    documented("source_route_kept").judge(values(kinds))


@pytest.mark.families("ipv4")
@pytest.mark.tuned(accept_source_route=1)
@pytest.mark.measures("source_route_replaced")
def test_established_source_route_of_a_later_segment_replaces_the_first(target, peer, documented):
    """When a later segment comes by another route, what is sent then goes back by that one."""
    listener = target.listen(2017)
    for router in ROUTERS:
        peer.bench.station.answers_for(router)
    peer.send("S 0:0(0) <mss 1460>", ip_options=COMPLETED_ROUTE)
    peer.expect("S. 0:0(0) ack 1")
    peer.send(". 1:1(0) ack 1", ip_options=OTHER_ROUTE)
    listener.accept().socket.send(10)
    peer.expect(". 1:11(10) ack 1")
    documented("source_route_replaced").judge(peer.datagrams[-1].destination == ROUTERS[1])


@pytest.mark.families("ipv4")
@pytest.mark.measures("dont_fragment")
def test_established_segments_must_not_be_fragmented(reach, documented):
    """Where the path's MTU is discovered, no router may fragment a segment of data."""
    peer = reach(State.ESTABLISHED)
    peer.socket.send(1000)
    peer.expect(". 1:1001(1000) ack 1")
    documented("dont_fragment").judge(peer.datagrams[-1].dont_fragment)


@pytest.mark.families("ipv4")
@pytest.mark.measures("repeated_syn_identification")
def test_syn_sent_repeated_syn_and_its_identification(reach, documented):
    """A SYN that is sent again may keep its identification."""
    peer = reach(State.SYN_SENT)
    peer.expect("S 0:0(0)", within=30.0)
    numbers = {one.identification for one in peer.datagrams}
    documented("repeated_syn_identification").judge(len(numbers) == 1)


@pytest.mark.measures("segment_of_the_own_mss")
def test_established_segment_of_the_announced_mss_is_received(reach, documented):
    """A segment as large as the MSS that was announced is received."""
    peer = reach(State.LISTEN)
    peer.send("S 0:0(0) <mss 1460>")
    announced = peer.expect("S. 0:0(0) ack 1 <mss *,...>").mss
    peer.send(f". 1:{1 + announced}({announced}) ack 1")
    answer = peer.observe(0.5)
    documented("segment_of_the_own_mss").judge(answer is not None and answer.ack == 1 + announced)
