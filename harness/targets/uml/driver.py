"""Driver: a user-mode-linux kernel as a target.

A process of the run has one guest, which boots in one to four seconds and serves all of its
testcases: each has a network namespace of its own in there, made in a twentieth of that. A guest of
its own for each testcase would wait for its boot more than for TCP; one guest for all processes of
the run would put their testcases one behind the other on its only processor, and one that dies
would take all with it.
"""

import contextlib
import difflib
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import HarnessError, Inconclusive, UsageError
from harness.targets import firewall, network, tap
from harness.targets.channel import AgentReply, answered
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.kernels import Kernel
from harness.targets.knobs import load
from harness.targets.namespace import Namespace
from harness.targets.privilege import refusal
from harness.targets.stage import Stage, places
from harness.targets.sysctls import BESIDE
from harness.targets.uml.machine import Line, Machine
from harness.targets.world import RealWorld
from harness.wire.packet_socket import PacketSocketLink
from harness.wire.real import RealClock

_TICK = 0.01
_OPENED_WITHIN = 15.0
_SHUT_WITHIN = 6.0
_IPV6 = "net.ipv6.conf.all.disable_ipv6"
_PROBE = ("-A INPUT -p tcp --dport 1 -j DROP", "-D INPUT -p tcp --dport 1 -j DROP")
_TAPS = (network.CLIENT_PORT, network.SERVER_PORT)


@dataclass(slots=True, kw_only=True)
class UmlWorld(RealWorld):
    """A link to a guest, which outlives it, and stacks in it."""

    machine: Machine
    control: Line
    lines: list[Line] = field(default_factory=list)

    def console(self) -> str:
        """Return the last that the guest printed."""
        return self.machine.console()


class UmlDriver:
    """A user-mode-linux kernel. One instance serves one process of the run."""

    def __init__(self, name: str, kernel: Kernel) -> None:
        self._name = name
        self._kernel = kernel
        self._stage: Stage | None = None
        self._bench: Namespace | None = None
        self._number = 0
        self._machine: Machine | None = None
        self._facts: Facts | None = None
        self._rules: list[tuple[str, list[str]]] = []

    def start(self, settings: Settings) -> Facts:
        """Boot a guest and tell the facts; UsageError for bad settings."""
        try:
            return self._start(settings)
        except BaseException:
            self.stop()
            raise

    def _start(self, settings: Settings) -> Facts:
        self._stage = Stage(settings)
        # A guest stays where this process does: frames keep their order.
        self._stage.stay()
        try:
            self._bench = Namespace.create()
            self._number = self._stage.guardian.hold(self._bench.descriptor)
            for name in _TAPS:
                tap.make(self._bench, name)
            world = self._world(1, {})
        except (OSError, HarnessError, Inconclusive) as error:
            raise UsageError(f"{self._name} does not start: {error}") from error
        try:
            self._facts = self._survey(world)
            line = world.lines[0]
            if settings.firewall and Capability.FIREWALL not in self._facts.capabilities:
                raise UsageError(f"--firewall: {self._name} has no iptables that works")
            self._rules = firewall.accepted_inside(
                line, world.clock, settings.firewall, name=self._name
            )
        finally:
            world.close()
        return self._facts

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> UmlWorld:
        """Make a world of one stack or two, tuned: user's before `knobs` before tuned values.

        HarnessError or Inconclusive if there is no guest that makes it.
        """
        if self._stage is None or self._facts is None:
            raise HarnessError("the driver has not been started")
        try:
            world = self._world(1 + pair, self._stage.writes(knobs))
        except OSError as error:
            raise HarnessError(f"no world could be made: {error}") from error
        try:
            for line in world.lines:
                for family, words in self._rules:
                    line.ask("iptables", family=family, arguments=words)
        except BaseException:
            world.close()
            raise
        return world

    def stop(self) -> None:
        """End the guest and give everything back; a second call does nothing."""
        if self._machine is not None:
            self._machine.end()
            self._machine = None
        if self._bench is not None:
            self._bench.close()
            self._bench = None
        if self._stage is not None:
            self._stage.guardian.release(self._number)
            self._stage.stop()
            self._stage = None

    def _spoil(self, machine: Machine) -> None:
        """End a guest; the next world has a fresh one."""
        if machine is self._machine:
            machine.end()
            self._machine = None

    def _shut(self, world: UmlWorld) -> None:
        """Have the guest take its stacks down."""
        try:
            world.control.ask("shut", within=_SHUT_WITHIN)
        except (HarnessError, Inconclusive):
            # What cannot be cleaned is not used again.
            self._spoil(world.machine)

    def _give_back(self, world: UmlWorld) -> None:
        """Take back the link of a world that has ended."""
        if world.machine is self._machine:
            world.machine.drain()
        if self._bench is not None and len(world.hosts) > 1:
            with contextlib.suppress(OSError):
                network.part(self._bench)

    def _guest(self) -> Machine:
        assert self._bench is not None
        if self._machine is not None and not self._machine.running:
            self._spoil(self._machine)
        if self._machine is None:
            self._machine = Machine(self._kernel, self._bench, _TAPS)
            try:
                self._machine.wait()
            except BaseException:
                self._spoil(self._machine)
                raise
        return self._machine

    def _world(self, count: int, writes: Mapping[str, str]) -> UmlWorld:
        machine = self._guest()
        clock = RealClock()
        world = UmlWorld(clock, machine=machine, control=machine.line(0, clock))
        world.ends.callback(self._give_back, world)
        world.ends.callback(world.control.close)
        try:
            self._open(world, count, writes)
            world.ends.callback(self._shut, world)
        except BaseException:
            self._spoil(machine)
            world.close()
            raise
        return world

    def _open(self, world: UmlWorld, count: int, writes: Mapping[str, str]) -> None:
        assert self._bench is not None
        world.control.synchronise(samples=1)
        where = places(count)
        if count > 1:
            network.meet(self._bench, _TAPS)
        with self._bench.entered():
            link = PacketSocketLink(world.clock, _TAPS[0])
        world.capture(link)
        opened = world.control.request(
            "open",
            stacks=[
                {
                    "line": 1 + number,
                    "device": number,
                    "mac": one.mac,
                    "addresses": dict(one.addresses),
                }
                for number, one in enumerate(where)
            ],
            ground=dict(network.STACK_SYSCTLS),
            sysctls=dict(writes),
        )
        deadline = world.clock.now() + _OPENED_WITHIN
        while not opened.finished() and world.clock.now() < deadline:
            # A frame that arrives tells a stack that its link is open; two tell each other.
            if count == 1:
                link.knock()
            world.clock.wait(world.clock.now() + 0.005)
        answered(opened, world.clock, name=self._name, within=0.0)
        if opened.error is not None:
            raise HarnessError(f"the guest of {self._name} makes no stack: {opened.value}")
        for number, one in enumerate(where):
            line = world.machine.line(1 + number, world.clock)
            world.ends.callback(line.close)
            world.lines.append(line)
            line.synchronise()
            world.hosts = (*world.hosts, Host(line, one.addresses, one.mac))

    def _survey(self, world: UmlWorld) -> Facts:
        """Try the user's settings in a scratch stack; UsageError for bad ones."""
        assert self._stage is not None
        line = world.lines[0]
        names = [*BESIDE, *self._stage.names, _IPV6]
        before = line.ask("survey", names=names)
        defaults = self._stage.meet(before)
        for name, value in self._stage.writes().items():
            reply = line.request("sysctl", name=name, value=value)
            answered(reply, world.clock, name=self._name)
            if reply.error is not None and name in self._stage.asked:
                raise UsageError(f"--sysctl {name}={value}: {_complaint(name, reply, before)}")
        after = line.ask("survey", names=[*names, *self._stage.asked])
        families = ("ipv4", "ipv6") if _IPV6 in after else ("ipv4",)
        return Facts(
            name=self._name,
            stack="linux",
            version=self._kernel.version,
            tick=_TICK,
            wheel=True,
            capabilities=frozenset(Capability) - self._lacking(line, world.clock),
            families=families,
            defaults=defaults,
            effective=load().values(after),
            fixed=self._stage.fixed,
            sysctls=after,
        )

    def _lacking(self, line: Line, clock: RealClock) -> frozenset[Capability]:
        """Try a rule: netfilter is in modules, and its program is the host's."""
        for rule in _PROBE:
            reply = line.request("iptables", family="ipv4", arguments=firewall.words(rule))
            answered(reply, clock, name=self._name)
            if reply.error is not None:
                return frozenset({Capability.FIREWALL})
        return frozenset()


def missing_here() -> str | None:
    """Say in one line why no guest can be had here, or None."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return f"user-mode-linux runs on Linux on x86_64, not {platform.system()}"
    return refusal() or tap.missing()


def _complaint(name: str, reply: AgentReply, before: Mapping[str, str]) -> str:
    if reply.error == "ENOENT":
        near = difflib.get_close_matches(name, before, n=3)
        return "no such sysctl" + (f"; did you mean {' or '.join(near)}?" if near else "")
    if reply.error in {"EACCES", "EPERM", "EROFS"}:
        return "cannot be set in a network namespace, only read"
    return f"the kernel refuses this value ({reply.value or reply.error})"
