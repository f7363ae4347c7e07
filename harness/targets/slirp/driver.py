"""Driver: libslirp as a target in virtual time, in a process of its own for each testcase."""

import base64
import contextlib
import ctypes
import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError, Inconclusive, UsageError
from harness.targets.channel import AgentChannel, AgentReply
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.guardian import Guardian
from harness.targets.namespace import Namespace
from harness.targets.network import PEER_ADDRESSES, TARGET_ADDRESSES
from harness.targets.nursery import Child, Nursery
from harness.targets.privilege import refusal
from harness.targets.slirp.library import NAME as LIBRARY
from harness.wire.link import Link
from harness.wire.memory import DELAY, MemoryLink, VirtualClock, memory_pair

NAME = "slirp"

BEGIN = 1000.0
"""Seconds on the virtual clock when a world begins: no host has just been started."""

LOOK = 3 * DELAY
"""Seconds that a look at the state table takes, in which arrives what was sent before."""

_MODULE = "harness.targets.slirp.process"
# The slow timer of Berkeley's TCP, by which all others are counted.
_TICK = 0.5
_ANSWER_WITHIN = 10.0
_PLACES = {
    **TARGET_ADDRESSES,
    "guest": PEER_ADDRESSES["ipv4"],
    "guest6": PEER_ADDRESSES["ipv6"],
    "nameserver": "198.51.100.3",
    "nameserver6": "2001:db8::3",
}
# It makes its addresses on the link of what its addresses are.
_MAC = "52:55:" + ":".join(f"{part:02x}" for part in socket.inet_aton(TARGET_ADDRESSES["ipv4"]))
_CAPABILITIES = frozenset({Capability.ACTIVE_OPEN, Capability.PASSIVE_OPEN, Capability.STATE_TABLE})


class Stack:
    """The stack at one end of a link, in a process that is moved in lock-step with its clock."""

    def __init__(self, clock: VirtualClock, end: MemoryLink, child: Child) -> None:
        self._clock = clock
        self._end = end
        self._child = child
        self._lines = child.stream.makefile("rwb")
        self._wakes: list[float] = []
        self._channel = AgentChannel(self._ask, clock, name=NAME)
        child.stream.settimeout(_ANSWER_WITHIN)
        end.listen(self._arrived)

    def request(self, operation: str, **arguments: Any) -> AgentReply:
        """Ask for an operation; completion comes while the clock waits."""
        if operation != "table":
            return self._channel.request(operation, **arguments)
        reply = AgentReply(operation, self._clock.now())
        self._clock.at(self._clock.now() + LOOK, lambda: self._look(reply))
        return reply

    def close(self) -> None:
        """Let go of the process, which ends it; a second call does nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._lines.close()

    def _look(self, reply: AgentReply) -> None:
        found = self._channel.request(reply.operation)
        reply.value, reply.error, reply.ended = found.value, found.error, self._clock.now()

    def _ask(self, request: dict[str, Any]) -> Sequence[object]:
        return self._step({"request": request})

    def _arrived(self) -> None:
        frames = []
        while (frame := self._end.poll()) is not None:
            if not frame.sent:
                frames.append(base64.b64encode(frame.octets).decode("ascii"))
        self._feed(self._step({"frames": frames}))

    def _wake(self, due: float) -> None:
        self._wakes.remove(due)
        self._feed(self._step({}))

    def _feed(self, replies: Sequence[object]) -> None:
        for reply in replies:
            self._channel.feed(reply)

    def _step(self, said: dict[str, Any]) -> Sequence[object]:
        """Have the process do something now; return the replies of its agent."""
        try:
            self._lines.write(json.dumps({"now": self._clock.now(), **said}).encode() + b"\n")
            self._lines.flush()
            line = self._lines.readline()
        except TimeoutError:
            raise self._channel.fail("does not answer", kind=Inconclusive) from None
        except (OSError, ValueError):
            line = b""
        if not line:
            raise self._channel.fail(f"has ended: {self._child.why()}", kind=Inconclusive)
        answer = json.loads(line)
        for frame in answer["frames"]:
            self._end.send(base64.b64decode(frame))
        due = float(answer["wake"])
        # A time that was set stays: the slow timer ticks when it was to, whatever came in between.
        if not any(now_set <= due for now_set in self._wakes):
            self._wakes.append(due)
            self._clock.at(due, lambda: self._wake(due))
        found: Sequence[object] = answer["replies"]
        return found


@dataclass(slots=True)
class SlirpWorld:
    """A virtual clock, a link on it, and the stack's process in a namespace of its own."""

    clock: VirtualClock
    link: Link
    hosts: Sequence[Host]
    child: Child
    stack: Stack
    guardian: Guardian
    namespace: tuple[int, Namespace]
    _closed: bool = field(default=False)

    def console(self) -> str:
        """Return what the library printed, and by what its process was ended."""
        return "" if self._closed else self.child.console()

    def close(self) -> None:
        """End everything that this world holds; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        number, namespace = self.namespace
        with contextlib.ExitStack() as end:
            end.callback(self.guardian.release, number)
            end.callback(namespace.close)
            end.callback(self.child.close)
            end.callback(self.stack.close)
            end.callback(self.link.close)


class SlirpDriver:
    """Libslirp. One instance serves one process of the run, from `start` to `stop`."""

    privileged = True

    def __init__(self) -> None:
        self._nursery: Nursery | None = None
        self._guardian: Guardian | None = None

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""
        try:
            ctypes.CDLL(LIBRARY)
        except OSError:
            return f"{LIBRARY} is not installed: apt-get install libslirp0"
        return refusal()

    def start(self, settings: Settings) -> Facts:
        """Try the stack once and tell the facts; UsageError for settings that it does not have."""
        if settings.sysctls:
            raise UsageError(f"{NAME} has no sysctl {next(iter(settings.sysctls))}: leave it out")
        if settings.firewall:
            raise UsageError(f"{NAME} has no firewall: leave --firewall out")
        self._guardian = Guardian()
        self._nursery = Nursery(_MODULE)
        try:
            world = self.world()
            try:
                version = str(world.stack.request("hello").value["system"][0])
            finally:
                world.close()
        except (HarnessError, Inconclusive) as error:
            self.stop()
            raise UsageError(f"{NAME} does not run here: {error}") from error
        except BaseException:
            self.stop()
            raise
        return Facts(
            name=NAME,
            stack="slirp",
            version=version,
            tick=_TICK,
            virtual=True,
            capabilities=_CAPABILITIES,
        )

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> SlirpWorld:
        """Make a fresh world; there are no knobs. HarnessError if the kernel refuses any of it."""
        del knobs
        if self._nursery is None or self._guardian is None:
            raise HarnessError("the driver has not been started")
        if pair:
            raise HarnessError(f"{NAME} has no {Capability.PAIR}")
        try:
            namespace = Namespace.create()
        except OSError as error:
            raise HarnessError(f"no world could be made: {error}") from error
        number = self._guardian.hold(namespace.descriptor)
        try:
            child = self._nursery.fork(namespace, {"places": _PLACES})
        except BaseException:
            self._guardian.release(number)
            namespace.close()
            raise
        clock = VirtualClock(BEGIN)
        near, far = memory_pair(clock)
        stack = Stack(clock, far, child)
        host = Host(stack, TARGET_ADDRESSES, _MAC)
        return SlirpWorld(clock, near, (host,), child, stack, self._guardian, (number, namespace))

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
