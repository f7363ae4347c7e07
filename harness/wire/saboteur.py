"""Saboteur: a link that spoils what the target sends, or is sent: testcases are seen to fail.

A target that never gets a segment, or gets another one, behaves as one that deals with it wrongly.
Whoever sent it sees it pass as it was.
"""

import dataclasses
import enum
import heapq
import itertools
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.segment import codec
from harness.segment.datagram import Datagram
from harness.segment.forgery import Network
from harness.segment.notation import parse_flags
from harness.segment.segment import Flags, Segment
from harness.wire.change import FIELDS, Change, parse_change
from harness.wire.clock import Clock
from harness.wire.link import Frame, Link
from harness.wire.volley import Volley, load

EXAMPLES = (
    "'drop R.', 'drop 3rd S', 'drop from 2nd any', 'delay S. 0.5', 'duplicate any', "
    "'alter R. ack+1', 'drop inbound 3rd any'"
)
"""How a sabotage is written, for errors."""
ORDINAL = r"(?: (?P<onwards>from )?(?P<ordinal>[1-9][0-9]{0,5})(?:st|[nr]d|th))?"
"""Which of several are spoiled, as a part of a regular expression that `spoiled` reads."""

SECONDS = r"[0-9]{1,6}(?:\.[0-9]{1,9})?"

_WORDS = re.compile(
    rf"(?P<verb>drop|delay|duplicate|alter)(?P<inbound> inbound)?{ORDINAL}"
    r" (?P<flags>[^ ]+)"
    r"(?: (?P<argument>[^ ]+))?"
)


class Verb(enum.StrEnum):
    """What is done to a frame."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    ALTER = "alter"


@dataclass(frozen=True, slots=True)
class Sabotage:
    """What to do to which segments of the target; made by `parse_sabotage`.

    `flags` are exact but for PSH, None is any segment. `spoiled` are the ones of them that are
    spoiled, counted from 1. `seconds` is how much later a delayed frame comes. `inbound` segments
    are those that the target is sent.
    """

    verb: Verb
    flags: Flags | None
    spoiled: range = range(1, sys.maxsize)
    seconds: float = 0.0
    change: Change | None = None
    inbound: bool = False

    def fits(self, segment: Segment) -> bool:
        """Tell whether the segment has the flags."""
        return self.flags is None or not (segment.flags ^ self.flags) & ~Flags.PSH


def parse_sabotage(text: str) -> Sabotage:
    """Read a sabotage; UsageError when it is none.

    It is written `VERB [inbound] [[from] ORDINAL] FLAGS [ARGUMENT]`: `drop R.`, `drop 3rd S`,
    `drop from 2nd any`, `delay S. 0.5` (seconds), `duplicate F.`, `drop inbound 3rd any` (of what
    the target is sent), `duplicate R 0.5` (the copy comes later), and `alter` with `+`, `-` or `=`
    and a number on seq, ack, win, urg, sport, dport, sum, ttl, tos, df, mss, tsval or len, or with
    `flags=SEW`, `src=` or `dst=` and an address, `options=none` or `ipoptions=none`.
    """
    words = _WORDS.fullmatch(" ".join(text.split()))
    if words is None:
        raise UsageError(f"sabotage {text!r}: write it like one of {EXAMPLES}")
    verb = Verb(words["verb"])
    try:
        flags = None if words["flags"] == "any" else parse_flags(words["flags"])
    except UsageError:
        raise UsageError(
            f"sabotage {text!r}: {words['flags']!r} is neither flags nor 'any': "
            f"write it like one of {EXAMPLES}"
        ) from None
    plain = Sabotage(verb, flags, spoiled(words), inbound=bool(words["inbound"]))
    argument = words["argument"] or ""
    if verb is Verb.DELAY or (verb is Verb.DUPLICATE and argument):
        return dataclasses.replace(plain, seconds=_seconds(text, argument))
    if verb is Verb.ALTER:
        return dataclasses.replace(plain, change=_change(text, argument))
    if argument:
        raise UsageError(f"sabotage {text!r}: leave out {argument!r}, {verb} needs no more")
    return plain


def spoiled(words: re.Match[str]) -> range:
    """Return which of several `ORDINAL` means, counted from 1: all, if there is none."""
    first = int(words["ordinal"] or 1)
    only = words["ordinal"] and not words["onwards"]
    return range(first, first + 1 if only else sys.maxsize)


def _seconds(text: str, argument: str) -> float:
    if not re.fullmatch(SECONDS, argument):
        raise UsageError(f"sabotage {text!r}: say for how many seconds, as in 'delay S. 0.5'")
    return float(argument)


def _change(text: str, argument: str) -> Change:
    try:
        return parse_change(argument)
    except (UsageError, ValueError):
        raise UsageError(
            f"sabotage {text!r}: say what to alter, one of {FIELDS}, "
            "as in 'alter R. ack+1', 'alter S. win=0' or 'alter S flags=SEW'"
        ) from None


class Saboteur:
    """A link on which segments that fit the sabotage are spoiled.

    Of a link that is only watched, on which two stacks meet, both sides' segments are.
    """

    def __init__(self, link: Link, sabotage: Sabotage, *, watched: bool = False) -> None:
        self._link = link
        self._watched = watched
        self._sabotage = sabotage
        self._fitting = 0
        self._orders = itertools.count()
        # Stamp, order, held back, frame: the order makes frames of one stamp come as captured.
        self._frames: list[tuple[float, int, bool, Frame]] = []
        # When each delayed frame to the target is due, and what passes in place of what was sent.
        self._outbox: list[tuple[float, int, bytes]] = []
        self._instead: Counter[bytes] = Counter()

    @property
    def clock(self) -> Clock:
        """A clock that also returns from waiting when a delayed frame is due."""
        return _ImpatientClock(self._link.clock, self)

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far; what was dropped on purpose is not among them."""
        return self._link.lost

    @property
    def due(self) -> float:
        """When the next delayed frame is due, infinite when there is none."""
        held = (stamp for stamp, _, held, _ in self._frames if held)
        return min([*held, *(due for due, *_ in self._outbox)], default=math.inf)

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire, or what the sabotage makes of it."""
        self.release()
        now = self._link.clock.now()
        frame = Frame(now, True, octets)
        left = self._spoiled(frame) if self._sabotage.inbound else [frame]
        if left == [frame]:
            self._link.send(octets)
            return
        self._push(frame, held=False)
        for one in left:
            heapq.heappush(self._outbox, (one.stamp, next(self._orders), one.octets))
        self.release()

    def load(self, frames: Sequence[bytes], aside: Sequence[Network]) -> Volley:
        """Make ready to send these frames very fast."""
        return load(self._link, frames, aside)

    def poll(self) -> Frame | None:
        """Return the next frame of what is left of the capture."""
        self.release()
        while (frame := self._link.poll()) is not None:
            if frame.sent and self._instead[frame.octets]:
                self._instead[frame.octets] -= 1
                continue
            spoils = self._watched or not (frame.sent or self._sabotage.inbound)
            for spoiled in self._spoiled(frame) if spoils else [frame]:
                self._push(spoiled, held=spoiled.stamp > frame.stamp)
        if not self._frames:
            return None
        stamp, _, held, _ = self._frames[0]
        if held and stamp > self._link.clock.now():
            return None
        return heapq.heappop(self._frames)[3]

    def close(self) -> None:
        """Close the link; a second call does nothing."""
        self._link.close()

    def release(self) -> None:
        """Send the target what is due; the capture of it is not shown."""
        while self._outbox and self._outbox[0][0] <= self._link.clock.now():
            octets = heapq.heappop(self._outbox)[2]
            self._instead[octets] += 1
            self._link.send(octets)

    def _push(self, frame: Frame, *, held: bool) -> None:
        heapq.heappush(self._frames, (frame.stamp, next(self._orders), held, frame))

    def _spoiled(self, frame: Frame) -> list[Frame]:
        sabotage = self._sabotage
        ethernet = codec.decode_frame(frame.octets)
        datagram = ethernet.content if ethernet is not None else None
        if ethernet is None or not isinstance(datagram, Datagram) or datagram.segment is None:
            return [frame]
        if not sabotage.fits(datagram.segment):
            return [frame]
        self._fitting += 1
        if self._fitting not in sabotage.spoiled:
            return [frame]
        if sabotage.change is not None:
            datagram = sabotage.change.applied(datagram)
            ends = (ethernet.source_mac, ethernet.destination_mac)
            return [dataclasses.replace(frame, octets=codec.encode_frame(*ends, datagram))]
        later = dataclasses.replace(frame, stamp=frame.stamp + sabotage.seconds)
        return {Verb.DROP: [], Verb.DUPLICATE: [frame, later]}.get(sabotage.verb, [later])


@dataclass(frozen=True, slots=True)
class _ImpatientClock:
    """The link's clock, for which a delayed frame is something that happens."""

    clock: Clock
    saboteur: Saboteur

    @property
    def virtual(self) -> bool:
        return self.clock.virtual

    def every(self, period: float, callback: Callable[[float], object]) -> Callable[[], None]:
        """Call `callback` every `period` seconds while the clock waits; returns what ends it."""
        return self.clock.every(period, callback)

    def now(self) -> float:
        return self.clock.now()

    def wait(self, deadline: float) -> None:
        self.clock.wait(min(deadline, self.saboteur.due))
        self.saboteur.release()
