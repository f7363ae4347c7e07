"""Hosts: what the tests of the wire share, a station and a bare far end on a link in memory."""

import dataclasses

from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.notation import parse_segment
from harness.wire.memory import VirtualClock, memory_pair

STATION_MAC, TARGET_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
STATION = {"ipv4": "198.51.100.1", "ipv6": "2001:db8::1"}
TARGET = {"ipv4": "198.51.100.2", "ipv6": "2001:db8::2"}
FAMILIES = tuple(STATION)


def pair(*, delay=0.001):
    """A clock, the station's end and the target's end."""
    clock = VirtualClock()
    return clock, *memory_pair(clock, delay=delay)


def from_target(text, family="ipv4", **fields):
    """A datagram of the target's, its segment in the notation."""
    segment = dataclasses.replace(parse_segment(text), source_port=80, destination_port=2017)
    return Datagram(TARGET[family], STATION[family], segment, **fields)


def frame_from_target(text, family="ipv4"):
    """The octets of a frame of the target's."""
    return codec.encode_frame(TARGET_MAC, STATION_MAC, from_target(text, family))


def run(clock, seconds):
    """Let the seconds pass, and all that happens in them."""
    deadline = clock.now() + seconds
    while clock.now() < deadline:
        clock.wait(deadline)


def drained(link):
    """Everything that was captured and not yet polled."""
    return list(iter(link.poll, None))
