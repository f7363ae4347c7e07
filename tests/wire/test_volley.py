"""Volley: frames go out in their order, and the capture passes over what it is told to."""

import contextlib
import ipaddress
import socket

import pytest

from harness.errors import HarnessError
from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.notation import parse_segment
from harness.wire.memory import VirtualClock, memory_pair
from harness.wire.volley import CalledVolley, SocketVolley, leave_aside, load

NETWORKS = [ipaddress.ip_network("198.51.100.128/26"), ipaddress.ip_network("2001:db8::f00d:0/122")]
MACS = "02:00:00:00:00:01", "02:00:00:00:00:02"


@pytest.fixture
def pair():
    """Return two ends that keep datagrams apart, as a packet socket does with frames."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.setblocking(False)
    with near, far:
        yield near, far


def received(far):
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(far.recv(2048))
    return found


def test_frames_are_fired_in_their_order_and_again_from_the_first(pair):
    """What was fired last time is where the next begins."""
    near, far = pair
    volley = SocketVolley(near, [b"one", b"second", b"3"])
    assert volley.fire(2) == 2
    assert volley.fire(3) == 3
    assert received(far) == [b"one", b"second", b"3", b"one", b"second"]


def test_a_link_that_takes_none_is_said_to(pair):
    """The kernel's reason is told."""
    near, far = pair
    volley = SocketVolley(near, [b"one"])
    far.close()
    with pytest.raises(HarnessError, match=r"takes no flood: .*refused"):
        volley.fire(1)


def test_a_link_without_a_way_of_its_own_sends_one_by_one():
    """What is in memory needs no kernel."""
    near, far = memory_pair(VirtualClock())
    volley = load(near, [b"a", b"b"], NETWORKS)
    assert isinstance(volley, CalledVolley)
    assert volley.fire(3) == 3
    near.clock.wait(1.0)
    assert [far.poll().octets for _ in range(3)] == [b"a", b"b", b"a"]


def frame(source, destination):
    family_v6 = ":" in source
    segment = parse_segment("S 0:0(0)")
    assert family_v6 == (":" in destination)
    return codec.encode_frame(*MACS, Datagram(source, destination, segment))


KEPT = [
    ("198.51.100.1", "198.51.100.2"),
    ("198.51.100.127", "198.51.100.192"),
    ("2001:db8::1", "2001:db8::2"),
    ("2001:db8::f00d:40", "2001:db8::f00c:1"),
    ("2001:db9::f00d:1", "2001:db8:1::f00d:1"),
]
PASSED_OVER = [
    ("198.51.100.128", "198.51.100.2"),
    ("198.51.100.2", "198.51.100.191"),
    ("2001:db8::f00d:0", "2001:db8::2"),
    ("2001:db8::2", "2001:db8::f00d:3f"),
]


@pytest.mark.parametrize("ends", KEPT)
def test_what_is_about_others_is_captured(ends, pair):
    """Addresses just beside a network are not in it."""
    near, far = pair
    leave_aside(far, NETWORKS)
    near.send(frame(*ends))
    assert received(far) == [frame(*ends)]


@pytest.mark.parametrize("ends", PASSED_OVER)
def test_what_is_from_or_to_the_networks_is_passed_over(ends, pair):
    """The first and the last address of a network are in it, in either direction."""
    near, far = pair
    leave_aside(far, NETWORKS)
    near.send(frame(*ends))
    assert received(far) == []


def test_an_address_resolution_is_captured(pair):
    """What is neither IPv4 nor IPv6 is always captured."""
    near, far = pair
    leave_aside(far, NETWORKS)
    arp = bytes(12) + b"\x08\x06" + bytes(range(28))
    near.send(arp)
    assert received(far) == [arp]
