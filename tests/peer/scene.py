"""Scene: a peer on a link in memory, and a far end that says what it is told, when it is told."""

import dataclasses
from dataclasses import dataclass, field

from harness.peer.bench import Bench
from harness.peer.peer import Peer
from harness.peer.timeline import Timeline
from harness.segment import codec
from harness.segment.datagram import Datagram, IcmpMessage
from harness.segment.notation import parse_pattern, parse_segment, write
from harness.segment.segment import Flags, Sack, Segment
from harness.segment.sequence import add
from harness.wire.memory import MemoryLink, VirtualClock, memory_pair
from harness.wire.station import Station
from tests.wire.hosts import STATION, STATION_MAC, TARGET, TARGET_MAC

FAR_ISS = 0xFFFF_FFFE
"""The far end's numbers wrap after one octet."""

DELAY = 0.01
"""Seconds that a frame takes."""


@dataclass
class Far:
    """A far end without a will of its own.

    `heard` are the segments that came, in the notation, relative numbers; `answers` maps a pattern
    to what is said when a segment that fits has come.
    """

    link: MemoryLink
    peer: Peer
    family: str
    echo: bool = True
    iss: int = FAR_ISS
    heard: list[str] = field(default_factory=list)
    datagrams: list[Datagram] = field(default_factory=list)
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self):
        self.link.listen(self.hear)

    def put(self, content, **envelope):
        fields = {"source": TARGET[self.family], "destination": STATION[self.family]} | envelope
        self.link.send(
            codec.encode_frame(TARGET_MAC, STATION_MAC, Datagram(content=content, **fields))
        )

    def say(self, text, *, after=0.0, to=None, port=2017, **envelope):
        """Send a segment in the notation, relative numbers, so many seconds from now."""
        to = to or self.peer
        if after:
            later = lambda: self.say(text, to=to, port=port, **envelope)  # noqa: E731 - short
            self.link.clock.at(self.link.clock.now() + after, later)
            return
        segment = text if isinstance(text, Segment) else parse_segment(text)
        books = to.connection
        self.put(
            dataclasses.replace(
                segment,
                source_port=segment.source_port or port,
                destination_port=segment.destination_port or books.local.port,
                seq=add(segment.seq, self.iss),
                ack=add(segment.ack, books.iss) if segment.flags & Flags.ACK else segment.ack,
                options=tuple(
                    Sack(tuple((add(a, books.iss), add(b, books.iss)) for a, b in option.blocks))
                    if isinstance(option, Sack)
                    else option
                    for option in segment.options
                ),
            ),
            **envelope,
        )

    def hear(self):
        while (frame := self.link.poll()) is not None:
            datagram = codec.decode_frame(frame.octets).content
            if frame.sent:
                continue
            self.datagrams.append(datagram)
            if datagram.icmp is not None:
                self.reply(datagram.icmp)
            elif datagram.segment is not None:
                self.listen_to(datagram.segment)

    def reply(self, message):
        reply = {8: 0, 128: 129}.get(message.type)
        if self.echo and reply is not None:
            self.put(IcmpMessage(reply, 0, rest=message.rest, quoted=message.quoted))

    def listen_to(self, segment):
        relative = dataclasses.replace(
            segment,
            seq=add(segment.seq, -self.peer.connection.iss),
            ack=add(segment.ack, -self.iss) if segment.flags & Flags.ACK else segment.ack,
        )
        self.heard.append(write(relative, brief=True))
        for pattern, texts in self.answers.items():
            if parse_pattern(pattern).fits(relative):
                for text in texts:
                    self.say(text, port=segment.destination_port)


@dataclass
class Scene:
    """Everything on the stage; `observed` is what went to be judged."""

    clock: VirtualClock
    bench: Bench
    peer: Peer
    far: Far
    observed: list[tuple[str, str | None, float]]


def clock_without_foresight(start=0.0) -> VirtualClock:
    """Return a clock that, like a real one, does not know when something will happen next."""
    clock = VirtualClock(start)
    clock.quiet_until = None
    return clock


def scene(
    family="ipv4", *, state_of=None, limit=300.0, remote_port=2017, delay=DELAY, start=0.0
) -> Scene:
    """Set the stage; time begins at `start` and passes only by waiting."""
    clock = clock_without_foresight(start)
    near, far = memory_pair(clock, delay=delay)
    station = Station(near, STATION_MAC, [STATION[family]], target_mac=TARGET_MAC)
    observed = []

    def note(measure, observation, within):
        seen = None if observation is None else write(observation, brief=True)
        observed.append((measure, seen, within))

    bench = Bench(
        station, Timeline(), (STATION[family], TARGET[family]), note, state_of=state_of, limit=limit
    )
    peer = Peer(bench, local_port=40017, remote_port=remote_port)
    return Scene(clock, bench, peer, Far(far, peer, family), observed)


def established(**rest) -> Scene:
    """Set the stage with a connection that the peer has opened."""
    made = scene(**rest)
    made.far.answers["S 0:0(0) <...>"] = ("S. 0:0(0) ack 1 <mss 1460>",)
    made.peer.send("S 0:0(0) <mss 1460>")
    made.peer.expect("S. 0:0(0) ack 1")
    made.peer.send(". 1:1(0) ack 1")
    made.peer.wait(2 * DELAY)
    made.far.heard.clear()
    return made


def timeline(made: Scene) -> list[str]:
    """Return the timeline without its times."""
    return [f"{event.direction} {event.text}".strip() for event in made.bench.timeline]
