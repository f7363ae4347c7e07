"""Driver: lwIP as a target, in a process and a namespace of its own for each testcase."""

import ctypes
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, Inconclusive, UsageError
from harness.targets import tap
from harness.targets.channel import StreamChannel, answered
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.guardian import Guardian
from harness.targets.lwip.library import MAC
from harness.targets.lwip.library import NAME as LIBRARY
from harness.targets.namespace import Namespace
from harness.targets.network import PEER_ADDRESSES, TARGET_ADDRESSES
from harness.targets.nursery import Child, Nursery
from harness.targets.privilege import refusal
from harness.targets.world import RealWorld
from harness.wire.packet_socket import PacketSocketLink, hold_stamps, stay_on_one_processor
from harness.wire.real import RealClock

NAME = "lwip"

_MODULE = "harness.targets.lwip.agent"
_TAP = "link"
_RUNS_WITHIN = 5.0
# The timers of a connection are counted by TCP_SLOW_INTERVAL.
_TICK = 0.5


@dataclass(slots=True)
class LwipWorld(RealWorld):
    """A namespace with a tap, and the stack's process at its end."""

    child: Child | None = None
    channel: StreamChannel | None = None

    def console(self) -> str:
        """Return what the library printed, and by what its process was ended."""
        return self.child.console() if self.child is not None else ""


class LwipDriver:
    """The lightweight IP stack. One instance serves one process of the run."""

    privileged = True

    def __init__(self) -> None:
        self._nursery: Nursery | None = None
        self._guardian: Guardian | None = None
        self._undo: list[Callable[[], object]] = []

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""
        try:
            ctypes.CDLL(LIBRARY)
        except OSError:
            return f"{LIBRARY} is not installed: apt-get install liblwip0"
        return refusal() or tap.missing()

    def start(self, settings: Settings) -> Facts:
        """Try the stack once and tell the facts; UsageError for settings that it does not have."""
        if settings.sysctls:
            raise UsageError(f"{NAME} has no sysctl {next(iter(settings.sysctls))}: leave it out")
        if settings.firewall:
            raise UsageError(f"{NAME} has no firewall: leave --firewall out")
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> Facts:
        self._undo = [hold_stamps().close, stay_on_one_processor()]
        self._guardian = Guardian()
        self._nursery = Nursery(_MODULE)
        try:
            world = self.world()
            try:
                path, table = _system(world)
            finally:
                world.close()
        except (HarnessError, Inconclusive) as error:
            raise UsageError(f"{NAME} does not run here: {error}") from error
        capabilities = {Capability.ACTIVE_OPEN, Capability.PASSIVE_OPEN}
        return Facts(
            name=NAME,
            stack="lwip",
            version=_version(path),
            tick=_TICK,
            capabilities=frozenset(capabilities | ({Capability.STATE_TABLE} if table else set())),
        )

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> LwipWorld:
        """Make a fresh world; there are no knobs. HarnessError if the kernel refuses any of it."""
        del knobs
        if self._nursery is None or self._guardian is None:
            raise HarnessError("the driver has not been started")
        if pair:
            raise HarnessError(f"{NAME} has no {Capability.PAIR}")
        world = LwipWorld(RealClock())
        try:
            self._fill(world, self._nursery, self._guardian)
        except OSError as error:
            world.close()
            raise HarnessError(f"no world could be made: {error}") from error
        except BaseException:
            world.close()
            raise
        return world

    @staticmethod
    def _fill(world: LwipWorld, nursery: Nursery, guardian: Guardian) -> None:
        namespace = Namespace.create()
        world.ends.callback(guardian.release, guardian.hold(namespace.descriptor))
        world.ends.callback(namespace.close)
        tap.make(namespace, _TAP)
        child = nursery.fork(
            namespace,
            {
                "tap": _TAP,
                "gateway": PEER_ADDRESSES["ipv4"],
                **TARGET_ADDRESSES,
            },
        )
        world.child = child
        world.ends.callback(child.close)
        world.channel = channel = StreamChannel(
            os.dup(child.stream.fileno()),
            os.dup(child.stream.fileno()),
            world.clock,
            name=NAME,
            lost=lambda why: Inconclusive(f"{why}: {child.why()}"),
        )
        world.ends.callback(channel.close)
        # It has the tap before it answers.
        answered(channel.request("hello"), world.clock, name=NAME)
        deadline = world.clock.now() + _RUNS_WITHIN
        while not tap.runs(namespace, _TAP):
            if world.clock.now() > deadline:
                raise HarnessError(f"a fresh tap does not run within {_RUNS_WITHIN} s")
            world.clock.wait(world.clock.now() + 0.001)
        with namespace.entered():
            world.capture(PacketSocketLink(world.clock, _TAP))
        world.hosts = (Host(channel, TARGET_ADDRESSES, MAC),)

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        while self._undo:
            self._undo.pop()()


def _system(world: LwipWorld) -> tuple[str, bool]:
    """Ask a stack where its library is, and whether its state table can be read."""
    assert world.channel is not None
    reply = world.channel.request("hello")
    answered(reply, world.clock, name=NAME)
    path, table = reply.value["system"]
    return str(path), bool(table)


def _version(path: str) -> str:
    """Ask the system's packages for the version: the library itself does not tell it."""
    try:
        done = subprocess.run(
            ["dpkg-query", "--show", "--showformat", "${Version}", "liblwip0"],
            check=False,
            capture_output=True,
            text=True,
        )
    except OSError:
        return Path(path).name
    found = re.match(r"(?:\d+:)?(\d+(?:\.\d+)*)", done.stdout)
    return found.group(1) if found else Path(path).name
