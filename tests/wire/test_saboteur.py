import dataclasses

import pytest

from harness.errors import UsageError
from harness.segment import codec
from harness.segment.notation import write
from harness.wire.link import Frame
from harness.wire.saboteur import Saboteur, parse_sabotage
from tests.wire.hosts import FAMILIES, drained, frame_from_target, pair, run


def seen_through(text, *sent):
    """What is left of the target's segments a while after the last."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage(text))
    for segment in sent:
        far.send(frame_from_target(segment))
        run(clock, 1.0)
    run(clock, 10.0)
    return [told(frame) for frame in drained(saboteur)]


def told(frame):
    datagram = codec.decode_frame(frame.octets).content
    assert datagram.checksum_right
    return write(datagram.segment, brief=True)


SYN, SYN_ACK, ACK = "S 0:0(0)", "S. 0:0(0) ack 1", ". 1:1(0) ack 1"
RST, DATA = "R 1:1(0)", "P. 1:6(5) ack 1"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("drop S.", [SYN, ACK, SYN, DATA, RST]),
        ("drop S", [SYN_ACK, ACK, DATA, RST]),
        ("drop 2nd S", [SYN, SYN_ACK, ACK, DATA, RST]),
        ("drop 3rd S", [SYN, SYN_ACK, ACK, SYN, DATA, RST]),
        ("drop .", [SYN, SYN_ACK, SYN, RST]),
        ("drop P.", [SYN, SYN_ACK, SYN, RST]),
        ("drop any", []),
        ("drop 4th any", [SYN, SYN_ACK, ACK, DATA, RST]),
        ("drop from 4th any", [SYN, SYN_ACK, ACK]),
        ("alter from 2nd S seq+1", [SYN, SYN_ACK, ACK, "S 1:1(0)", DATA, RST]),
        ("drop none", [SYN, SYN_ACK, ACK, SYN, DATA, RST]),
        ("duplicate R", [SYN, SYN_ACK, ACK, SYN, DATA, RST, RST]),
        ("duplicate 1st S", [SYN, SYN, SYN_ACK, ACK, SYN, DATA, RST]),
        ("duplicate R 2", [SYN, SYN_ACK, ACK, SYN, DATA, RST, RST]),
        ("alter 2nd . len=2", [SYN, SYN_ACK, ACK, SYN, "P. 1:3(2) ack 1", RST]),
        ("alter 2nd . len+2", [SYN, SYN_ACK, ACK, SYN, "P. 1:8(7) ack 1", RST]),
        ("alter R seq+1", [SYN, SYN_ACK, ACK, SYN, DATA, "R 2:2(0)"]),
        ("alter S. ack-3", [SYN, "S. 0:0(0) ack -2", ACK, SYN, DATA, RST]),
        ("alter 2nd . seq=9", [SYN, SYN_ACK, ACK, SYN, "P. 9:14(5) ack 1", RST]),
        ("alter S. flags=S", [SYN, "S 0:0(0) ack 1", ACK, SYN, DATA, RST]),
        ("alter R urg=7", [SYN, SYN_ACK, ACK, SYN, DATA, "R 1:1(0) urg 7"]),
        ("delay 1st S 30", [SYN_ACK, ACK, SYN, DATA, RST]),
    ],
)
def test_each_verb_spoils_what_fits_and_nothing_else(text, left):
    """Flags are exact but for PSH, an ordinal spoils one segment only."""
    assert seen_through(text, SYN, SYN_ACK, ACK, SYN, DATA, RST) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("drop inbound 2nd any", [SYN, DATA]),
        ("drop inbound S", [ACK, DATA]),
        ("drop S", [SYN, ACK, DATA]),
        ("duplicate inbound 2nd any", [SYN, ACK, ACK, DATA]),
        ("alter inbound 2nd any flags=R", [SYN, "R 1:1(0) ack 1", DATA]),
        ("alter inbound from 2nd any seq+1", [SYN, ". 2:2(0) ack 1", "P. 2:7(5) ack 1"]),
        ("delay inbound 1st any 1.5", [ACK, SYN, DATA]),
    ],
)
def test_what_is_sent_can_be_spoiled_and_is_seen_as_it_was(text, left):
    """The target gets what is left, the harness sees what it sent."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage(text))
    seen = []
    for segment in (SYN, ACK, DATA):
        saboteur.send(frame_from_target(segment))
        run(saboteur.clock, 1.0)
        seen += drained(saboteur)
    run(clock, 1.0)
    assert [told(frame) for frame in seen] == [SYN, ACK, DATA]
    assert [told(frame) for frame in drained(far)] == left


@pytest.mark.parametrize("family", FAMILIES)
def test_an_altered_window_has_a_right_checksum(family):
    """What is altered arrives as if the target had meant it, in both families."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage("alter S. win=0"))
    far.send(frame_from_target("S. 0:0(0) ack 1 <mss 1460,nop,wscale 7>", family))
    clock.wait(1.0)
    datagram = codec.decode_frame(saboteur.poll().octets).content
    assert datagram.checksum_right
    assert write(datagram.segment) == "S. 0:0(0) ack 1 win 0 <mss 1460,nop,wscale 7>"


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ("ttl-1", {"ttl": 63}),
        ("tos=3", {"tos": 3}),
        ("df=1", {"dont_fragment": True}),
        ("src=198.51.100.9", {"source": "198.51.100.9"}),
        ("dst=198.51.100.8", {"destination": "198.51.100.8"}),
        ("src=2001:db8::9", {}),
        ("ipoptions=none", {"ip_options": b""}),
        ("sum+1", {"checksum_right": False}),
    ],
)
def test_the_datagram_around_a_segment_can_be_altered(change, seen):
    """Nothing but that one field; an address of the other family is none of its."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage(f"alter any {change}"))
    octets = frame_from_target(SYN_ACK)
    far.send(octets)
    clock.wait(1.0)
    before, after = codec.decode_frame(octets).content, None
    after = codec.decode_frame(saboteur.poll().octets).content
    differs = {
        one.name: getattr(after, one.name)
        for one in dataclasses.fields(after)
        if one.name != "content" and getattr(after, one.name) != getattr(before, one.name)
    }
    assert differs == {key: value for key, value in seen.items() if key != "ip_options"}


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ("mss=600", "<mss 600,nop,nop,TS val 5 ecr 6>"),
        ("mss-1", "<mss 1459,nop,nop,TS val 5 ecr 6>"),
        ("tsval+1", "<mss 1460,nop,nop,TS val 6 ecr 6>"),
        ("options=none", ""),
    ],
)
def test_an_option_can_be_altered(change, options):
    """What has no such option stays as it is."""
    sent = "S. 0:0(0) ack 1 win 9 <mss 1460,nop,nop,TS val 5 ecr 6>"
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage(f"alter any {change}"))
    far.send(frame_from_target(sent))
    far.send(frame_from_target("R 1:1(0) win 9"))
    clock.wait(1.0)
    seen = [write(codec.decode_frame(one.octets).content.segment) for one in drained(saboteur)]
    assert seen == [f"S. 0:0(0) ack 1 win 9 {options}".strip(), "R 1:1(0) win 9"]


def test_a_delayed_frame_comes_later_and_ends_a_wait():
    """The stamp is later by the delay, and the clock wakes whoever waits."""
    _, near, far = pair(delay=0.25)
    saboteur = Saboteur(near, parse_sabotage("delay S. 0.5"))
    octets = frame_from_target(SYN_ACK)
    far.send(octets)
    saboteur.clock.wait(9.0)
    assert (saboteur.clock.now(), saboteur.poll()) == (0.25, None)
    saboteur.clock.wait(9.0)
    assert saboteur.clock.now() == 0.75
    assert saboteur.poll() == Frame(0.75, False, octets)
    saboteur.clock.wait(9.0)
    assert (saboteur.clock.now(), saboteur.clock.virtual) == (9.0, True)


def test_a_delayed_frame_stands_where_its_stamp_says():
    """Frames that passed meanwhile come before the delayed one."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage("delay S 0.5"))
    for segment in (SYN, ACK, SYN_ACK):
        far.send(frame_from_target(segment))
        run(clock, 0.4)
    frames = drained(saboteur)
    assert [told(frame) for frame in frames] == [ACK, SYN, SYN_ACK]
    assert [frame.stamp for frame in frames] == sorted(frame.stamp for frame in frames)


def test_what_the_harness_sends_is_not_spoiled():
    """Only frames that come from the target are touched, and only those with TCP."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage("drop any"))
    octets = frame_from_target(SYN)
    saboteur.send(octets)
    far.send(b"garbage that is no frame of TCP")
    clock.wait(1.0)
    assert [frame.octets for frame in drained(saboteur)] == [
        octets,
        b"garbage that is no frame of TCP",
    ]
    assert saboteur.lost == 0
    saboteur.close()
    near.send(octets)
    assert saboteur.poll() is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "drop",
        "lose S",
        "drop X",
        "drop S extra",
        "drop 0th S",
        "drop third S",
        "drop 3 S",
        "drop from S",
        "drop from 2 S",
        "delay S",
        "delay S soon",
        "delay S -1",
        "alter S",
        "alter S mtu=5",
        "alter S flags=X",
        "alter S flags+S",
        "alter S ack*2",
        "duplicate S soon",
        "alter S tos=high",
        "alter S src=nowhere",
        "alter S options=5",
        "drop S. drop R",
        "drop inbound",
        "drop 3rd inbound S",
    ],
)
def test_a_bad_sabotage_says_how_to_write_one(text):
    """The error is one line with the text and an example."""
    with pytest.raises(UsageError) as raised:
        parse_sabotage(text)
    message = str(raised.value)
    assert repr(text) in message
    assert "as in '" in message or "like one of" in message or "leave out" in message
    assert "\n" not in message


def test_where_two_stacks_meet_both_are_spoiled():
    """A link that is only watched has no side of ours."""
    clock, near, far = pair()
    saboteur = Saboteur(near, parse_sabotage("drop 2nd ."), watched=True)
    near.send(frame_from_target(ACK))
    run(clock, 1.0)
    for segment in (SYN, ACK):
        far.send(frame_from_target(segment))
        run(clock, 1.0)
    assert [told(frame) for frame in drained(saboteur)] == [ACK, SYN]
