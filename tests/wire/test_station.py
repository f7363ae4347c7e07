import dataclasses

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Ether

from harness.errors import HarnessError
from harness.segment import codec
from harness.segment.datagram import Datagram, IcmpMessage, OtherPayload
from harness.wire.station import Arrival, Station
from tests.wire.hosts import (
    FAMILIES,
    STATION,
    STATION_MAC,
    TARGET,
    TARGET_MAC,
    drained,
    frame_from_target,
    from_target,
    pair,
)


def station_on(link, **given):
    return Station(link, STATION_MAC, STATION.values(), **{"target_mac": TARGET_MAC} | given)


def answers(clock, station, far):
    """What the far end gets once the station has been polled."""
    clock.wait(clock.now() + 1.0)
    assert station.poll() is None
    clock.wait(clock.now() + 1.0)
    return [Ether(frame.octets) for frame in drained(far) if not frame.sent]


@pytest.mark.parametrize("asked", ["198.51.100.1", "198.51.100.77", "198.51.100.3"])
def test_arp_is_answered_for_the_stations_addresses_only(asked):
    """An ARP request is answered during poll, for given and for added addresses."""
    clock, near, far = pair()
    station = station_on(near)
    station.answers_for("198.51.100.77")
    request = ARP(hwsrc=TARGET_MAC, psrc=TARGET["ipv4"], pdst=asked)
    far.send(bytes(Ether(src=TARGET_MAC, dst="ff:ff:ff:ff:ff:ff") / request))
    replies = answers(clock, station, far)
    if asked == "198.51.100.3":
        assert replies == []
        return
    (reply,) = replies
    assert (reply.src, reply.dst) == (STATION_MAC, TARGET_MAC)
    assert (reply[ARP].op, reply[ARP].hwsrc, reply[ARP].psrc) == (2, STATION_MAC, asked)
    assert (reply[ARP].hwdst, reply[ARP].pdst) == (TARGET_MAC, TARGET["ipv4"])


@pytest.mark.parametrize("asked", ["2001:db8::1", "2001:db8::77", "2001:db8::3"])
def test_solicitations_are_answered_for_the_stations_addresses_only(asked):
    """A neighbour solicitation is answered during poll, for given and for added addresses."""
    clock, near, far = pair()
    station = station_on(near)
    station.answers_for("2001:DB8:0::77")
    request = IPv6(src=TARGET["ipv6"], dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt=asked)
    far.send(bytes(Ether(src=TARGET_MAC, dst="33:33:ff:00:00:01") / request))
    replies = answers(clock, station, far)
    if asked == "2001:db8::3":
        assert replies == []
        return
    (reply,) = replies
    assert (reply.src, reply.dst, reply[IPv6].src) == (STATION_MAC, TARGET_MAC, asked)
    assert (reply[ICMPv6ND_NA].tgt, reply[ICMPv6ND_NA].S) == (asked, 1)


def test_requests_that_the_harness_sent_are_not_answered():
    """Only the target's questions are answered."""
    clock, near, far = pair()
    station = station_on(near)
    request = ARP(hwsrc=STATION_MAC, psrc=STATION["ipv4"], pdst=STATION["ipv4"])
    near.send(bytes(Ether(src=STATION_MAC, dst="ff:ff:ff:ff:ff:ff") / request))
    assert [reply[ARP].op for reply in answers(clock, station, far)] == [1]


@pytest.mark.parametrize("family", FAMILIES)
def test_datagrams_pass_unchanged_in_both_directions(family):
    """What is sent goes to the target's MAC as it is; both directions are seen with stamps."""
    clock, near, far = pair(delay=0.5)
    station = station_on(near)
    identification = {"identification": 7} if family == "ipv4" else {}
    there = from_target("S 0:0(0) <mss 1460>", family, ttl=3, **identification)
    there = dataclasses.replace(there, source=STATION[family], destination=TARGET[family])
    back = from_target("S. 9:9(0) ack 1", family, ttl=200, **identification)

    station.send(there)
    assert station.poll() == Arrival(0.0, True, there)
    clock.wait(1.0)
    (frame,) = drained(far)
    seen = codec.decode_frame(frame.octets)
    assert (seen.source_mac, seen.destination_mac) == (STATION_MAC, TARGET_MAC)
    assert seen.content == there

    far.send(codec.encode_frame(TARGET_MAC, STATION_MAC, back))
    clock.wait(2.0)
    assert station.poll() == Arrival(1.0, False, back)
    assert station.poll() is None
    assert (station.clock, station.lost) == (clock, 0)


def test_what_is_not_for_the_station_is_skipped():
    """Other addresses, other protocols, neighbours' messages and garbage are not seen."""
    clock, near, far = pair()
    station = station_on(near)
    ends = TARGET["ipv4"], STATION["ipv4"]
    stray = dataclasses.replace(from_target("R 1:1(0)"), destination="198.51.100.3")
    skipped = [
        codec.encode_frame(TARGET_MAC, STATION_MAC, stray),
        codec.encode_frame(TARGET_MAC, STATION_MAC, Datagram(*ends, OtherPayload(17, bytes(8)))),
        bytes(
            Ether(src=TARGET_MAC, dst=STATION_MAC)
            / IPv6(src=TARGET["ipv6"], dst=STATION["ipv6"], hlim=255)
            / ICMPv6ND_RA()
        ),
        b"",
        bytes(60),
    ]
    unreachable = Datagram(*ends, IcmpMessage(3, 3, b"quoted"))
    for octets in skipped:
        far.send(octets)
    far.send(codec.encode_frame(TARGET_MAC, STATION_MAC, unreachable))
    clock.wait(1.0)
    assert station.poll().datagram == unreachable
    assert station.poll() is None


def test_a_forged_source_is_sent_and_its_answer_seen_when_told():
    """Answers to an address that the station answers for are seen, to others they are not."""
    clock, near, far = pair()
    station = station_on(near)
    forged = dataclasses.replace(
        from_target("S 0:0(0)"), source="198.51.100.77", destination=TARGET["ipv4"]
    )
    answer = dataclasses.replace(from_target("S. 0:0(0) ack 1"), destination="198.51.100.77")
    station.send(forged)
    assert station.poll().datagram == forged

    octets = codec.encode_frame(TARGET_MAC, STATION_MAC, answer)
    for told in (False, True):
        if told:
            station.answers_for("198.51.100.77")
        far.send(octets)
        clock.wait(clock.now() + 1.0)
        while not any(frame.sent for frame in drained(far)):
            clock.wait(clock.now() + 1.0)
        clock.wait(clock.now() + 1.0)
        arrival = station.poll()
        assert (arrival.datagram if arrival else None) == (answer if told else None)


def test_the_targets_mac_is_learned_from_its_first_frame():
    """Without a MAC, sending is our fault until a frame of the target has been seen."""
    clock, near, far = pair()
    station = station_on(near, target_mac=None)
    there = Datagram(STATION["ipv4"], TARGET["ipv4"], IcmpMessage(8, 0))
    with pytest.raises(HarnessError, match="MAC is not known"):
        station.send(there)
    station.send(there, destination_mac="02:00:00:00:00:99")
    far.send(frame_from_target("R 1:1(0)"))
    clock.wait(1.0)
    assert [station.poll().sent, station.poll().sent] == [True, False]
    station.send(there)
    clock.wait(1.0)
    seen = [codec.decode_frame(frame.octets) for frame in drained(far) if not frame.sent]
    assert [frame.destination_mac for frame in seen] == ["02:00:00:00:00:99", TARGET_MAC]
