"""Netns: the running kernel as a target, in network namespaces of this process."""

import contextlib
import os
import platform
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.errors import HarnessError
from harness.targets import firewall, network, sysctls
from harness.targets.agent import Agent
from harness.targets.channel import AgentChannel
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.guardian import Guardian
from harness.targets.knobs import Knobs, load
from harness.targets.namespace import Namespace, write_sysctls
from harness.targets.privilege import refusal
from harness.wire.packet_socket import (
    PacketSocketLink,
    dispose,
    hold_stamps,
    open_way,
    raw_socket,
    stay_on_one_processor,
)
from harness.wire.real import RealClock

NAME = "netns"

# Advances once a timer tick, so that its resolution is 1/HZ.
_CLOCK_MONOTONIC_COARSE = 6


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

    def __init__(self) -> None:
        self._knobs: Knobs = load("linux")
        self._asked: Mapping[str, str] = {}
        self._tuned: Mapping[str, float] = {}
        self._rules: Sequence[firewall.Command] = ()
        self._present: Mapping[str, str] = {}
        self._guardian: Guardian | None = None
        self._stamps: socket.socket | None = None
        self._move_again: Callable[[], None] | None = None

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
        self._stamps = hold_stamps()
        self._guardian = Guardian()
        self._asked = {sysctls.canonical(name): value for name, value in settings.sysctls.items()}
        self._tuned = self._knobs.tuned() if settings.tuned else {}
        bench, scratch = Namespace.create(), Namespace.create()
        try:
            network.connect_peer(bench, scratch)
            with scratch.entered():
                before = sysctls.effective(self._knobs.sysctls())
                write_sysctls(self._knobs.writes(self._tuned, before))
            sysctls.check(self._asked, scratch)
            with scratch.entered():
                after = sysctls.effective(self._knobs.sysctls())
                self._rules = firewall.accepted(settings.firewall)
        finally:
            scratch.close()
            bench.close()
        self._present = before
        self._move_again = stay_on_one_processor()
        return Facts(
            name=NAME,
            stack="linux",
            version=platform.release(),
            tick=time.clock_getres(_CLOCK_MONOTONIC_COARSE),
            wheel=True,
            capabilities=frozenset(Capability),
            families=network.families(),
            defaults=self._knobs.values(before),
            effective=self._knobs.values(after),
            fixed=frozenset(n for n, k in self._knobs.by_name.items() if k.sysctl in self._asked),
            sysctls=after,
        )

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> NetnsWorld:
        """Make a fresh world, its stacks tuned: user's sysctls before `knobs` before tuned values.

        HarnessError if the kernel refuses any of it.
        """
        if self._guardian is None:
            raise HarnessError("the driver has not been started")
        values = {**self._tuned, **(knobs or {})}
        writes = {**self._knobs.writes(values, self._present), **self._asked}
        world = NetnsWorld(RealClock(), self._guardian)
        try:
            if pair:
                self._two_stacks(world, writes)
            else:
                self._one_stack(world, writes)
        except OSError as error:
            world.close()
            raise HarnessError(f"no world could be made: {error}") from error
        except BaseException:
            world.close()
            raise
        return world

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._move_again is not None:
            self._move_again()
            self._move_again = None
        if self._guardian is not None:
            self._guardian.close()
            self._guardian = None
        if self._stamps is not None:
            self._stamps.close()
            self._stamps = None

    def _one_stack(self, world: NetnsWorld, writes: Mapping[str, str]) -> None:
        bench, target = world.namespace(), world.namespace()
        network.connect_peer(bench, target)
        with bench.entered():
            world.capture(PacketSocketLink(world.clock, network.LINK))
        far = self._stack(target, network.TARGET, writes)
        try:
            world.link.greet(far)
        finally:
            dispose(far)
        world.hosts = (world.host(target, network.TARGET),)

    def _two_stacks(self, world: NetnsWorld, writes: Mapping[str, str]) -> None:
        bench, client, server = (world.namespace() for _ in range(3))
        network.connect_pair(bench, client, server)
        with bench.entered():
            world.capture(PacketSocketLink(world.clock, network.CLIENT_PORT))
        ends = [self._stack(client, network.PEER, writes)]
        try:
            ends.append(self._stack(server, network.TARGET, writes))
            open_way(*ends)
        finally:
            dispose(*ends)
        world.hosts = (
            world.host(client, network.PEER),
            world.host(server, network.TARGET),
        )

    def _stack(
        self, namespace: Namespace, where: network.Address, writes: Mapping[str, str]
    ) -> socket.socket:
        """Set a stack up; return a packet socket at its interface."""
        network.configure_stack(namespace, where)
        with namespace.entered():
            write_sysctls(writes)
            firewall.apply(self._rules)
            return raw_socket(network.INTERFACE)
