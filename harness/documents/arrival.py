"""Arrival: what RFC 9293 allows a TCP to do when a segment arrives (section 3.10.7).

`decide` follows the steps of the text. Where RFC 9293 leaves a choice, every choice is a reaction
of its own, with the text it comes from: RFC 793's way and RFC 5961's are both allowed.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from harness.segment.notation import parse_pattern
from harness.segment.segment import Flags, Segment
from harness.segment.sequence import difference, in_window
from harness.states import State
from harness.targets.matrix import Situation

NOTHING = "nothing"


class Step(enum.StrEnum):
    """The step that decided, spelt as claims name it."""

    CLOSED = "closed"  # 3.10.7.1
    LISTEN_RST = "RST in LISTEN"  # 3.10.7.2
    LISTEN_ACK = "ACK in LISTEN"
    LISTEN_OTHER = "SYN or less in LISTEN"
    SENT_ACK = "wrong ACK in SYN-SENT"  # 3.10.7.3
    SENT_RST = "RST in SYN-SENT"
    SENT_SYN = "SYN or less in SYN-SENT"
    UNACCEPTABLE = "unacceptable"  # 3.10.7.4, first
    RST_OUTSIDE = "RST outside"
    RST_EXACT = "RST at RCV.NXT"  # second
    RST_INSIDE = "RST inside"
    SYN = "SYN"  # fourth
    SYN_INSIDE = "SYN inside"
    NO_ACK = "no ACK"  # fifth
    ACK_ANCIENT = "ancient ACK"
    ACK_FUTURE = "future ACK"
    ACK = "ACK"
    AHEAD = "ahead"  # held until its turn
    TEXT = "text"  # seventh
    FIN = "FIN"  # eighth


@dataclass(frozen=True, slots=True)
class Reaction:
    """What may be done: one of some answers, and one of some states afterwards; by which text."""

    answers: tuple[str, ...]
    states: tuple[State, ...]
    by: str = "RFC 9293"

    def fits(self, answers: Sequence[Segment], after: State) -> bool:
        """Tell whether this is what was done; more than one answer never is."""
        if after not in self.states or len(answers) > 1:
            return False
        if not answers:
            return NOTHING in self.answers
        patterns = (parse_pattern(text) for text in self.answers if text != NOTHING)
        return any(pattern.fits(answers[0]) for pattern in patterns)

    @property
    def text(self) -> str:
        """`. 1:1(0) ack 1, ESTABLISHED`."""
        return f"{' or '.join(self.answers)}, {' or '.join(self.states)}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The steps that a claim may speak of, and all that they allow."""

    steps: frozenset[Step]
    reactions: tuple[Reaction, ...]


def decide(here: Situation, segment: Segment) -> Decision:  # noqa: PLR0911 - one for each step
    """Return what RFC 9293 section 3.10.7 allows as the answer, and as the state afterwards."""
    match here.state:
        case State.CLOSED:
            return _closed(segment)
        case State.LISTEN:
            return _listen(segment)
        case State.SYN_SENT:
            return _syn_sent(here, segment)
    if not acceptable(here, segment):
        return _unacceptable(here, segment)
    if segment.rst:
        return _rst(here, segment)
    if segment.syn:
        return _syn(here, segment)
    if not segment.flags & Flags.ACK:
        return _only(Step.NO_ACK, Reaction((NOTHING,), (here.state,)))
    return _acknowledging(here, segment)


def acceptable(here: Situation, segment: Segment) -> bool:
    """Tell whether a segment passes the four cases of table 6."""
    if here.rcv_wnd == 0:
        return segment.length == 0 and segment.seq == here.rcv_nxt
    first = in_window(segment.seq, here.rcv_nxt, here.rcv_wnd)
    if segment.length == 0:
        return first
    return first or in_window(segment.seq + segment.length - 1, here.rcv_nxt, here.rcv_wnd)


def _only(step: Step, *reactions: Reaction) -> Decision:
    return Decision(frozenset((step,)), reactions)


def _empty_ack(here: Situation, *, ack: int | None = None) -> str:
    at = here.snd_nxt
    return f". {at}:{at}(0) ack {here.rcv_nxt if ack is None else ack}"


def _rst_numbered(number: int) -> str:
    number = difference(number, 0)
    return f"R {number}:{number}(0)"


def _closed(segment: Segment) -> Decision:
    end = segment.seq + segment.length
    answer = f"R. 0:0(0) ack {end}"
    if segment.flags & Flags.ACK:
        answer = _rst_numbered(segment.ack)
    if segment.rst:
        answer = NOTHING
    return _only(Step.CLOSED, Reaction((answer,), (State.CLOSED,)))


def _listen(segment: Segment) -> Decision:
    """Decide in LISTEN; CLOSED says that there is no connection but the listener."""
    listening = (State.CLOSED,)
    if segment.rst:
        return _only(Step.LISTEN_RST, Reaction((NOTHING,), listening))
    if segment.flags & Flags.ACK:
        return _only(Step.LISTEN_ACK, Reaction((_rst_numbered(segment.ack),), listening))
    if segment.syn:
        answer = f"S. 0:0(0) ack {segment.seq + 1}"
        return _only(Step.LISTEN_OTHER, Reaction((answer,), (State.SYN_RECEIVED,)))
    return _only(Step.LISTEN_OTHER, Reaction((NOTHING,), listening))


def _syn_sent(here: Situation, segment: Segment) -> Decision:
    stays = (State.SYN_SENT,)
    has_ack = bool(segment.flags & Flags.ACK)
    if has_ack and not 0 < difference(segment.ack, here.snd_una) <= here.snd_nxt - here.snd_una:
        answer = NOTHING if segment.rst else _rst_numbered(segment.ack)
        steps = {Step.SENT_RST if segment.rst else Step.SENT_ACK}
        return Decision(frozenset(steps), (Reaction((answer,), stays),))
    if segment.rst:
        after = State.CLOSED if has_ack else State.SYN_SENT
        return _only(Step.SENT_RST, Reaction((NOTHING,), (after,)))
    if not segment.syn:
        return _only(Step.SENT_SYN, Reaction((NOTHING,), stays))
    if has_ack:
        answer = f". {here.snd_nxt}:{here.snd_nxt}(0) ack {segment.seq + 1}"
        return _only(Step.SENT_SYN, Reaction((answer,), (State.ESTABLISHED,)))
    answer = f"S. 0:0(0) ack {segment.seq + 1}"
    return _only(Step.SENT_SYN, Reaction((answer,), (State.SYN_RECEIVED,)))


def _unacceptable(here: Situation, segment: Segment) -> Decision:
    """Decide the first step, by which nothing of the segment is processed any further."""
    stays = (here.state,)
    if segment.rst:
        return _only(Step.RST_OUTSIDE, Reaction((NOTHING,), stays))
    reactions = [Reaction((_empty_ack(here),), stays)]
    if here.state is State.SYN_RECEIVED and _wrong(here, segment):
        # 3.5.2 has a RST for every ACK of what was never sent, before the connection is open.
        reactions.append(Reaction((_rst_numbered(segment.ack),), stays, "section 3.5.2"))
    steps = {Step.UNACCEPTABLE}
    if segment.syn:
        steps.add(Step.SYN)
        reactions += _reopened(here, segment)
    return Decision(frozenset(steps), tuple(reactions))


def _reopened(here: Situation, segment: Segment) -> list[Reaction]:
    """Return what MAY-2 allows in TIME-WAIT: a SYN that is numbered higher opens anew."""
    if here.state is not State.TIME_WAIT or segment.flags & Flags.ACK:
        return []
    if difference(segment.seq, here.rcv_nxt) < 0:
        return []
    return [Reaction((f"S. ack {segment.seq + 1}",), (State.SYN_RECEIVED,), "MAY-2")]


def _rst(here: Situation, segment: Segment) -> Decision:
    """Decide the second step; back to LISTEN is CLOSED, as nothing of the connection is left."""
    ends = Reaction((NOTHING,), (State.CLOSED,))
    if segment.seq == here.rcv_nxt:
        return _only(Step.RST_EXACT, ends)
    challenge = Reaction((_empty_ack(here),), (here.state,), "RFC 5961")
    return _only(Step.RST_INSIDE, challenge, Reaction((NOTHING,), (State.CLOSED,), "RFC 793"))


def _syn(here: Situation, segment: Segment) -> Decision:
    """Decide the fourth step."""
    if here.state is State.SYN_RECEIVED and here.passive:
        reactions = [Reaction((NOTHING,), (State.CLOSED,))]
        if _wrong(here, segment):
            refused = (_rst_numbered(segment.ack),)
            reactions.append(Reaction(refused, (here.state,), "section 3.5.2"))
        return _only(Step.SYN_INSIDE, *reactions)
    return Decision(
        frozenset((Step.SYN, Step.SYN_INSIDE)),
        (
            Reaction((_empty_ack(here),), (here.state,), "RFC 5961"),
            Reaction(("R", "R."), (State.CLOSED,), "RFC 793"),
            *_reopened(here, segment),
        ),
    )


def _wrong(here: Situation, segment: Segment) -> bool:
    """Tell whether a segment, before the connection is open, acknowledges not what was sent."""
    distance = difference(segment.ack, here.snd_una)
    return bool(segment.flags & Flags.ACK) and not 0 < distance <= here.snd_nxt - here.snd_una


def _acknowledging(here: Situation, segment: Segment) -> Decision:
    """Decide the fifth step, and those behind it."""
    stays = (here.state,)
    challenge = Reaction((_empty_ack(here),), stays, "RFC 5961")
    ancient = difference(segment.ack, here.snd_una - here.max_snd_wnd) < 0
    future = difference(segment.ack, here.snd_nxt) > 0
    if here.state is State.SYN_RECEIVED and _wrong(here, segment):
        reset = Reaction((_rst_numbered(segment.ack),), stays)
        both = (reset, challenge) if ancient or future else (reset,)
        return _only(Step.ACK_FUTURE if future else Step.ACK, *both)
    if future:
        return _only(Step.ACK_FUTURE, Reaction((_empty_ack(here),), stays))
    decision = _processing(here, segment)
    if ancient:
        plain = (Reaction(one.answers, one.states, "RFC 793") for one in decision.reactions)
        return _only(Step.ACK_ANCIENT, challenge, *plain)
    return decision


_ACKNOWLEDGED = {
    State.SYN_RECEIVED: State.ESTABLISHED,
    State.FIN_WAIT_1: State.FIN_WAIT_2,
    State.CLOSING: State.TIME_WAIT,
    State.LAST_ACK: State.CLOSED,
}
"""Where the ACK of the own SYN or FIN leads."""

_ENDED = {
    State.ESTABLISHED: State.CLOSE_WAIT,
    State.FIN_WAIT_1: State.CLOSING,
    State.FIN_WAIT_2: State.TIME_WAIT,
}
"""Where the peer's FIN leads, after the ACK has been dealt with."""


def _processing(here: Situation, segment: Segment) -> Decision:
    """Decide what an ACK, and the text and the FIN behind it, lead to."""
    new = 0 < difference(segment.ack, here.snd_una) <= here.snd_nxt - here.snd_una
    then = _ACKNOWLEDGED.get(here.state, here.state) if new else here.state
    ack = _empty_ack(here)
    if segment.seq != here.rcv_nxt:
        # It may be held as it is, or its ACK dealt with at once; MAY-13 allows the answer.
        held = Reaction((ack, NOTHING), tuple(dict.fromkeys((here.state, then))))
        return _only(Step.AHEAD, held, *_lost(here, segment))
    if then is State.CLOSED:
        return _only(Step.ACK, Reaction((NOTHING,), (then,)))
    if not segment.length:
        # In TIME-WAIT nothing but a FIN can arrive, and all that does is acknowledged.
        silent = (NOTHING, ack) if here.state is State.TIME_WAIT else (NOTHING,)
        return _only(Step.ACK, Reaction(silent, (then,)))
    end = _empty_ack(here, ack=here.rcv_nxt + segment.length)
    if segment.fin:
        # The acknowledgment may be delayed.
        answers = (end, NOTHING) if then in _ENDED else (end, ack, NOTHING)
        return _only(Step.FIN, Reaction(answers, (_ENDED.get(then, then),)))
    if then in _ENDED:
        return _only(Step.TEXT, Reaction((end, NOTHING), (then,)), *_lost(here, segment))
    return _only(Step.TEXT, Reaction((NOTHING, ack), (then,)))


def _lost(here: Situation, segment: Segment) -> tuple[Reaction, ...]:
    """Return what SHLD-3 asks for: a RST for data that nobody can read any more."""
    if not (here.orphan and segment.payload):
        return ()
    return (Reaction(("R", "R."), (State.CLOSED,), "SHLD-3"),)
