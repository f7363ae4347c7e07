"""Remote: what the user has to say, and what may pass the user's link."""

import sys

import pytest

from harness.errors import Inconclusive, Unsupported, UsageError
from harness.segment import codec
from harness.segment.datagram import ArpRequest, Datagram, IcmpMessage
from harness.segment.segment import Flags, Segment
from harness.targets.channel import answered
from harness.targets.driver import Settings
from harness.targets.remote import driver
from harness.targets.remote.gate import Gate
from harness.targets.remote.program import Program
from harness.targets.remote.settings import read
from harness.wire.link import Frame
from harness.wire.real import RealClock

OURS, ITS, OTHER = "02:00:00:00:00:11", "02:00:00:00:00:22", "02:00:00:00:00:33"
PEERS = {"ipv4": "198.51.100.77", "ipv6": "2001:db8::77"}
THERE = {"ipv4": "198.51.100.20", "ipv6": "2001:db8::20"}
GIVEN = {
    "remote-interface": "eth7",
    "remote-address": "198.51.100.20,2001:db8::20",
    "remote-peer": "2001:db8::77, 198.51.100.77",
}


class Wire:
    """A link in memory, with what is to arrive."""

    clock = None
    lost = 0

    def __init__(self):
        self.sent = []
        self.arriving = []
        self.closed = 0

    def send(self, octets):
        self.sent.append(octets)

    def poll(self):
        return self.arriving.pop(0) if self.arriving else None

    def close(self):
        self.closed += 1


@pytest.fixture(name="wire")
def _wire():
    return Wire()


@pytest.fixture(name="gate")
def _gate(wire):
    return Gate(wire, OURS, PEERS, ITS, THERE)


def frame(source, destination, *, mac=OURS, far=ITS, **fields):
    content = Segment(source_port=40017, destination_port=2017, **fields)
    return codec.encode_frame(mac, far, Datagram(source, destination, content))


def test_all_that_the_user_says_is_read():
    """Addresses come in any order, each family once, and the rest as it is written."""
    wanted = read(
        GIVEN
        | {"remote-mac": "02:00:00:AA:bb:cc", "remote-stack": "linux:6.1"}
        | {"remote-agent": "ssh 'a host' python3 agent.py"}
    )
    assert (wanted.interface, wanted.addresses, wanted.peers) == ("eth7", THERE, PEERS)
    assert wanted.families == ("ipv4", "ipv6")
    assert wanted.mac == "02:00:00:aa:bb:cc"
    assert (wanted.stack, wanted.version) == ("linux", "6.1")
    assert wanted.agent == ("ssh", "a host", "python3", "agent.py")
    assert read(GIVEN | {"remote-address": "198.51.100.20"}).families == ("ipv4",)


@pytest.mark.parametrize("name", ["remote-interface", "remote-address", "remote-peer"])
def test_nothing_begins_before_interface_and_addresses_are_named(name, monkeypatch):
    """Without one of them there is an error that names it, and no socket was made."""
    monkeypatch.setattr(driver, "PacketSocketLink", None)
    monkeypatch.setattr(driver, "hold_stamps", None)
    options = {key: value for key, value in GIVEN.items() if key != name}
    with pytest.raises(UsageError, match=f"--{name}"):
        driver.RemoteDriver().start(Settings(options=options))


@pytest.mark.parametrize(
    "wrong",
    [
        {"remote-interface": "eth 7"},
        {"remote-address": "host.example"},
        {"remote-address": "198.51.100.20,198.51.100.21"},
        {"remote-address": "224.0.0.1"},
        {"remote-address": "127.0.0.1"},
        {"remote-peer": "198.51.100.77"},
        {"remote-peer": "198.51.100.20,2001:db8::77"},
        {"remote-mac": "01:00:00:00:00:01"},
        {"remote-mac": "host"},
        {"remote-agent": "ssh 'host"},
        {"remote-stack": "Linux 6.1"},
        {"remote-port": "0"},
        {"remote-port": "2017"},
        {"remote-port": "22", "remote-agent": "ssh host python3 agent.py"},
    ],
)
def test_what_cannot_be_meant_is_a_users_mistake_in_one_line(wrong):
    """The error names the option, and is one line."""
    with pytest.raises(UsageError) as raised:
        read(GIVEN | wrong)
    assert f"--{next(iter(wrong))}" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_what_the_peer_sends_to_the_stack_passes(gate, wire, family):
    """A segment from the peer's address to the stack's goes out as it is."""
    octets = frame(PEERS[family], THERE[family], flags=Flags.SYN)
    gate.send(octets)
    assert wire.sent == [octets]


@pytest.mark.parametrize(
    "octets",
    [
        frame(PEERS["ipv4"], "198.51.100.21"),
        frame(PEERS["ipv4"], "198.51.100.255"),
        frame("198.51.100.78", THERE["ipv4"]),
        frame(PEERS["ipv6"], "2001:db8::21"),
        frame(PEERS["ipv6"], "fe80::1"),
        frame("2001:db8::78", THERE["ipv6"]),
        frame(PEERS["ipv4"], THERE["ipv4"], far=OTHER),
        frame(PEERS["ipv4"], THERE["ipv4"], far="ff:ff:ff:ff:ff:ff"),
        frame(PEERS["ipv4"], THERE["ipv4"], mac=OTHER),
        codec.encode_arp_reply(ArpRequest(ITS, THERE["ipv4"], "198.51.100.78"), OURS),
        codec.encode_arp_reply(ArpRequest(OTHER, "198.51.100.30", PEERS["ipv4"]), OURS),
        bytes.fromhex((ITS + OURS).replace(":", "")) + b"\x88\xb5" + bytes(46),
        b"",
    ],
)
def test_nothing_is_sent_to_anybody_else_or_in_anothers_name(gate, wire, octets):
    """What a testcase wants of other addresses is unsupported, and does not leave."""
    with pytest.raises(Unsupported):
        gate.send(octets)
    assert wire.sent == []


def test_the_stack_may_ask_for_the_peers_mac(gate, wire):
    """ARP and neighbour discovery are answered, the latter also to a link-local address."""
    gate.send(codec.encode_arp_reply(ArpRequest(ITS, THERE["ipv4"], PEERS["ipv4"]), OURS))
    advertisement = IcmpMessage(136, 0, quoted=bytes(16))
    datagram = Datagram(PEERS["ipv6"], "fe80::1", advertisement, ttl=255)
    gate.send(codec.encode_frame(OURS, ITS, datagram))
    assert len(wire.sent) == 2


def test_what_others_say_on_the_link_is_not_seen(gate, wire):
    """Only frames between the stack and the peer are shown, and the stack's to everybody."""
    mine = Frame(0.0, True, frame(PEERS["ipv4"], THERE["ipv4"]))
    hosts = Frame(0.0, True, frame("198.51.100.9", THERE["ipv4"], mac=OTHER))
    its = Frame(0.0, False, frame(THERE["ipv4"], PEERS["ipv4"], mac=ITS, far=OURS))
    to_host = Frame(0.0, False, frame(THERE["ipv4"], "198.51.100.9", mac=ITS, far=OTHER))
    asking = Frame(0.0, False, frame(THERE["ipv4"], PEERS["ipv4"], mac=ITS, far="ff:" * 5 + "ff"))
    strange = Frame(0.0, False, frame("198.51.100.9", PEERS["ipv4"], mac=OTHER, far=OURS))
    wire.arriving = [hosts, mine, strange, its, to_host, asking]
    assert [gate.poll() for _ in range(4)] == [mine, its, asking, None]


def test_connections_that_are_left_are_reset(gate, wire):
    """At its end a testcase resets what the stack still has of its connections, once."""
    answer = Segment(2017, 40017, seq=700, ack=101, flags=Flags.SYN | Flags.ACK)
    left = codec.encode_frame(ITS, OURS, Datagram(THERE["ipv4"], PEERS["ipv4"], answer))
    gone = Segment(2017, 40018, seq=1, flags=Flags.RST)
    ended = codec.encode_frame(ITS, OURS, Datagram(THERE["ipv4"], PEERS["ipv4"], gone))
    wire.arriving = [Frame(0.0, False, left), Frame(0.0, False, ended)]
    gate.close()
    gate.close()
    (reset,) = wire.sent
    segment = codec.decode_frame(reset).content.segment
    assert (segment.source_port, segment.destination_port) == (40017, 2017)
    assert (segment.seq, segment.ack, segment.flags) == (101, 701, Flags.RST | Flags.ACK)
    assert wire.closed == 1


def test_an_agents_command_that_has_ended_is_told_and_started_again():
    """A command that ends makes the testcase inconclusive, with its last words."""
    program = Program([sys.executable, "-c", "import sys; sys.exit('no route to host')"])
    clock = RealClock()
    try:
        channel = program.channel(clock, "remote")
        with pytest.raises(Inconclusive, match="no route to host"):
            answered(channel.request("hello"), clock, name="remote")
        channel.close()
    finally:
        program.close()
        clock.close()


def test_an_agents_command_that_is_not_there_is_a_users_mistake():
    """The error names the program."""
    with pytest.raises(UsageError, match="/no/such/program"):
        Program(["/no/such/program"])


def test_every_process_plays_the_peer_with_one_mac():
    """A stack remembers the MAC, so it depends on the place alone; it is nobody's by purchase."""
    wanted = read(GIVEN)
    mac = driver._mac_for(wanted)
    assert mac == driver._mac_for(read(GIVEN | {"remote-agent": "ssh host"}))
    assert mac != driver._mac_for(read(GIVEN | {"remote-interface": "eth8"}))
    assert mac.startswith("02:")
    assert len(mac.split(":")) == 6
