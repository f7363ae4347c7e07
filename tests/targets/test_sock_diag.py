"""Rows of the state table, read from octets that a kernel once sent."""

import sys

import pytest

from harness.states import State
from harness.targets import sock_diag

ESTABLISHED = bytes.fromhex(
    "02010000a02807e17f0000010000000000000000000000007f0000010000000000000000000000000000000025"
    "11000000000000000000000000000000000000000000007dd30200050008000000000008000f00000000000c00"
    "1500010000000000000006001600520000001c010200010000000007aa01e01c030000000000e57f0000180200"
    "00000000000000000000000000000000000000000000000000000000000000000000000000ffff0000d7ff0000"
    "1d0000000e000000ffffff7f0a000000cbff00000300000000000000d7ff000000000000c4f3268307000000ff"
    "ffffffffffffff0100000000000000000000000000000002000000010000000000"
)
MAPPED = bytes.fromhex(
    "0a01000007e1a02800000000000000000000ffff7f00000100000000000000000000ffff7f0000010000000027"
    "11000000000000000000000000000000000000000000007ed30200"
)
TIME_WAIT = bytes.fromhex(
    "0a060300a02907e100000000000000000000000000000001000000000000000000000000000000010000000028"
    "1100000000000060ea00000000000000000000000000000000000008000f0000000000"
)

needs_little_endian = pytest.mark.skipif(sys.byteorder == "big", reason="the octets are not")


@needs_little_endian
def test_an_ipv4_connection_has_its_endpoints_and_its_state():
    """Ports and addresses are in network order, everything else in the machine's."""
    row = sock_diag.parse(ESTABLISHED)

    assert row[:6] == ("ipv4", "ESTABLISHED", "127.0.0.1", 41000, "127.0.0.1", 2017)
    assert (row.timer, row.expires, row.uid, row.inode) == ("none", 0, 0, 185213)


@needs_little_endian
def test_a_mapped_address_belongs_to_ipv4():
    """What passes the wire is IPv4, whatever the socket's family is."""
    row = sock_diag.parse(MAPPED)

    assert row[:6] == ("ipv4", "ESTABLISHED", "127.0.0.1", 2017, "127.0.0.1", 41000)
    assert row.info == b""


@needs_little_endian
def test_time_wait_shows_its_timer_in_milliseconds():
    """A connection in TIME-WAIT has a timer, and neither queue nor owner."""
    row = sock_diag.parse(TIME_WAIT)

    assert row[:6] == ("ipv6", "TIME-WAIT", "::1", 41001, "::1", 2017)
    assert (row.timer, row.expires, row.inode) == ("time-wait", 60_000, 0)


def test_octets_that_are_too_few_are_refused():
    """A message that was cut off is an error, not a row of zeros."""
    with pytest.raises(ValueError, match="71 octets"):
        sock_diag.parse(ESTABLISHED[:71])


@needs_little_endian
def test_tcp_info_tells_both_window_scales():
    """The two scales share an octet: the one that we send by is in its lower half."""
    info = sock_diag.tcp_info(sock_diag.parse(ESTABLISHED).info)

    assert (info["snd_wscale"], info["rcv_wscale"]) == (10, 10)
    uneven = bytearray(sock_diag.parse(ESTABLISHED).info)
    uneven[6] = 0x72
    info = sock_diag.tcp_info(bytes(uneven))
    assert (info["snd_wscale"], info["rcv_wscale"]) == (2, 7)


@needs_little_endian
def test_tcp_info_ends_where_the_kernel_ended_it():
    """A kernel that knows fewer fields sends fewer, and none is invented."""
    octets = sock_diag.parse(ESTABLISHED).info

    info = sock_diag.tcp_info(octets[:24])

    assert info["state"] == "ESTABLISHED"
    assert info["rto"] == 204_000
    assert info["rcv_mss"] == 536
    assert "unacked" not in info
    assert sock_diag.tcp_info(b"") == {}


def test_every_state_is_spelt_as_the_harness_spells_it():
    """The module stands alone, so it cannot borrow the names of the states."""
    assert set(sock_diag.STATES.values()) == set(State)
