"""Forgery: each frame is a right one, from another source."""

import dataclasses
import ipaddress
import itertools

import pytest

from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.forgery import FIRST_PORT, forge
from harness.segment.notation import parse_segment

ENDS = {"ipv4": ("198.51.100.1", "198.51.100.2"), "ipv6": ("2001:db8::1", "2001:db8::2")}
SOURCES = {
    "ipv4": ipaddress.ip_network("198.51.100.128/26"),
    "ipv6": ipaddress.ip_network("2001:db8::f00d:0/122"),
}
MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"


def datagram(family, text="S 7:7(0) win 5840 <mss 1460,nop,wscale 7>"):
    segment = dataclasses.replace(parse_segment(text), source_port=5, destination_port=2017)
    return Datagram(*ENDS[family], segment)


@pytest.mark.parametrize("family", ENDS)
def test_every_frame_is_right_and_all_but_its_source_is_as_asked(family):
    """Checksums are right; addresses are the forged ones; options and target are untouched."""
    wanted = datagram(family)
    for octets in itertools.islice(forge(wanted, *MACS, SOURCES[family]), 3000):
        frame = codec.decode_frame(octets)
        made = frame.content
        assert made.checksum_right
        assert ipaddress.ip_address(made.source) in SOURCES[family]
        assert made.segment.source_port >= FIRST_PORT
        numbers = {"source_port": 5, "seq": 7, "checksum": None}
        assert dataclasses.replace(made.segment, **numbers) == wanted.segment
        assert (made.destination, frame.source_mac) == (wanted.destination, MACS[0])


@pytest.mark.parametrize("family", ENDS)
def test_sources_come_again_only_after_a_long_time(family):
    """A hundred thousand frames have as many sources."""
    place = slice(14 + 12, 14 + 22) if family == "ipv4" else slice(14 + 8, 14 + 42)
    found = {
        octets[place]
        for octets in itertools.islice(forge(datagram(family), *MACS, SOURCES[family]), 100_000)
    }
    assert len(found) == 100_000


def test_a_sum_has_one_spelling():
    """A sum is never the other zero of ones-complement arithmetic, which stacks do not compute."""
    frames = itertools.islice(forge(datagram("ipv6"), *MACS, SOURCES["ipv6"]), 200_000)
    assert all(octets[70:72] != b"\xff\xff" for octets in frames)
