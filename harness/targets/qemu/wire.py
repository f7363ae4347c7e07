"""Wire: the clock, the link and the agents of a machine, all of which are one exchange.

The machine's time passes only while the harness waits or asks. A wait is one step, however long: it
ends at the deadline, or where a frame has left a stack or a call has ended, so that the peer
reacts `REACTION` seconds of the machine's time later at most, near documented instants and far from
them. What was sent meanwhile arrives when the next step begins.
"""

import base64
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError
from harness.targets.channel import AgentChannel
from harness.targets.qemu.machine import Machine
from harness.wire.link import Frame
from harness.wire.real import Heartbeat

REACTION = 0.005
"""Seconds of the machine's time within which the peer has seen a frame, and may have answered."""


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
    """One machine, `hosts` stacks in it, and what passes between them and the harness."""

    def __init__(self, machine: Machine, now: float, hosts: int, *, name: str) -> None:
        self.machine = machine
        self.now = now
        self.lost = 0
        self.deaf = hosts > 1
        self.captured: deque[Frame] = deque()
        self.clock = MachineClock(self)
        self.link = MachineLink(self)
        self._pending: list[str] = []
        self._seen_quiet: list[float] = []
        self.channels: Sequence[AgentChannel] = tuple(
            AgentChannel(_asking(self, number), self.clock, name=name) for number in range(hosts)
        )

    @property
    def quiet_until(self) -> float:
        """A time before which nothing can happen that was looked at since the last wait."""
        return min(self._seen_quiet, default=math.inf)

    def send(self, octets: bytes) -> None:
        """Have a frame arrive at the stack when the next exchange begins."""
        if not self.deaf:
            self._pending.append(base64.b64encode(octets).decode())

    def advance(self, deadline: float) -> None:
        """Let time pass until something happens, or to the deadline."""
        if math.isinf(deadline):
            raise HarnessError("a wait without deadline on a virtual clock")
        if deadline > self.now:
            self._seen_quiet.clear()
        elif not self._pending:
            return
        self._exchange([], until=deadline)

    def ask(self, host: int, request: Mapping[str, Any]) -> None:
        """Hand a request to an agent; what is there at once is fed to its channel."""
        asked_at = self.now
        replies = self._exchange([[host, request]], until=None)
        table = request.get("op") == "table"
        rows = [reply.get("value") for _, reply in replies if reply.get("id") == request["id"]]
        self._seen_quiet += [quiet_after(asked_at, each) if table else asked_at for each in rows]

    def _exchange(self, requests: list[Any], *, until: float | None) -> list[Any]:
        frames, self._pending = self._pending, []
        lasting = max(0.0, (until or self.now) - self.now)
        wish = {"frames": frames, "requests": requests, "until": until}
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
        for stamp, sent, octets in answer["captured"]:
            self.captured.append(Frame(float(stamp), bool(sent), base64.b64decode(octets)))


def quiet_after(asked_at: float, table: Any) -> float:
    """Return when the first timer of a state table ends at the earliest: none of Linux is early."""
    left = [row["expires"] / 1000 for row in table or () if row["timer"] != "none"]
    return asked_at + min(left, default=math.inf)


def _asking(wire: Wire, host: int) -> Any:
    def ask(request: dict[str, Any]) -> Sequence[object]:
        wire.ask(host, request)
        return ()

    return ask
