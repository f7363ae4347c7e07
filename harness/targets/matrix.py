"""Matrix: every kind of segment, on every edge of the window, in one state.

Each cell stands on a connection of its own, so that no limit of the stack on its answers, which
stacks have by connection, and nothing that another cell did can change what is observed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.peer.peer import Peer
from harness.segment.segment import Flags, Segment
from harness.segment.spelling import filler
from harness.states import State

WINDOW = 65535
"""The window that the peer offers in every segment; without scaling it is MAX.SND.WND."""

SHORT, FAR = 100, 1000
"""Octets: how far inside or outside of the window a segment begins, how far beyond an ACK is."""

SIZE = 10
"""Octets of a segment that carries data."""

_A = Flags.ACK
KINDS = {
    "SYN": Flags.SYN,
    "SYN-ACK": Flags.SYN | _A,
    "SYN-FIN": Flags.SYN | Flags.FIN,
    "ACK": _A,
    "FIN": Flags.FIN,
    "FIN-ACK": Flags.FIN | _A,
    "RST": Flags.RST,
    "RST-ACK": Flags.RST | _A,
    "data": Flags.PSH | _A,
    "no flags": Flags(0),
    "all flags": Flags.FIN | Flags.SYN | Flags.RST | Flags.PSH | _A | Flags.URG,
}

EDGES: dict[str, Callable[[int], int]] = {
    "left of the window": lambda _: -SHORT,
    "at its left edge": lambda _: 0,
    "inside it": lambda _: SHORT,
    "at its right edge": lambda size: size - 1,
    "just right of it": lambda size: size,
    "right of it": lambda size: size + SHORT,
}
"""Where a segment begins, as the distance from RCV.NXT, by the size of the window."""

_UNACKNOWLEDGED = (State.SYN_RECEIVED, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK)
_WITHOUT_WINDOW = (State.CLOSED, State.LISTEN, State.SYN_SENT)


@dataclass(frozen=True, slots=True)
class Situation:
    """The variables of RFC 9293 section 3.3.1 that decide, relative numbers, seen by the target.

    `passive` says that the connection was opened passively, `orphan` that the application has let
    go of it by close().
    """

    state: State
    passive: bool
    orphan: bool
    snd_una: int
    snd_nxt: int
    rcv_nxt: int
    rcv_wnd: int
    max_snd_wnd: int = WINDOW


@dataclass(frozen=True, slots=True)
class Cell:
    """One segment in one situation, all that was answered at once, and the state afterwards."""

    name: str
    situation: Situation
    sent: Segment
    answers: tuple[Segment, ...]
    after: State


@dataclass(frozen=True, slots=True)
class Stimulus:
    """A segment still without numbers: `edge` and `ack` name them, where there are such."""

    kind: str
    edge: str
    ack: str

    @property
    def name(self) -> str:
        """`SYN-ACK inside it, future ACK`."""
        return ", ".join(filter(None, (f"{self.kind} {self.edge}".strip(), self.ack)))

    def segment(self, here: Situation) -> Segment:
        """Return the segment, with relative numbers."""
        flags = KINDS[self.kind]
        acks = {
            "": 0,
            "acceptable ACK": here.snd_nxt,
            "old ACK": here.snd_una - 1,
            "ancient ACK": here.snd_una - here.max_snd_wnd - FAR,
            "future ACK": here.snd_nxt + FAR,
        }
        distance = EDGES[self.edge](here.rcv_wnd) if self.edge else 0
        return Segment(
            seq=here.rcv_nxt + distance,
            ack=acks[self.ack],
            flags=flags,
            window=WINDOW,
            payload=filler(SIZE) if self.kind == "data" else b"",
        )


def stimuli(state: State) -> Iterator[Stimulus]:
    """Yield all that a state is confronted with.

    In CLOSED, LISTEN and SYN-SENT there is no window, so there are no edges. Nothing has been sent
    in CLOSED and LISTEN, so that no ACK is acceptable and none is old. An ancient ACK, one below
    SND.UNA - MAX.SND.WND, makes a difference only to a segment that is acceptable in all else.
    """
    for kind, flags in KINDS.items():
        for edge in ("",) if state in _WITHOUT_WINDOW else EDGES:
            for ack in _acks(state, kind, edge) if flags & Flags.ACK else ("",):
                yield Stimulus(kind, edge, ack)


def not_applicable(state: State) -> str:
    """Say which cells a state does not have, and why; nothing if it has all."""
    if state in (State.CLOSED, State.LISTEN):
        return "there is no window and nothing was sent: one place, one ACK"
    return "there is no window yet: one place" if state is State.SYN_SENT else ""


def _acks(state: State, kind: str, edge: str) -> tuple[str, ...]:
    if state in (State.CLOSED, State.LISTEN):
        return ("future ACK",)
    usual = ("acceptable ACK", "old ACK", "future ACK")
    ancient = kind in ("ACK", "data") and edge == "at its left edge"
    return (*usual, "ancient ACK") if ancient else usual


def situation(state: State, peer: Peer, *, passive: bool, orphan: bool) -> Situation:
    """Return what the target's variables are by all that has passed on the wire."""
    books = peer.connection
    unsent = state in (State.CLOSED, State.LISTEN)
    snd_nxt = 0 if unsent else books.expected_seq
    waits = state in _UNACKNOWLEDGED or state is State.SYN_SENT
    last = latest(peer)
    return Situation(
        state,
        passive,
        orphan,
        snd_una=snd_nxt - waits,
        snd_nxt=snd_nxt,
        rcv_nxt=books.expected_ack,
        rcv_wnd=0 if last is None else last.window,
    )


def latest(peer: Peer) -> Segment | None:
    """Return the last segment with ACK and without RST that has come, relative; None if none."""
    found = [ladder for flags in ("S.", ".", "F.") if (ladder := peer.history(flags)).stamps]
    last = max(found, key=lambda ladder: ladder.stamps[-1], default=None)
    return None if last is None else last.segments[-1]


def observe(peer: Peer, stimulus: Stimulus, here: Situation) -> Cell:
    """Send one segment and take everything that comes before a fence is answered.

    What the target repeats by itself, the SYN or FIN that nobody has acknowledged, is left aside.
    """
    sent = stimulus.segment(here)
    own = {
        State.SYN_SENT: ["S 0:0(0)"],
        State.FIN_WAIT_1: ["F. 1:1(0) ack 1"],
        State.CLOSING: ["F. 1:1(0) ack *"],
        State.LAST_ACK: ["F. 1:1(0) ack *"],
    }.get(here.state, [])
    peer.send(sent)
    answers = tuple(peer.answers(skip=own))
    return Cell(stimulus.name, here, sent, answers, peer.state())
