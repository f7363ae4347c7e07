"""Containers: the running kernel as a target, in containers of a Docker engine.

A container stays for many testcases of one process of the run: starting one takes about 0.4 s, and
the engine's processor time would disturb what else is being measured; cleaning one takes a tenth
of that. Where cleaning is not enough, it is replaced.
"""

import contextlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import HarnessError, Inconclusive, UsageError
from harness.targets import firewall, image, network
from harness.targets.channel import answered
from harness.targets.container import Container, creation_sysctls
from harness.targets.docker import PING_TIMEOUT, TIMEOUT, Engine, Reaper, Started, provide
from harness.targets.driver import Capability, Channel, Facts, Host, Settings
from harness.targets.guardian import Guardian
from harness.targets.namespace import Namespace, write_sysctls
from harness.targets.privilege import mapped_alone, privileged
from harness.targets.stage import Stage, join, places
from harness.targets.world import RealWorld
from harness.wire.real import RealClock

NAME = "docker"

_HELLO_WITHIN = 30.0

# Of most workers the first testcase is long and needs a pair; nothing is started beside it.
_READY = 2


@dataclass(slots=True, kw_only=True)
class DockerWorld(RealWorld):
    """A bench of this process's, and containers on its link, which outlive it."""

    bench: Namespace
    containers: Sequence[Container]

    def console(self) -> str:
        """Return what the containers wrote to their standard error."""
        return "\n".join(one.said for one in self.containers if one.said)


class DockerDriver:
    """The running kernel, in Docker containers. One instance serves one process of the run."""

    privileged = True

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._engine: Engine | None = None
        self._reaper: Reaper | None = None
        self._source = ""
        self._foreign = False
        self._rules: list[tuple[str, list[str]]] = []
        self._idle: list[Container] = []
        self._dead: str | None = None

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""
        return engine_missing()

    def start(self, settings: Settings) -> Facts:
        """Build the image if need be and tell the facts; UsageError for bad settings."""
        try:
            return self._start(settings)
        except BaseException:
            self.stop()
            raise

    def _start(self, settings: Settings) -> Facts:
        self._stage = Stage(settings)
        self._engine = Engine()
        wanted = settings.options.get("docker-image")
        self._foreign = wanted is not None
        try:
            self._source = wanted or image.name()
            provide(self._engine, wanted)
            self._reaper = Reaper()
            # Containers stay where this process does.
            self._stage.stay()
            facts = self._survey(settings)
            while len(self._idle) < _READY:
                self._idle.append(self._container())
        except UsageError:
            raise
        except (HarnessError, Inconclusive) as error:
            raise UsageError(explained(self._source, str(error))) from error
        return facts

    def _survey(self, settings: Settings) -> Facts:
        assert self._stage is not None
        scratch = Namespace.create()
        try:
            facts = self._stage.survey(NAME, scratch, frozenset(Capability))
        finally:
            scratch.close()
        first = self._container()
        self._idle.append(first)
        return replace(facts, capabilities=self._try(first, settings.firewall))

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> DockerWorld:
        """Make a world of one container or two, tuned: user's before `knobs` before tuned values.

        Inconclusive if the engine gives no container; HarnessError if the kernel refuses anything.
        """
        if self._stage is None:
            raise HarnessError("the driver has not been started")
        writes = self._stage.writes(knobs)
        containers: list[Container] = []
        try:
            while len(containers) < 1 + pair:
                containers.append(self._take())
            bench = Namespace.create()
        except BaseException as error:
            self._idle += containers
            if isinstance(error, OSError):
                raise HarnessError(f"no world could be made: {error}") from error
            raise
        world = DockerWorld(RealClock(), bench=bench, containers=containers)
        world.ends.callback(self._give_back, world)
        try:
            guardian = self._stage.guardian
            world.ends.callback(guardian.release, guardian.hold(bench.descriptor))
            stacks = [one.namespace for one in containers]
            join(world.clock, bench, stacks, lambda: write_sysctls(writes), world.capture)
            for one, where in zip(containers, places(len(stacks)), strict=True):
                channel = one.channel(world.clock, NAME)
                world.ends.callback(channel.close)
                world.ends.callback(channel.reset)
                world.hosts = (*world.hosts, Host(channel, where.addresses, where.mac))
                set_rules(channel, world.clock, self._rules)
        except OSError as error:
            self._spoil(world)
            raise HarnessError(f"no world could be made: {error}") from error
        except BaseException:
            self._spoil(world)
            raise
        return world

    def stop(self) -> None:
        """Remove every container and give everything back; a second call does nothing."""
        while self._idle:
            self._idle.pop().end()
        if self._engine is not None:
            if self._reaper is not None:
                with contextlib.suppress(HarnessError):
                    self._engine.clear(self._reaper.label)
            self._engine.close()
            self._engine = None
        if self._reaper is not None:
            self._reaper.dismiss()
            self._reaper = None
        if self._stage is not None:
            self._stage.stop()
            self._stage = None

    def _take(self) -> Container:
        if self._idle:
            return self._idle.pop()
        if self._dead:
            raise Inconclusive(self._dead)
        assert self._stage is not None
        began = time.monotonic()
        try:
            return self._container()
        except HarnessError as error:
            if time.monotonic() - began >= TIMEOUT:
                # Nobody waits a second time for an engine that hangs.
                self._dead = str(error)
            raise Inconclusive(str(error)) from error

    def _container(self) -> Container:
        assert self._engine is not None
        assert self._stage is not None
        assert self._reaper is not None
        started = self._engine.start(
            self._source,
            creation_sysctls(self._stage.writes()),
            self._reaper.label,
            foreign=self._foreign,
        )
        return held(started, self._source, self._stage.guardian, self._engine)

    def _try(self, first: Container, rules: Sequence[str]) -> frozenset[Capability]:
        """Talk to a container for the first time; UsageError if its agent or a rule is no good."""
        clock = RealClock()
        channel = first.channel(clock, NAME)
        try:
            answered(channel.request("hello"), clock, name=NAME, within=_HELLO_WITHIN)
            program = channel.request("iptables", family="ipv4", arguments=["--version"])
            answered(program, clock, name=NAME, within=_HELLO_WITHIN)
            if program.error is None:
                self._rules = list(accepted(channel, clock, rules))
            elif rules:
                raise UsageError(f"--firewall: {self._source} has no iptables that works")
        finally:
            channel.close()
            clock.close()
        if not rules:
            # Its version was all that it was asked for.
            first.marked = ""
            return frozenset(Capability) - ({Capability.FIREWALL} if program.error else set())
        self._idle.remove(first)
        first.end()
        return frozenset(Capability)

    def _spoil(self, world: DockerWorld) -> None:
        for one in world.containers:
            one.marked = "half a world"
        world.close()

    def _give_back(self, world: DockerWorld) -> None:
        """Clean the containers of a world that has ended; those that stay marked are ended."""
        with contextlib.suppress(OSError):
            network.disconnect(world.bench)
        world.bench.close()
        for one in world.containers:
            try:
                left = one.clean()
            except OSError as error:
                left = str(error)
            if left is None:
                self._idle.append(one)
            else:
                one.end()


def engine_missing() -> str | None:
    """Say in one line why no container of an engine on this kernel can be linked, or None."""
    if platform.system() != "Linux":
        return f"this kernel is {platform.system()}, not Linux"
    if not privileged() or mapped_alone():
        return "links into containers can only be made by root: run as root"
    try:
        engine = Engine(timeout=PING_TIMEOUT)
    except UsageError as error:
        return str(error)
    try:
        kernel = engine.kernel()
    except HarnessError as error:
        return str(error)
    finally:
        engine.close()
    if kernel != platform.release():
        return (
            f"the Docker engine at {engine.place} runs on another kernel ({kernel}, not "
            f"{platform.release()}): run tcpspec where the engine runs"
        )
    return None


def held(started: Started, source: str, guardian: Guardian, engine: Engine) -> Container:
    """Hold a container that was started; HarnessError if it is not within reach."""
    if not started.pid:
        started.stream.close()
        raise HarnessError(f"a container of {source} ends at once: {image.COMMAND[0]}?")
    try:
        return Container(
            started.pid, started.stream, guardian, gone=engine.condition, name=started.id
        )
    except OSError as error:
        started.stream.close()
        raise HarnessError(
            f"a container of {source} is not within reach ({error.strerror}): it has "
            f"ended, or the engine's processes are not this machine's"
        ) from error


def set_rules(
    channel: Channel, clock: RealClock, rules: Sequence[tuple[str, Sequence[str]]]
) -> None:
    """Set rules, by family, that were once accepted; HarnessError if they are refused now."""
    for family, words in rules:
        reply = channel.request("iptables", family=family, arguments=list(words))
        answered(reply, clock, name=NAME)
        if reply.error is not None:
            raise HarnessError(f"iptables {' '.join(words)}: {reply.value or reply.error}")


def accepted(
    channel: Channel, clock: RealClock, rules: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    """Set each rule for IPv4 and IPv6; give those that were taken. UsageError if neither takes."""
    for rule in rules:
        words = firewall.words(rule)
        complaints = []
        for family in ("ipv4", "ipv6"):
            reply = channel.request("iptables", family=family, arguments=words)
            answered(reply, clock, name=NAME)
            if reply.error is None:
                yield family, words
            else:
                complaints.append(str(reply.value or reply.error))
        if len(complaints) == 2:
            raise UsageError(f"the firewall rule {rule!r} is refused: {complaints[0]}")


def explained(source: str, said: str) -> str:
    """Make one line of what went wrong with an image."""
    if "executable file not found" in said or "no such file or directory" in said:
        return f"the image {source} has no python3: name one that has, with --docker-image"
    return " ".join(said.split())[:300]
