"""Liar: a channel on which a stack tells its applications what is not so, or ignores what they ask.

What a stack says to them is as much its output as what it sends: spoiled like that, by a `Saboteur`
of the link's kind, testcases that judge calls and states can be seen to fail on a real stack.
"""

import base64
import errno
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.states import State
from harness.targets.driver import Channel, Reply
from harness.wire.saboteur import ORDINAL, SECONDS, spoiled

_EXAMPLES = (
    "'lie connect', 'lie 2nd close 5', 'lie from 3rd table', 'lie receive ECONNRESET' "
    "or 'ignore 2nd set'"
)
_IGNORE = "ignore"
_WORDS = re.compile(
    rf"(?P<verb>lie|{_IGNORE}){ORDINAL} (?P<call>[a-z]+)"
    rf"(?: (?:(?P<seconds>{SECONDS})|(?P<error>E[A-Z0-9]{{1,20}})))?"
)
CALLS = (
    *("socket", "bind", "listen", "connect", "accept", "send", "receive", "wait", "finish"),
    *("shutdown", "close", "set", "get", "ioctl", "name", "peername", "info", "errors"),
    *("table", "counters", "sysctl", "sysctls"),
)
"""The calls, and the looks at a stack, that may be lied about: operations of the agent."""

IGNORED = ("bind", "listen", "shutdown", "close", "set", "sysctl")
"""Those whose success says nothing else, so that they can be ignored."""

_FAILURE = "EIO"
_MORE = 1000
_INFO_FLAGS = 8
_STATES = [str(state) for state in State]


@dataclass(frozen=True, slots=True)
class Lie:
    """Which calls of a kind end otherwise than they did; made by `parse_lie`.

    `spoiled` are counted from 1. They end `seconds` later, or with `error`, or, with neither, in
    the opposite: a success fails, an error is none, and of a look other states and numbers come.
    What is `ignored` is not even made, and succeeds.
    """

    call: str
    spoiled: range
    seconds: float = 0.0
    error: str | None = None
    ignored: bool = False


def is_lie(text: str) -> bool:
    """Tell whether a sabotage is meant to be a lie."""
    return text.split()[:1] in (["lie"], [_IGNORE])


def parse_lie(text: str) -> Lie:
    """Read a lie; UsageError when it is none.

    It is written `lie [[from] ORDINAL] CALL [SECONDS|ERRNO]` or `ignore [[from] ORDINAL] CALL`.
    """
    words = _WORDS.fullmatch(" ".join(text.split()))
    if words is None:
        raise UsageError(f"sabotage {text!r}: write it like {_EXAMPLES}")
    if words["call"] not in CALLS:
        raise UsageError(f"sabotage {text!r}: nothing is called {words['call']!r}: {_EXAMPLES}")
    if words["error"] and not hasattr(errno, words["error"]):
        raise UsageError(f"sabotage {text!r}: no errno is called {words['error']}")
    ignored = words["verb"] == _IGNORE
    if ignored and words["call"] not in IGNORED:
        raise UsageError(f"sabotage {text!r}: only these can be ignored: {', '.join(IGNORED)}")
    if ignored and (words["seconds"] or words["error"]):
        raise UsageError(f"sabotage {text!r}: what is ignored succeeds at once")
    seconds = float(words["seconds"] or 0.0)
    return Lie(words["call"], spoiled(words), seconds, words["error"], ignored)


class Liar:
    """A channel that answers as the stack does, except where it lies."""

    def __init__(self, channel: Channel, lie: Lie, now: Callable[[], float]) -> None:
        self._channel = channel
        self._lie = lie
        self._now = now
        self._asked = 0
        self._rows: Sequence[Any] = ()

    def request(self, operation: str, **arguments: Any) -> Reply:
        """Ask for a call; its reply may be a lie."""
        if operation != self._lie.call:
            return self._channel.request(operation, **arguments)
        self._asked += 1
        if self._lie.ignored and self._asked in self._lie.spoiled:
            return _NoReply(self._now())
        reply = self._channel.request(operation, **arguments)
        if operation == "table" and reply.value:
            self._rows = reply.value
        if self._asked not in self._lie.spoiled:
            return reply
        return _LiedReply(reply, self._lie, self._now, self._other)

    def _other(self, operation: str, value: Any) -> Any:
        """Return something else than what a look has shown."""
        if operation == "table":
            return [{**row, "state": _next(row["state"])} for row in value or self._rows]
        if operation == "counters":
            # It is by how much they have grown that is looked at.
            return {name: number + _MORE * self._asked for name, number in value.items()}
        return _OTHER.get(operation, _more)(value)


class _NoReply:
    """The success of what was never done."""

    def __init__(self, at: float) -> None:
        self.began = at
        self.ended: float | None = at
        self.value: Any = None
        self.error: str | None = None

    def finished(self) -> bool:
        """Tell that it has ended."""
        return True


class _LiedReply:
    """A reply that is another than the stack's, once that is there."""

    def __init__(
        self, reply: Reply, lie: Lie, now: Callable[[], float], other: Callable[[str, Any], Any]
    ) -> None:
        self.began = reply.began
        self.ended: float | None = None
        self.value: Any = None
        self.error: str | None = None
        self._reply = reply
        self._lie = lie
        self._now = now
        self._other = other
        self.finished()

    def finished(self) -> bool:
        """Tell whether the call has ended, and so much later as it is said to."""
        if self.ended is None and self._reply.finished() and self._reply.ended is not None:
            ended = self._reply.ended + self._lie.seconds
            if ended <= self._now():
                self.began, self.ended = self._reply.began, ended
                self._tell()
        return self.ended is not None

    def _tell(self) -> None:
        self.value, self.error = self._reply.value, self._reply.error
        if self._lie.seconds:
            return
        if self._lie.error or self.error:
            self.error = self._lie.error
            return
        self.value = self._other(self._lie.call, self._reply.value)
        if self.value == self._reply.value:
            self.error = _FAILURE


def _next(state: str) -> str:
    """Return another state than this."""
    at = _STATES.index(state) if state in _STATES else -1
    return _STATES[(at + 1) % len(_STATES)]


def _more(value: Any) -> Any:
    """Return other numbers; what is no number, or no text of one, stays."""
    match value:
        case list():
            return [_more(each) for each in value]
        case dict():
            return {name: _more(each) for name, each in value.items()}
        case str() if value.isdecimal():
            return str(int(value) + _MORE)
    return value + _MORE if type(value) is int else value


def _other_numbers(octets: str) -> str:
    """Return a struct tcp_info all of whose numbers are others; state and flags stay."""
    numbers = bytearray(base64.b64decode(octets))
    for at in range(_INFO_FLAGS, len(numbers) - 3, 4):
        numbers[at + 1] ^= 0x10
    return base64.b64encode(numbers).decode()


_OTHER: dict[str, Callable[[Any], Any]] = {"receive": lambda _: "", "info": _other_numbers}
