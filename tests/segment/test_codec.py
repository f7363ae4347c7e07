import dataclasses
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment, in4_chksum
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, IPv6, in6_chksum
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from harness.errors import UsageError
from harness.segment import codec
from harness.segment.datagram import (
    ArpRequest,
    Datagram,
    IcmpMessage,
    NeighbourSolicitation,
    OtherPayload,
)
from harness.segment.notation import parse_segment
from harness.segment.options import decode_options, encode_options
from harness.segment.segment import (
    EndOfList,
    Flags,
    MaximumSegmentSize,
    NoOperation,
    RawOption,
    Segment,
    UnknownOption,
)
from tests.segment.strategies import number, octet, proper_option, segments, word

MAC, OTHER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
ADDRESSES = {
    "ipv4": ("198.51.100.1", "198.51.100.2"),
    "ipv6": ("2001:db8::1", "2001:db8::2"),
}
FAMILIES = tuple(ADDRESSES)


def datagram_of(content, family="ipv4", **fields):
    return Datagram(*ADDRESSES[family], content, **fields)


def has_room(segment):
    try:
        encode_options(segment.options)
    except UsageError:
        return False
    return True


@st.composite
def datagrams(draw, family):
    content = draw(
        st.one_of(
            segments(
                proper_option,
                source_port=word,
                destination_port=word,
                checksum=st.none(),
                data_offset=st.none(),
            ).filter(has_room),
            st.builds(IcmpMessage, octet, octet, st.binary(max_size=60), number),
            st.builds(OtherPayload, st.integers(100, 200), st.binary(max_size=60)),
        )
    )
    fields = {"ttl": draw(octet), "tos": draw(octet)}
    if family == "ipv4":
        fields["identification"] = draw(word)
        fields["dont_fragment"] = draw(st.booleans())
        fields["ip_options"] = draw(st.binary(max_size=10).map(lambda octets: octets * 4))
    else:
        fields["flow_label"] = draw(st.integers(0, 0xFFFFF))
    return datagram_of(content, family, **fields)


def padded(datagram):
    """What a datagram looks like once the end of an option list that fills no word is written."""
    segment = datagram.segment
    if segment is None or not sum(map(option_length, segment.options)) % 4:
        return datagram
    segment = dataclasses.replace(segment, options=(*segment.options, EndOfList()))
    return dataclasses.replace(datagram, content=segment)


def option_length(option):
    return 1 if option == NoOperation() else len(codec_octets(option))


def codec_octets(option):
    octets = encode_options((option,))
    return octets[: octets[1]]


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_any_datagram_survives_the_wire(family, data):
    """What is encoded decodes to the same values, in both families."""
    datagram = data.draw(datagrams(family))
    frame = codec.decode_frame(codec.encode_frame(MAC, OTHER_MAC, datagram))
    assert (frame.source_mac, frame.destination_mac) == (MAC, OTHER_MAC)
    assert frame.content == padded(datagram)


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_the_checksum_is_the_one_that_scapy_computes(family, data):
    """Scapy computes the same checksum, of which 0 and 0xffff are two forms."""
    datagram = data.draw(datagrams(family).filter(lambda it: it.segment is not None))
    octets = codec.encode(datagram)
    ends = {"src": datagram.source, "dst": datagram.destination}
    segment = octets[20 + len(datagram.ip_options) :] if family == "ipv4" else octets[40:]
    cleared = segment[:16] + bytes(2) + segment[18:]
    if family == "ipv4":
        expected = in4_chksum(6, IP(**ends), cleared)
    else:
        expected = in6_chksum(6, IPv6(**ends), cleared)
    assert int.from_bytes(segment[16:18]) % 0xFFFF == expected % 0xFFFF


@given(st.binary(max_size=10).map(lambda octets: octets * 4))
def test_any_option_octets_survive_however_malformed(octets):
    """An option list that is read is written back octet for octet."""
    assert encode_options(decode_options(octets)) == octets


@pytest.mark.parametrize(
    ("octets", "options"),
    [
        (b"\2\4\5\xb4\1\1\1\0", (MaximumSegmentSize(1460), *(NoOperation(),) * 3, EndOfList())),
        (b"\0\0\0\0", (EndOfList(),)),
        (b"\0" * 8, (EndOfList(), RawOption(bytes(7)))),
        (b"\0\1\0\0", (EndOfList(), RawOption(b"\1\0\0"))),
        (b"\1\1\1\2", (*(NoOperation(),) * 3, RawOption(b"\2"))),
        (b"\2\0\1\1", (RawOption(b"\2\0\1\1"),)),
        (b"\2\1\1\1", (RawOption(b"\2\1\1\1"),)),
        (b"\2\5\1\1", (RawOption(b"\2\5\1\1"),)),
        (b"\2\3\1\1", (UnknownOption(2, b"\1"), NoOperation())),
        (b"\x22\2\xfe\2", (UnknownOption(34, b""), UnknownOption(254, b""))),
    ],
)
def test_malformed_option_lists_are_read_as_they_are(octets, options):
    """What cannot be an option is raw up to the end of the header, and is written back so."""
    assert decode_options(octets) == options
    assert encode_options(options) == octets


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("checksum", [0, 1, 0xFFFF])
def test_a_wrong_checksum_is_sent_on_request_and_told_when_received(family, checksum):
    """Segment.checksum is written as it stands, and read back where it is wrong."""
    sent = datagram_of(parse_segment(f"R 1:6(5) checksum {checksum}"), family)
    seen = codec.decode(codec.encode(sent), family)
    assert seen == dataclasses.replace(sent, checksum_right=False)
    assert seen.segment.checksum == checksum


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("place", range(20, 40))
def test_a_changed_octet_makes_the_checksum_wrong(family, place):
    """A segment that was damaged on the way is told from one that was not."""
    octets = bytearray(codec.encode(datagram_of(parse_segment("R 1:6(5)"), family)))
    octets[place - 40] ^= 0x02
    seen = codec.decode(bytes(octets), family)
    assert seen is None or not seen.checksum_right


@pytest.mark.parametrize("family", FAMILIES)
def test_raw_options_are_put_as_they_are_and_padded(family):
    """RawOption octets stand in the header unchanged; the data offset counts their padding."""
    octets = codec.encode(datagram_of(parse_segment("S 0:0(0) <raw 0x0203ffffff>"), family))
    header = octets[-28:]
    assert header[12] >> 4 == 7
    assert header[20:] == b"\2\3\xff\xff\xff\0\0\0"


@pytest.mark.parametrize("offset", [0, 4, 6, 15])
def test_a_wrong_data_offset_is_sent_on_request(offset):
    """The data offset is written as it stands, and nobody can read the segment where it lies."""
    octets = codec.encode(datagram_of(parse_segment(f"S 0:0(0) offset {offset}")))
    assert octets[32] >> 4 == offset
    assert codec.decode(octets, "ipv4") is None


@settings(max_examples=300)
@given(st.binary(max_size=120))
def test_garbage_never_raises(octets):
    """Whatever octets arrive, decoding them does not fail."""
    codec.decode_frame(octets)
    for kind in (b"\x08\x00\x45", b"\x08\x06", b"\x86\xdd\x60"):
        codec.decode_frame(bytes(12) + kind + octets)
    for family in FAMILIES:
        codec.decode(octets, family)


@pytest.mark.parametrize("kind", [*range(0, 0x0700, 0x40), 0x8100, 0x88CC, 0xFFFF])
def test_frames_of_other_types_have_no_content(kind):
    """A length, a VLAN tag or any other type is told with its addresses and no content."""
    frame = codec.decode_frame(bytes(range(12)) + kind.to_bytes(2) + bytes(46))
    assert (frame.destination_mac, frame.source_mac, frame.content) == (
        "00:01:02:03:04:05",
        "06:07:08:09:0a:0b",
        None,
    )


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_damaged_frames_never_raise(family, data):
    """A frame that was cut or changed anywhere decodes to something or to None."""
    frame = codec.encode_frame(MAC, OTHER_MAC, data.draw(datagrams(family)))
    damaged = bytearray(frame[: data.draw(st.integers(0, len(frame)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(octet)
    codec.decode_frame(bytes(damaged))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_truncated_datagram_is_none(family):
    """No datagram is read from less octets than its header counts."""
    octets = codec.encode(datagram_of(parse_segment("S 0:5(5) <mss 1460>"), family))
    assert codec.decode(octets, family) is not None
    for length in range(len(octets)):
        assert codec.decode(octets[:length], family) is None


def test_padding_after_a_datagram_is_not_payload():
    """A short frame is padded to Ethernet's least length; that is no payload."""
    frame = codec.encode_frame(MAC, OTHER_MAC, datagram_of(parse_segment("R 1:1(0)")))
    assert codec.decode_frame(frame + bytes(6)) == codec.decode_frame(frame)


def test_fragments_are_none():
    """The first and the later fragments of a datagram are not segments."""
    whole = IP(src="198.51.100.1", dst="198.51.100.2", id=1) / TCP() / Raw(bytes(200))
    pieces = fragment(whole, fragsize=80)
    assert len(pieces) == 3
    assert [codec.decode(bytes(piece), "ipv4") for piece in pieces] == [None] * 3
    later = datagram_of(OtherPayload(44, bytes(30)), "ipv6")
    assert codec.decode(codec.encode(later), "ipv6") is None


def test_a_wrong_ip_header_checksum_is_none():
    """A host drops a datagram whose IP header was damaged, and so does the codec."""
    octets = bytearray(codec.encode(datagram_of(parse_segment("R 1:1(0)"))))
    octets[10] ^= 1
    assert codec.decode(bytes(octets), "ipv4") is None


@pytest.mark.parametrize(("family", "protocol"), [("ipv4", 1), ("ipv6", 58)])
def test_an_icmp_message_without_a_whole_header_is_none(family, protocol):
    """Type, code, checksum and the four octets behind them must be there."""
    stub = OtherPayload(protocol, b"\3")
    octets = codec.encode(dataclasses.replace(datagram_of(Segment(), family), content=stub))
    assert codec.decode(octets, family) is None


def test_other_protocols_keep_their_octets():
    """A datagram that is neither TCP nor ICMP is told with its payload."""
    udp = IP(src="198.51.100.1", dst="198.51.100.2") / UDP(sport=1, dport=2) / Raw(b"x")
    seen = codec.decode(bytes(udp), "ipv4")
    assert seen.content == OtherPayload(17, bytes(udp)[20:])
    assert (seen.segment, seen.icmp) == (None, None)


@pytest.mark.parametrize("octets", [8, 28])
@pytest.mark.parametrize(("family", "header"), [("ipv4", 20), ("ipv6", 40)])
def test_a_quote_is_the_ip_header_and_the_first_octets(family, header, octets):
    """An ICMP error quotes what was really sent."""
    sent = datagram_of(parse_segment("S 7:7(0) <mss 1460,nop,nop,sackOK>"), family)
    assert codec.quote(sent, octets) == codec.encode(sent)[: header + octets]


def test_a_quote_has_the_ip_options():
    """IP options are part of the quoted header."""
    sent = datagram_of(parse_segment("S 7:7(0)"), ip_options=b"\x94\4\0\0\1")
    assert codec.quote(sent) == codec.encode(sent)[: 28 + 8]


@pytest.mark.parametrize(
    ("datagram", "remedy"),
    [
        (Datagram("198.51.100.1", "2001:db8::1", Segment()), "one family"),
        (Datagram("here", "198.51.100.1", Segment()), "no IP address"),
        (datagram_of(Segment(options=(RawOption(bytes(41)),))), "room for 40"),
        (datagram_of(Segment(options=(UnknownOption(9, bytes(300)),))), "no room"),
        (datagram_of(Segment(), ip_options=bytes(41)), "room for 40"),
        (datagram_of(Segment(), "ipv6", ip_options=bytes(4)), "leave them out"),
        (datagram_of(Segment(payload=bytes(65535))), "has room"),
    ],
)
def test_what_cannot_be_built_is_a_usage_error(datagram, remedy):
    """A datagram that no header can hold is refused with one line."""
    with pytest.raises(UsageError, match=remedy) as raised:
        codec.encode(datagram)
    assert "\n" not in str(raised.value)


def test_arp_requests_are_read_and_answered():
    """Scapy's own ARP request is understood, and it understands the reply."""
    asked = ARP(hwsrc=OTHER_MAC, psrc="198.51.100.2", pdst="198.51.100.1")
    frame = codec.decode_frame(bytes(Ether(src=OTHER_MAC, dst="ff:ff:ff:ff:ff:ff") / asked))
    assert frame.content == ArpRequest(OTHER_MAC, "198.51.100.2", "198.51.100.1")

    reply = Ether(codec.encode_arp_reply(frame.content, MAC))
    assert (reply.src, reply.dst, reply[ARP].op) == (MAC, OTHER_MAC, 2)
    assert (reply[ARP].hwsrc, reply[ARP].psrc) == (MAC, "198.51.100.1")
    assert (reply[ARP].hwdst, reply[ARP].pdst) == (OTHER_MAC, "198.51.100.2")
    assert codec.decode_frame(bytes(reply)).content is None


@pytest.mark.parametrize(
    ("asker", "solicited", "destination"),
    [("2001:db8::2", 1, "2001:db8::2"), ("::", 0, "ff02::1")],
)
def test_neighbour_solicitations_are_read_and_answered(asker, solicited, destination):
    """Scapy's own solicitation is understood, and it understands the advertisement."""
    asked = IPv6(src=asker, dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="2001:db8::1")
    octets = bytes(Ether(src=OTHER_MAC, dst="33:33:ff:00:00:01") / asked)
    frame = codec.decode_frame(octets)
    assert frame.content == NeighbourSolicitation(OTHER_MAC, asker, "2001:db8::1")

    answer = Ether(codec.encode_neighbour_advertisement(frame.content, MAC))
    assert (answer[IPv6].src, answer[IPv6].dst) == ("2001:db8::1", destination)
    advertisement = answer[ICMPv6ND_NA]
    assert (advertisement.S, advertisement.O, advertisement.tgt) == (solicited, 1, "2001:db8::1")
    assert advertisement.payload.lladdr == MAC
    assert codec.decode(bytes(answer[IPv6]), "ipv6").checksum_right


@pytest.mark.parametrize("change", ["hop limit", "checksum"])
def test_an_improper_solicitation_is_only_a_message(change):
    """A solicitation from another link, or a damaged one, is not answered."""
    fields = {"hop limit": {"hlim": 254}, "checksum": {}}[change]
    cksum = {"checksum": {"cksum": 1}}.get(change, {})
    asked = IPv6(src="2001:db8::2", dst="2001:db8::1", **{"hlim": 255} | fields)
    octets = bytes(Ether(src=OTHER_MAC, dst=MAC) / asked / ICMPv6ND_NS(tgt="::1", **cksum))
    assert codec.decode_frame(octets).content.icmp.type == 135


def test_a_scapy_layer_becomes_the_segment_that_it_would_be():
    """A TCP layer made with Scapy may be sent wherever the notation may."""
    layer = TCP(sport=7, flags="SA", seq=5, ack=6, window=9, options=[("MSS", 1460)]) / b"abc"
    assert codec.is_scapy_layer(layer)
    assert codec.from_scapy(layer) == Segment(
        source_port=7,
        seq=5,
        ack=6,
        flags=Flags.SYN | Flags.ACK,
        window=9,
        options=(MaximumSegmentSize(1460),),
        payload=b"abc",
    )


@pytest.mark.parametrize(
    "fields", [{"dataofs": 3}, {"dataofs": 15}, {"chksum": 7}, {"reserved": 5}]
)
def test_what_is_wrong_in_a_scapy_layer_stays_wrong(fields):
    """Header fields that Scapy was told are sent as told."""
    layer = TCP(sport=1, dport=2, **fields) / b"abc"
    octets = bytearray(codec.encode(datagram_of(codec.from_scapy(layer)))[20:])
    if "chksum" not in fields:
        octets[16:18] = bytes(2)
    assert bytes(octets) == bytes(layer)


@pytest.mark.parametrize("layer", [IP() / TCP(), UDP(), Raw(b"x"), "S", None])
def test_only_a_tcp_layer_is_a_segment(layer):
    """Anything else is refused with one line that says what to do."""
    with pytest.raises(UsageError, match="send a TCP layer"):
        codec.from_scapy(layer)
    assert codec.is_scapy_layer(layer) == (not isinstance(layer, str | None))


def test_importing_the_codec_reads_no_routes_and_logs_nothing():
    """Scapy is imported without a look at this machine's routes, and stays silent."""
    script = (
        "import harness.segment.codec as codec; from scapy.config import conf;"
        "print(len(conf.route.routes), len(conf.route6.routes));"
        "codec.from_scapy(codec.TCP(options=[('MSS', 1)], chksum=None))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert (run.stdout, run.stderr) == ("0 0\n", "")


def test_ip_fields_stand_where_they_belong():
    """TTL, TOS, identification, flags and options are written as given."""
    segment = parse_segment("R 1:1(0)")
    fields = {"ttl": 7, "tos": 3, "identification": 515, "dont_fragment": True}
    octets = codec.encode(datagram_of(segment, ip_options=b"\x07\x07\x04\1\1", **fields))
    words = struct.unpack("!BBHHHBB", octets[:10])
    assert words == (0x47, 3, len(octets), 515, 0x4000, 7, 6)
    assert octets[20:28] == b"\x07\x07\x04\1\1\0\0\0"
