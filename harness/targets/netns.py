"""Netns: the running kernel as a target, in network namespaces of this process."""

import os
import platform
from collections.abc import Mapping, Sequence

from harness.errors import HarnessError
from harness.targets import firewall, network
from harness.targets.agent import Agent
from harness.targets.channel import AgentChannel
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.guardian import Guardian
from harness.targets.namespace import Namespace, write_sysctls
from harness.targets.privilege import refusal
from harness.targets.stage import Stage, join, places
from harness.targets.world import RealWorld
from harness.wire.real import RealClock

NAME = "netns"


class NetnsWorld(RealWorld):
    """Namespaces, the link between them, and an agent in each stack."""

    def namespace(self, guardian: Guardian) -> Namespace:
        """Return a fresh namespace that ends with this world."""
        fresh = Namespace.create()
        self.ends.callback(guardian.release, guardian.hold(fresh.descriptor))
        self.ends.callback(fresh.close)
        return fresh

    def host(self, namespace: Namespace, where: network.Address) -> Host:
        """Return a stack, with an agent in this process."""
        agent = Agent(namespace.entered, self.clock.now)
        self.ends.callback(agent.close)
        channel = AgentChannel(agent.handle, self.clock, name=NAME)

        def serve() -> bool:
            replies = agent.poll()
            for reply in replies:
                channel.feed(reply)
            return bool(replies)

        self.clock.watch(agent.fileno(), serve)
        self.ends.callback(self.clock.unwatch, agent.fileno())
        return Host(channel, where.addresses, where.mac)


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
        world = NetnsWorld(RealClock())
        guardian = self._stage.guardian

        def prepare() -> None:
            write_sysctls(writes)
            firewall.apply(self._rules)

        try:
            bench = world.namespace(guardian)
            stacks = [world.namespace(guardian) for _ in range(1 + pair)]
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
