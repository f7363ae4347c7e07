"""Ends: the states that two ends of one connection go through, by what passes between them.

This is RFC 9293 section 3.3.2, as far as segments that are in order lead; what was seen in a
state table counts more than what follows from here.
"""

import re
from dataclasses import dataclass

from harness.states import State

_FORM = re.compile(
    r"(?P<flags>[A-Z.]+) (?P<seq>-?\d+):-?\d+\((?P<size>\d+)\)(?: ack (?P<ack>-?\d+))?"
)

_OPEN = (State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What decides of a segment in the notation: flags, first number, octets of data, ACK."""

    flags: str
    seq: int
    size: int
    ack: int | None

    @classmethod
    def of(cls, text: str) -> "Numbers | None":
        """Read the notation; None for what is none."""
        found = _FORM.match(text)
        if found is None:
            return None
        ack = found["ack"]
        numbers = int(found["seq"]), int(found["size"]), None if ack is None else int(ack)
        return cls(found["flags"], *numbers)

    @property
    def end(self) -> int:
        """The number after the last octet, SYN and FIN counted."""
        return self.seq + self.size + ("S" in self.flags) + ("F" in self.flags)


@dataclass(slots=True)
class End:
    """One end of a connection, numbers relative to the SYN of each side."""

    state: State = State.CLOSED
    sent_to: int = 0
    expects: int = 0
    fin: int | None = None

    def listens(self) -> None:
        """Take note of listen()."""
        if self.state is State.CLOSED:
            self.state = State.LISTEN

    def sends(self, one: Numbers) -> None:
        """Take note of a segment on its way out."""
        state = self.state
        if "R" in one.flags:
            if state not in (State.LISTEN, State.TIME_WAIT) and one.seq == self.sent_to:
                self.state = State.CLOSED
            return
        if "S" in one.flags:
            fresh = state in (State.CLOSED, State.LISTEN, State.SYN_SENT)
            if fresh:
                self.state = State.SYN_RECEIVED if "." in one.flags else State.SYN_SENT
        elif "F" in one.flags and one.end >= self.sent_to:
            self.fin = one.end
            after = {State.CLOSE_WAIT: State.LAST_ACK}
            after |= dict.fromkeys((State.ESTABLISHED, State.SYN_RECEIVED), State.FIN_WAIT_1)
            self.state = after.get(state, state)
        self.sent_to = max(self.sent_to, one.end)

    def receives(self, one: Numbers) -> None:
        """Take note of a segment that came in."""
        if "S" in one.flags:
            self._synchronizes(one)
            return
        if self.state in (State.CLOSED, State.LISTEN):
            return
        if "R" in one.flags:
            refused = self.state is State.SYN_SENT and one.ack == self.sent_to
            if refused or (one.seq == self.expects and self.state is not State.SYN_SENT):
                self.state = State.CLOSED
            return
        if one.seq > self.expects or self.state is State.SYN_SENT:
            return
        if one.ack is not None:
            self._acknowledged(one.ack)
        finished = "F" in one.flags and one.end > self.expects
        self.expects = max(self.expects, one.end)
        if finished:
            after = {
                State.ESTABLISHED: State.CLOSE_WAIT,
                State.FIN_WAIT_1: State.CLOSING,
                State.FIN_WAIT_2: State.TIME_WAIT,
            }
            self.state = after.get(self.state, self.state)

    def _synchronizes(self, one: Numbers) -> None:
        if self.state is State.SYN_SENT and one.ack in (None, self.sent_to):
            self.expects = one.end
            if one.ack is not None:
                self.state = State.ESTABLISHED
        elif self.state in (State.CLOSED, State.LISTEN) and one.ack is None:
            self.expects = one.end

    def _acknowledged(self, ack: int) -> None:
        if ack > self.sent_to:
            return
        if self.state is State.SYN_RECEIVED and ack >= 1:
            self.state = State.ESTABLISHED
        if self.fin is not None and ack >= self.fin:
            after = {
                State.FIN_WAIT_1: State.FIN_WAIT_2,
                State.CLOSING: State.TIME_WAIT,
                State.LAST_ACK: State.CLOSED,
            }
            self.state = after.get(self.state, self.state)
