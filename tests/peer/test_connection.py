"""The books: relative numbers above, absolute ones below, across the wrap-around."""

import dataclasses

import pytest

from harness.endpoint import Endpoint
from harness.peer.connection import Connection, initial_sequence_number
from harness.segment.notation import parse_segment
from harness.segment.segment import MaximumSegmentSize, Sack

HERE, THERE = Endpoint("198.51.100.1", 40017), Endpoint("198.51.100.2", 2017)
ISS, IRS = 0xFFFF_FFFF, 0xFFFF_FFFE


def books(*, irs=IRS):
    made = Connection(HERE, THERE, ISS)
    made.sent(made.outgoing(parse_segment("S 0:0(0)")))
    if irs is not None:
        made.received(dataclasses.replace(parse_segment("S. 0:0(0) ack 1"), seq=irs, ack=0))
    return made


def test_an_initial_number_wraps_within_a_testcase():
    """The ISN stands so close below 2^32 that every testcase crosses 0, and it is not constant."""
    chosen = {initial_sequence_number() for _ in range(50)}
    assert len(chosen) > 1
    assert all((1 << 32) - 1025 < number < 1 << 32 for number in chosen)


def test_own_numbers_wrap():
    """What is sent past 2^32 stands at 1 and above, relative."""
    made = books()
    assert (made.snd_nxt, made.expected_ack) == (0, 1)
    made.sent(made.outgoing(parse_segment("P. 1:11(10) ack 1")))
    assert (made.snd_nxt, made.expected_ack) == (10, 11)
    made.sent(made.outgoing(parse_segment("F. 11:11(0) ack 1")))
    assert made.expected_ack == 12


def test_the_targets_numbers_wrap():
    """RCV.NXT goes past 2^32 with what the target sends."""
    made = books()
    assert (made.rcv_nxt, made.expected_seq) == (0xFFFF_FFFF, 1)
    made.received(dataclasses.replace(parse_segment("P. 0:10(10) ack 1"), seq=0xFFFF_FFFF))
    assert (made.rcv_nxt, made.expected_seq) == (9, 11)


@pytest.mark.parametrize("text", ["S 0:0(0)", "P. 1:11(10) ack 5", ". -1:-1(0) ack -3", "R 9:9(0)"])
def test_numbers_go_out_and_come_back(text):
    """What is sent by one side and read by the other is what was written."""
    mine, its = books(), Connection(THERE, HERE, IRS, ISS)
    segment = parse_segment(text)
    sent = mine.outgoing(segment)
    assert (sent.source_port, sent.destination_port) == (40017, 2017)
    read = dataclasses.replace(its.incoming(sent), source_port=0, destination_port=0)
    assert read == segment


def test_sack_blocks_are_shifted_both_ways():
    """A block that is sent is about the target's octets, one that comes is about the peer's."""
    made = books()
    segment = parse_segment(". 1:1(0) ack 1 <mss 5,sack 3:5 7:9>")
    shifted = (MaximumSegmentSize(5), Sack(((1, 3), (5, 7))))
    assert made.outgoing(segment).options == shifted
    shifted = (MaximumSegmentSize(5), Sack(((4, 6), (8, 10))))
    assert made.incoming(segment).options == shifted


def test_an_acknowledgement_means_nothing_without_its_flag():
    """The field is sent and shown as it stands where ACK is not set."""
    made = books()
    bare = dataclasses.replace(parse_segment("R 5:5(0)"), ack=7)
    assert made.outgoing(bare).ack == 7
    assert made.incoming(bare).ack == 7


def test_ports_that_are_written_are_kept():
    """A segment may come from another port than the connection's."""
    segment = dataclasses.replace(parse_segment("S 0:0(0)"), source_port=9, destination_port=80)
    sent = books().outgoing(segment)
    assert (sent.source_port, sent.destination_port) == (9, 80)


def test_before_a_syn_the_targets_numbers_stand_as_they_are():
    """The number of a RST from a closed port is absolute: nothing came that it could be from."""
    made = books(irs=None)
    reset = dataclasses.replace(parse_segment("R. 0:0(0) ack 1"), seq=7, ack=0)
    made.received(reset)
    assert (made.irs, made.expected_seq) == (None, 0)
    assert (made.incoming(reset).seq, made.incoming(reset).ack) == (7, 1)
    assert made.outgoing(parse_segment(". 1:1(0) ack 9")).ack == 9


def test_what_is_repeated_does_not_move_the_books():
    """Octets that were sent or received before are not counted again."""
    made = books()
    made.sent(made.outgoing(parse_segment("P. 1:11(10) ack 1")))
    made.sent(made.outgoing(parse_segment("P. 1:6(5) ack 1")))
    assert made.expected_ack == 11
    made.received(dataclasses.replace(parse_segment("S. 0:0(0) ack 1"), seq=IRS))
    assert made.expected_seq == 1


@pytest.mark.parametrize("text", ["R. 50:50(0) ack 1", ". 50:50(0) ack 1", "R 50:50(0)"])
def test_what_occupies_no_sequence_space_does_not_move_the_books(text):
    """An empty segment, wherever it stands, owes no acknowledgement (RFC 9293 section 3.4)."""
    made = books()
    made.sent(made.outgoing(parse_segment(text)))
    assert made.expected_ack == 1
    made.received(dataclasses.replace(parse_segment(text), seq=IRS + 1))
    assert made.expected_seq == 1


def test_a_reset_never_moves_the_books():
    """Text in a RST is no text of the connection's, whoever sends it."""
    made = books()
    made.sent(made.outgoing(parse_segment("SR 500:505(5)")))
    assert made.expected_ack == 1
    made.received(dataclasses.replace(parse_segment("R. 0:5(5) ack 1"), seq=0xFFFF_FFFF))
    assert made.expected_seq == 1


def test_the_last_timestamp_is_remembered():
    """What a testcase has to echo is what the target sent last."""
    made = books()
    assert made.timestamp_recent is None
    for value in (7, 9):
        made.received(parse_segment(f". 0:0(0) ack 1 <nop,nop,TS val {value} ecr 0>"))
    assert made.timestamp_recent == 9


def test_another_syn_reopens_the_connection():
    """After a SYN with a new number the target's SYN begins new books (RFC 9293 MAY-2)."""
    made = books()
    old = dataclasses.replace(parse_segment("S. 0:0(0) ack 1"), seq=IRS)
    made.sent(made.outgoing(parse_segment("S 1000:1000(0)")))
    made.received(old)
    assert made.irs == IRS
    made.received(dataclasses.replace(old, seq=77))
    assert (made.irs, made.expected_seq, made.expected_ack) == (77, 1, 1001)
    made.received(dataclasses.replace(old, seq=99))
    assert made.irs == 77
