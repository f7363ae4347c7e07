"""Wire: the clock, the link and the agents of a machine, all of which are one exchange.

The machine's time passes only while the harness waits or asks. A wait is one step, however long: it
ends at the deadline, or where a frame has left a stack or a call has ended, so that the peer
reacts `REACTION` seconds of the machine's time later at most, near documented instants and far from
them. What was sent meanwhile arrives when the next step begins.
"""

import base64
import contextlib
import json
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError
from harness.targets.channel import AgentChannel
from harness.targets.qemu.machine import Machine
from harness.targets.wheel import Wheel
from harness.wire.link import Frame
from harness.wire.real import Heartbeat

REACTION = 0.005
"""Seconds of the machine's time within which the peer has seen a frame, and may have answered."""


LOOK = 60.0
"""Seconds of the machine's time after which a state table is looked at again, at the latest: one
look that misses a row is not believed."""

_STEADY = ("hello", "name", "sysctl", "sysctls")
"""Questions to which no passing of time changes the answer."""


_LOOKS = ("name", "peername", "table")
"""Questions that change nothing, so that at one instant they need not be asked twice."""


class MachineClock:
    """The time of a machine: its CLOCK_MONOTONIC, in seconds."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self._beats: list[Heartbeat] = []

    @property
    def virtual(self) -> bool:
        """Whether waiting costs no wall time: it costs as good as none."""
        return True

    def now(self) -> float:
        """Return the time in seconds."""
        return self._wire.now

    def wait(self, deadline: float) -> None:
        """Return when a frame came or a call ended, at `deadline` at the latest."""
        self._wire.advance(min([deadline, *(beat.due for beat in self._beats)]))
        for beat in tuple(self._beats):
            if beat.due <= self.now():
                due, beat.due = beat.due, self.now() + beat.period
                beat.callback(due)

    def every(self, period: float, callback: Callable[[float], object]) -> Callable[[], None]:
        """Call `callback` with its intended time every `period` seconds while the clock waits.

        Returns a function that ends it.
        """
        beat = Heartbeat(period, callback, self.now() + period)
        self._beats.append(beat)

        def end() -> None:
            if beat in self._beats:
                self._beats.remove(beat)

        return end

    def quiet_until(self) -> float:
        """Return a time before which nothing can happen that was looked at since the last wait.

        Where nothing was asked of the stacks, only an event can change what was looked at. What a
        state table shows changes when a timer ends that it shows. Anything else may change now.
        """
        return self._wire.quiet_until


class MachineLink:
    """The link to a machine's one stack, or the capture between its two."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire

    @property
    def clock(self) -> MachineClock:
        """The machine's."""
        return self._wire.clock

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far."""
        return self._wire.lost

    def send(self, octets: bytes) -> None:
        """Put one Ethernet frame on the wire; between two stacks nothing is sent."""
        self._wire.send(octets)

    def poll(self) -> Frame | None:
        """Return the next captured frame of either direction, or None; never waits."""
        return self._wire.captured.popleft() if self._wire.captured else None

    def close(self) -> None:
        """Send nothing more; a second call does nothing."""
        self._wire.deaf = True


class Wire:
    """One machine, the stacks in it, and what passes between them and the harness.

    `sysctls` are those of each stack that are known already; None is one that it does not have.
    Nobody but its agent changes them, so that it is asked only once. `wheels` are what the timers
    of each stack stand in.
    """

    def __init__(
        self,
        machine: Machine,
        now: float,
        *,
        sysctls: Sequence[Mapping[str, str | None]],
        wheels: Sequence[Wheel],
        name: str,
    ) -> None:
        self.machine = machine
        self.now = now
        self.lost = 0
        self.deaf = len(sysctls) > 1
        self.captured: deque[Frame] = deque()
        self.clock = MachineClock(self)
        self.link = MachineLink(self)
        self._pending: list[str] = []
        self._gathered: list[Any] | None = None
        self._sysctls: list[dict[str, str | None]] = [dict(known) for known in sysctls]
        self._wheels = wheels
        self._seen_quiet: list[float] = []
        self._seen: dict[str, Mapping[str, Any]] = {}
        self.channels: Sequence[AgentChannel] = tuple(
            AgentChannel(_asking(self, number), self.clock, name=name)
            for number in range(len(sysctls))
        )

    @property
    def quiet_until(self) -> float:
        """A time before which nothing can happen that was looked at since the last wait."""
        return min(self._seen_quiet, default=math.inf)

    def send(self, octets: bytes) -> None:
        """Have a frame arrive at the stack when the next exchange begins."""
        if not self.deaf:
            self._seen.clear()
            self._pending.append(base64.b64encode(octets).decode())

    def advance(self, deadline: float) -> None:
        """Let time pass until something happens, or to the deadline."""
        if math.isinf(deadline):
            raise HarnessError("a wait without deadline on a virtual clock")
        if deadline > self.now:
            self._seen_quiet.clear()
            self._seen.clear()
        elif not self._pending:
            return
        self._exchange([], until=deadline)

    def ask(self, host: int, request: Mapping[str, Any]) -> None:
        """Hand a request to an agent; what is there at once is fed to its channel."""
        if self._gathered is not None:
            self._gathered.append([host, request])
        elif not (self._remembered(host, request) or self._seen_just_now(host, request)):
            self._ask([[host, request]])

    @contextlib.contextmanager
    def gathered(self) -> Iterator[None]:
        """Let all that is asked meanwhile be one exchange, at the end."""
        self._gathered = []
        try:
            yield
            requests = self._gathered
        finally:
            self._gathered = None
        if requests:
            self._ask(requests)

    def _ask(self, requests: Sequence[Any]) -> None:
        asked_at = self.now
        replies = {
            (host, reply["id"]): reply for host, reply in self._exchange(requests, until=None)
        }
        for host, request in requests:
            self._note(asked_at, host, request, replies.get((host, request["id"]), {}))

    def _remembered(self, host: int, request: Mapping[str, Any]) -> bool:
        """Answer the question for sysctls that are all known; tell whether it was one."""
        known = self._sysctls[host]
        if request["op"] != "sysctls" or not known.keys() >= set(request["names"]):
            return False
        value = {name: known[name] for name in request["names"]}
        times = {"began": self.now, "at": self.now}
        self.channels[host].feed({"id": request["id"], "value": value, "error": None} | times)
        return True

    def _seen_just_now(self, host: int, request: Mapping[str, Any]) -> bool:
        """Answer again what was looked at since the last wait, if nothing was done since."""
        seen = self._seen.get(_question(host, request))
        if seen is None:
            return False
        self.channels[host].feed({**seen, "id": request["id"]})
        return True

    def _note(
        self, asked_at: float, host: int, request: Mapping[str, Any], reply: Mapping[str, Any]
    ) -> None:
        """Remember a sysctl, or what was looked at, and until when that stays true."""
        operation = request["op"]
        if operation not in _LOOKS:
            self._seen.clear()
        elif reply:
            self._seen[_question(host, request)] = reply
        if operation == "sysctl" and reply.get("error") is None and "value" in reply:
            self._sysctls[host][request["name"]] = reply["value"]
        if operation == "sysctls":
            self._sysctls[host] |= reply.get("value") or {}
        if operation == "table":
            quiet = self._wheels[host].quiet_until(asked_at, reply.get("value") or ())
            self._seen_quiet.append(min(quiet, asked_at + LOOK))
        elif operation not in _STEADY:
            self._seen_quiet.append(asked_at)

    def _exchange(self, requests: Sequence[Any], *, until: float | None) -> list[Any]:
        frames, self._pending = self._pending, []
        lasting = max(0.0, (until or self.now) - self.now)
        wish = {"frames": frames, "requests": list(requests), "until": until}
        answer = self.machine.exchange(wish, lasting=lasting)
        try:
            self._take(answer)
        except (KeyError, TypeError, ValueError) as error:
            raise HarnessError(f"the guest answers what is no answer: {error!r}") from error
        replies: list[Any] = answer["replies"]
        for number, reply in replies:
            self.channels[number].feed(reply)
        return replies

    def _take(self, answer: Mapping[str, Any]) -> None:
        self.now = max(self.now, float(answer["now"]))
        self.lost = int(answer["lost"])
        if answer["captured"]:
            self._seen.clear()
        for stamp, sent, octets in answer["captured"]:
            self.captured.append(Frame(float(stamp), bool(sent), base64.b64decode(octets)))


def _question(host: int, request: Mapping[str, Any]) -> str:
    """Return what tells one question from another."""
    return json.dumps([host, {key: value for key, value in request.items() if key != "id"}])


def _asking(wire: Wire, host: int) -> Any:
    def ask(request: dict[str, Any]) -> Sequence[object]:
        wire.ask(host, request)
        return ()

    return ask
