"""Netns: the running kernel as a target, in network namespaces of this process."""

import contextlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.targets import firewall, network
from harness.targets.agent import Agent
from harness.targets.channel import AgentChannel
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.guardian import Guardian
from harness.targets.namespace import Namespace, write_sysctls
from harness.targets.privilege import refusal
from harness.targets.stage import Stage, join, places
from harness.wire.packet_socket import PacketSocketLink
from harness.wire.real import RealClock

NAME = "netns"


@dataclass(slots=True)
class NetnsWorld:
    """Namespaces, the link between them, and an agent in each stack; closed piece by piece."""

    clock: RealClock
    guardian: Guardian
    hosts: Sequence[Host] = ()
    _link: PacketSocketLink | None = None
    _agents: list[Agent] = field(default_factory=list)
    _namespaces: list[tuple[int, Namespace]] = field(default_factory=list)
    _closed: bool = False

    @property
    def link(self) -> PacketSocketLink:
        """The link to the one stack; with two, a capture of all that passes between them."""
        assert self._link is not None
        return self._link

    def namespace(self) -> Namespace:
        """Return a fresh namespace that ends with this world."""
        fresh = Namespace.create()
        self._namespaces.append((self.guardian.hold(fresh.descriptor), fresh))
        return fresh

    def capture(self, link: PacketSocketLink) -> None:
        """Take over the link."""
        self._link = link

    def host(self, namespace: Namespace, where: network.Address) -> Host:
        """Return a stack, with an agent in this process."""
        agent = Agent(namespace.entered, self.clock.now)
        self._agents.append(agent)
        channel = AgentChannel(agent.handle, self.clock, name=NAME)

        def serve() -> bool:
            replies = agent.poll()
            for reply in replies:
                channel.feed(reply)
            return bool(replies)

        self.clock.watch(agent.fileno(), serve)
        return Host(channel, where.addresses, where.mac)

    def console(self) -> str:
        """Return nothing: what the running kernel prints is the host's."""
        return ""

    def close(self) -> None:
        """End everything that this world holds; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        # In reverse order, and all of it, whatever fails on the way.
        with contextlib.ExitStack() as end:
            end.callback(self.clock.close)
            for number, namespace in self._namespaces:
                end.callback(self.guardian.release, number)
                end.callback(namespace.close)
            if self._link is not None:
                end.callback(self._link.close)
            for agent in self._agents:
                end.callback(agent.close)
                end.callback(self.clock.unwatch, agent.fileno())


class NetnsDriver:
    """The running kernel. One instance serves one process of the run, from `start` to `stop`."""

    privileged = True

    def __init__(self) -> None:
        self._rules: Sequence[firewall.Command] = ()
        self._stage: Stage | None = None

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""
        if platform.system() != "Linux":
            return f"the running kernel is {platform.system()}, not Linux"
        if firewall.program("ipv4") is None:
            return "iptables is not installed: apt-get install iptables"
        return refusal()

    def start(self, settings: Settings) -> Facts:
        """Check the settings on a scratch stack and tell the facts; UsageError for bad ones."""
        try:
            return self._start(settings)
        except BaseException:
            self.stop()
            raise

    def _start(self, settings: Settings) -> Facts:
        # Several runs at once, or an ordinary user, must not wait for the host's lock.
        os.environ.setdefault("XTABLES_LOCKFILE", os.devnull)
        self._stage = Stage(settings)
        scratch = Namespace.create()
        try:
            facts = self._stage.survey(NAME, scratch, frozenset(Capability))
            with scratch.entered():
                self._rules = firewall.accepted(settings.firewall)
        finally:
            scratch.close()
        self._stage.stay()
        return facts

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> NetnsWorld:
        """Make a fresh world, its stacks tuned: user's sysctls before `knobs` before tuned values.

        HarnessError if the kernel refuses any of it.
        """
        if self._stage is None:
            raise HarnessError("the driver has not been started")
        writes = self._stage.writes(knobs)
        world = NetnsWorld(RealClock(), self._stage.guardian)

        def prepare() -> None:
            write_sysctls(writes)
            firewall.apply(self._rules)

        try:
            bench = world.namespace()
            stacks = [world.namespace() for _ in range(1 + pair)]
            join(world.clock, bench, stacks, prepare, world.capture)
            world.hosts = tuple(map(world.host, stacks, places(len(stacks))))
        except OSError as error:
            world.close()
            raise HarnessError(f"no world could be made: {error}") from error
        except BaseException:
            world.close()
            raise
        return world

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._stage is not None:
            self._stage.stop()
            self._stage = None
