"""Channel: requests to an agent, and its replies matched to them.

An agent is a program in a place that may break in any way, so nothing that it says is believed
unseen: what is no proper reply breaks the channel, and a broken channel raises HarnessError at
every further use. It never becomes a verdict, and nobody waits for it.
"""

import json
import math
import os
import re
import select
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.errors import HarnessError
from harness.wire.clock import Clock
from harness.wire.noise import USUAL
from harness.wire.real import RealClock

PATIENCE = 10.0
"""How long, in seconds of the clock, an agent may take for a call that does not block."""

_SHOWN = 200
_LINE_LIMIT = 1 << 24
_SKEW = 5.0
_ERRNO = re.compile(r"E[A-Z0-9]{1,20}")


class WatchingClock(Clock, Protocol):
    """A clock that serves descriptors while it waits."""

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call `callback` whenever `descriptor` is readable while the clock waits."""

    def unwatch(self, descriptor: int) -> None:
        """Forget a descriptor."""


@dataclass(slots=True, eq=False)
class AgentReply:
    """One request and what became of it. Times are the link clock's, seconds."""

    operation: str
    began: float
    ended: float | None = None
    value: Any = None
    error: str | None = None
    _channel: "AgentChannel | None" = field(default=None, repr=False)

    def finished(self) -> bool:
        """Tell whether the agent has reported completion; HarnessError if it never can."""
        if self.ended is None and self._channel is not None:
            self._channel.check()
        return self.ended is not None


class AgentChannel:
    """Requests handed to `send`, which returns the replies that are there at once.

    Later replies are handed to `feed`. `to_link` maps the agent's seconds to the clock's; without
    it both are the same clock. `name` is the target's, for errors.
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any]], Sequence[object]],
        clock: Clock,
        *,
        name: str = "the target",
        to_link: Callable[[float], float] | None = None,
    ) -> None:
        self._send = send
        self._clock = clock
        self._name = name
        self._to_link = to_link
        self._open: dict[int, AgentReply] = {}
        self._next = 1
        self._broken: Exception | None = None

    def request(self, operation: str, **arguments: Any) -> AgentReply:
        """Ask for an operation; HarnessError if the channel is broken."""
        self.check()
        reply = AgentReply(operation, self._clock.now(), _channel=self)
        name, self._next = self._next, self._next + 1
        self._open[name] = reply
        for said in self._send({**arguments, "id": name, "op": operation}):
            self.feed(said)
        return reply

    def feed(self, said: object) -> None:
        """Take one decoded reply; HarnessError if it is none, or none that was asked for."""
        self.check()
        if not isinstance(said, Mapping):
            raise self.fail("sent what is no reply", said)
        name = said.get("id")
        error = said.get("error")
        if name is None and error == "EBADMSG":
            raise self.fail("did not understand a request", said.get("value"))
        if type(name) is not int or name not in self._open:
            raise self.fail("answered what was not asked", said)
        if error is not None and not (isinstance(error, str) and _ERRNO.fullmatch(error)):
            raise self.fail("sent an error without an errno's name", said)
        reply = self._open[name]
        began, ended = self._times(said, reply)
        self._note_late(said, began - reply.began)
        del self._open[name]
        reply.value = said.get("value")
        reply.error = error
        reply.began = began
        reply.ended = ended

    def _note_late(self, said: Mapping[str, Any], took: float) -> None:
        """Have an agent that was kept from running count as noise.

        It tells for how long it was ready and others ran. What else may keep it, the disk or the
        host of this machine, shows in how long it `took` from the request to the call, seconds.
        """
        late = said.get("late", 0.0)
        if isinstance(late, bool) or not isinstance(late, int | float) or not late >= 0.0:
            raise self.fail("sent no time as 'late'", said)
        if isinstance(self._clock, RealClock):
            self._clock.noise.held_up(self._clock.now(), max(late, took if took > USUAL else 0.0))

    def check(self) -> None:
        """Raise HarnessError, or whatever it is, if the channel is broken."""
        if self._broken is not None:
            raise type(self._broken)(*self._broken.args)

    def fail(
        self, why: str, said: object = None, *, kind: Callable[[str], Exception] = HarnessError
    ) -> Exception:
        """Break the channel for good; return the error to raise, which quotes what was said."""
        shown = "" if said is None else f": {_shortened(said)}"
        self._broken = kind(f"the agent of {self._name} {why}{shown}")
        return self._broken

    def map_time(self, to_link: Callable[[float], float]) -> None:
        """Set how the agent's seconds become the clock's."""
        self._to_link = to_link

    def _times(self, said: Mapping[str, Any], reply: AgentReply) -> tuple[float, float]:
        times = []
        for key in ("began", "at"):
            stamp = said.get(key, reply.began if key == "began" else None)
            if isinstance(stamp, bool) or not isinstance(stamp, int | float):
                raise self.fail(f"sent no time as {key!r}", said)
            times.append(self._mapped(stamp) if key in said else reply.began)
            if not math.isfinite(times[-1]):
                raise self.fail(f"sent no time as {key!r}", said)
        began, ended = times
        if ended < began - _SKEW:
            raise self.fail("says that a call ended before it began", said)
        if not self._clock.virtual and not (
            reply.began - _SKEW < ended < self._clock.now() + _SKEW and began > reply.began - _SKEW
        ):
            raise self.fail("has another clock than was thought", said)
        return began, ended

    def _mapped(self, stamp: float) -> float:
        try:
            return float(self._to_link(stamp) if self._to_link else stamp)
        except OverflowError:
            return math.inf


class StreamChannel:
    """A channel over a pair of descriptors, read while the clock waits.

    `unframe` takes the protocol's octets out of those that are read, where something stands
    around them. `lost` makes the error for a stream that has ended. Where the agent's clock is not
    the link's, `synchronise` comes before any other request. The descriptors belong to the channel
    from now on.
    """

    def __init__(
        self,
        source: int,
        sink: int,
        clock: WatchingClock,
        *,
        name: str = "the target",
        unframe: Callable[[bytes], bytes] | None = None,
        lost: Callable[[str], Exception] = HarnessError,
    ) -> None:
        self._lost = lost
        self._source = source
        self._sink = sink
        self._clock = clock
        self._name = name
        self._unframe = unframe
        self._rest = bytearray()
        self._closed = False
        self._channel = AgentChannel(self._write, clock, name=name)
        os.set_blocking(source, False)
        os.set_blocking(sink, False)
        clock.watch(source, self._read)

    def request(self, operation: str, **arguments: Any) -> AgentReply:
        """Ask for an operation; its reply comes while the clock waits."""
        return self._channel.request(operation, **arguments)

    def synchronise(self, *, samples: int = 5) -> float:
        """Measure what is to be added to the agent's clock to get the link's, seconds.

        Takes the shortest of several round trips, and returns half of it: the error's bound.
        """
        best = math.inf
        offset = 0.0
        stamps: list[float] = []

        def keep(stamp: float) -> float:
            stamps.append(stamp)
            return self._clock.now()

        self._channel.map_time(keep)
        for _ in range(samples):
            sent = self._clock.now()
            reply = self.request("hello")
            answered(reply, self._clock, name=self._name)
            received = self._clock.now()
            if received - sent < best:
                best = received - sent
                offset = (sent + received) / 2 - stamps[-1]
        self._channel.map_time(lambda stamp: stamp + offset)
        return best / 2

    def close(self) -> None:
        """Close the agent's input, which ends it; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._clock.unwatch(self._source)
        for descriptor in {self._source, self._sink}:
            os.close(descriptor)
        self._channel.fail("has been let go")

    def _write(self, request: dict[str, Any]) -> Sequence[object]:
        octets = memoryview(json.dumps(request).encode() + b"\n")
        while octets:
            try:
                octets = octets[os.write(self._sink, octets) :]
            except BlockingIOError:
                # It reads nothing: wall time, because nobody advances a clock in here.
                if not select.select([], [self._sink], [], PATIENCE)[1]:
                    raise self._channel.fail("does not read") from None
            except OSError as error:
                raise self._channel.fail(
                    f"cannot be reached: {error.strerror}", kind=self._lost
                ) from None
        return ()

    def _read(self) -> object:
        try:
            octets = os.read(self._source, 1 << 16)
        except BlockingIOError:
            return False
        except OSError as error:
            self._clock.unwatch(self._source)
            raise self._channel.fail(
                f"cannot be heard: {error.strerror}", kind=self._lost
            ) from None
        if not octets:
            self._clock.unwatch(self._source)
            raise self._channel.fail("has ended", bytes(self._rest) or None, kind=self._lost)
        self._rest += self._unframe(octets) if self._unframe else octets
        *lines, rest = self._rest.split(b"\n")
        self._rest = rest
        if len(rest) > _LINE_LIMIT:
            raise self._channel.fail("sent a line without an end", bytes(rest[:_SHOWN]))
        for line in lines:
            self._take(bytes(line))
        return bool(lines)

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            raise self._channel.fail("sent what is not JSON", line) from None
        self._channel.feed(said)


def answered(reply: Any, clock: Clock, *, name: str, within: float = PATIENCE) -> None:
    """Wait until a reply is there; HarnessError if it does not come within so many seconds."""
    deadline = clock.now() + within
    while not reply.finished():
        if clock.now() >= deadline:
            raise HarnessError(f"the agent of {name} does not answer")
        clock.wait(deadline)


def _shortened(said: object) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return text[:_SHOWN]
