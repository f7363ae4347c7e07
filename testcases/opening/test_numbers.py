"""Numbers: initial sequence numbers, acknowledgments without ACK, and numbers that wrap."""

import itertools

import pytest

from harness import By, State

WRAP = 2**32 - 1
NEAR = 2**18


def related(numbers):
    """Tell whether steps from number to number are alike: at least three pairs within 2^18.

    Of 17 random numbers the 16 steps make 120 pairs, each alike by chance once in 8192. Three or
    more of them are alike in one set of 150,000, mostly because three steps lie together. If each
    number is the one before plus a constant and the ticks of a clock between two SYNs, all are.
    """
    steps = [(later - earlier) % 2**32 for earlier, later in itertools.pairwise(numbers)]
    apart = [(a - b) % 2**32 for a, b in itertools.combinations(steps, 2)]
    return sum(distance < NEAR or distance > 2**32 - NEAR for distance in apart) >= 3


@pytest.mark.measures("synack_isn_unrelated")
def test_listen_equal_syns_from_many_ports_get_numbers_without_a_pattern(target, peer, documented):
    """The responder's numbers show no pattern over connections (a false alarm in 150,000 runs)."""
    target.listen(2017, backlog=64)
    callers = [peer.another().begins_at(1_000_000) for _ in range(17)]
    for caller in callers:
        caller.send("S 0:0(0) <mss 1460>")
        caller.expect("S. 0:0(0) ack 1")
    documented("synack_isn_unrelated").judge(not related([c.connection.irs for c in callers]))


@pytest.mark.measures("syn_isn_varies", "syn_source_port_varies", "syn_tsecr")
def test_closed_connect_to_many_ports_takes_numbers_without_a_pattern(target, peer, documented):
    """The caller's numbers show no pattern over connections, nor do its ports.

    A false alarm is raised for the numbers in one run of 150,000, for the ports in one of 500,000:
    three of 120 pairs of steps must be equal, of more than 10,000 steps that may be.
    """
    callers = [peer.another(remote_port=0) for _ in range(17)]
    echoes = []
    for caller in callers:
        target.connect(caller.local)
        syn = caller.expect("S 0:0(0)")
        echoes += [option.echo for option in syn.options if hasattr(option, "echo")]
    ports = [caller.remote.port for caller in callers]
    steps = [later - earlier for earlier, later in itertools.pairwise(ports)]
    equal = sum(a == b for a, b in itertools.combinations(steps, 2))
    documented("syn_isn_varies").judge(not related([c.connection.irs for c in callers]))
    documented("syn_source_port_varies").judge(equal < 3)
    documented("syn_tsecr").judge(sum(echoes))


@pytest.mark.measures("synack_for_stray_ack_field", "synack_for_stray_echo")
def test_listen_syn_with_meaningless_fields_is_answered_as_ever(target, peer):
    """Without ACK neither the acknowledgment field nor the echoed timestamp means anything."""
    target.listen(2017)
    peer.another().answer("S 0:0(0) ack 77 <mss 1460>", measure="synack_for_stray_ack_field")
    stray = "S 0:0(0) <mss 1460,nop,nop,TS val 100 ecr 99999>"
    peer.another().answer(stray, measure="synack_for_stray_echo")


@pytest.mark.measures("synack_at_wrap", "data_at_wrap", "fin_at_wrap")
def test_listen_numbers_wrap_from_the_syn_on(target, peer):
    """Numbers are counted modulo 2^32, also when the SYN has the last of them."""
    listener = target.listen(2017)
    peer.begins_at(WRAP)
    peer.answer("S 0:0(0) <mss 1460>", measure="synack_at_wrap")
    peer.send(". 1:1(0) ack 1")
    listener.accept().wait(1.0)
    peer.answer("P. 1:11(10) ack 1", measure="data_at_wrap", within=0.5)
    peer.answer("F. 11:11(0) ack 1", measure="fin_at_wrap", within=0.5)


@pytest.mark.measures("third_ack_at_wrap")
def test_syn_sent_numbers_wrap_from_the_syn_ack_on(reach):
    """The caller acknowledges a SYN-ACK that has the last number modulo 2^32."""
    peer = reach(State.SYN_SENT)
    peer.begins_at(WRAP)
    peer.answer("S. 0:0(0) ack 1 <mss 1460>", measure="third_ack_at_wrap")


@pytest.mark.tuned(timestamps=1)
@pytest.mark.measures("timestamps_offset")
def test_listen_timestamps_of_connections_have_offsets_of_their_own(target, peer, documented):
    """The timestamps of each connection begin elsewhere, if they are to."""
    documented("timestamps_offset").judge(spread(target, peer) > 2**24)


@pytest.mark.tuned(timestamps=2)
@pytest.mark.measures("timestamps_without_offset")
def test_listen_timestamps_of_connections_have_one_clock(target, peer, documented):
    """The timestamps of all connections are one clock's, if they are to."""
    documented("timestamps_without_offset").judge(spread(target, peer) < 2**14)


def spread(target, peer):
    """Return how far apart the timestamps of eight SYN-ACKs are."""
    target.listen(2017, backlog=64)
    values = []
    for _ in range(8):
        caller = peer.another()
        caller.send("S 0:0(0) <mss 1460,nop,nop,TS val 100 ecr 0>")
        answer = caller.expect("S. 0:0(0) ack 1 <TS val * ecr 100,...>")
        values += [option.value for option in answer.options if hasattr(option, "echo")]
    return max(values) - min(values)


@pytest.mark.measures("simultaneous_open_other_timestamps")
def test_syn_sent_crossing_syn_without_timestamps(reach):
    """When only one of two SYNs that cross has timestamps, the SYN-ACK may have them, too."""
    peer = reach(State.SYN_SENT, by=By.ACTIVE_OPEN)
    peer.answer("S 0:0(0) <mss 1460>", measure="simultaneous_open_other_timestamps")
