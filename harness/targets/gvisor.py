"""GVisor: its own TCP as a target, in containers of a Docker engine with the runtime runsc.

The stack takes over the interfaces that it finds when it starts. So a container of the running
kernel's holds the namespace; the link is laid into it first, then gVisor starts in a second
container that joins it. Nothing clears that stack of orphaned connections, and nothing tells
whether it has any: each testcase has a fresh one, and the next is started meanwhile.
"""

import contextlib
import os
import platform
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError, Inconclusive, UsageError
from harness.targets import image, network
from harness.targets.channel import StreamChannel, answered
from harness.targets.container import Container, Demultiplexer
from harness.targets.containers import accepted, engine_missing, explained, held, set_rules
from harness.targets.docker import PING_TIMEOUT, Engine, Reaper, Started, provide
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.namespace import Namespace
from harness.targets.stage import Stage, places
from harness.targets.world import RealWorld
from harness.wire.packet_socket import PacketSocketLink, dispose, open_way, raw_socket
from harness.wire.real import RealClock

NAME = "gvisor"

RUNTIMES = ("tcpspec-gvisor", "runsc")
"""The names under which an engine may know it; ours shows frames as they are on the wire."""

WRAPPER = Path(__file__).parents[2] / "containers" / "gvisor" / "runsc"

_VERSION = re.compile(r"\d{8}(?:\.\d+)*")
_CAPABILITIES = frozenset(Capability) - {Capability.FIREWALL}


class Sandbox:
    """A gVisor that runs, and its agent's stream; it ends with that stream."""

    def __init__(self, started: Started, gone: Callable[[], str]) -> None:
        """Hold it; OSError if its process is not there any more."""
        self._stream = started.stream
        self._gone = gone
        self._frames = Demultiplexer()
        self._process = os.pidfd_open(started.pid)

    @property
    def said(self) -> str:
        """The last that was written to its standard error."""
        return self._frames.said

    def channel(self, clock: RealClock) -> StreamChannel:
        """Return the way to its agent."""
        return StreamChannel(
            os.dup(self._stream.fileno()),
            os.dup(self._stream.fileno()),
            clock,
            name=NAME,
            unframe=self._frames,
            lost=lambda why: Inconclusive(f"{why}: {self._why()}"),
        )

    def end(self) -> None:
        """End it; a second call does nothing."""
        if self._process < 0:
            return
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        os.close(self._process)
        self._process = -1

    def _why(self) -> str:
        return " ".join(filter(None, (self._gone(), self.said.rpartition("\n")[2])))


class Starting:
    """A sandbox that is being started by a thread: the engine takes a while."""

    def __init__(self, start: Callable[[], Sandbox]) -> None:
        self._sandbox: Sandbox | None = None
        self._error: BaseException | None = None

        def run() -> None:
            try:
                self._sandbox = start()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                self._error = error

        self._thread = threading.Thread(target=run, name="gvisor", daemon=True)
        self._thread.start()

    def get(self) -> Sandbox:
        """Wait for it; Inconclusive if the engine does not give it."""
        self._thread.join()
        if self._sandbox is None:
            raise Inconclusive(str(self._error)) from self._error
        return self._sandbox

    def end(self) -> None:
        """End it, whatever became of it."""
        self._thread.join()
        if self._sandbox is not None:
            self._sandbox.end()


@dataclass(slots=True, eq=False)
class Plot:
    """Namespaces that are joined by a link, and the stacks that start in them."""

    bench: Namespace
    number: int
    holders: Sequence[Container]
    starting: list[Starting] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class GvisorWorld(RealWorld):
    """A plot that is in use."""

    plot: Plot
    sandboxes: list[Sandbox] = field(default_factory=list)
    channels: list[StreamChannel] = field(default_factory=list)

    def console(self) -> str:
        """Return what was written to the standard error of the containers."""
        return "\n".join(one.said for one in self.sandboxes if one.said)


class GvisorDriver:
    """GVisor in Docker containers. One instance serves one process of the run."""

    privileged = True

    def __init__(self) -> None:
        self._stage: Stage | None = None
        self._engine: Engine | None = None
        self._reaper: Reaper | None = None
        self._runtime = ""
        self._source = ""
        self._foreign = False
        self._rules: list[tuple[str, list[str]]] = []
        self._idle: list[Container] = []
        self._ready: list[Plot] = []

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""
        if (reason := engine_missing()) is not None:
            return reason
        try:
            engine = Engine(timeout=PING_TIMEOUT)
            try:
                found = _runtime(engine.runtimes())
            finally:
                engine.close()
        except HarnessError as error:
            return str(error)
        if found is None:
            return (
                f"the Docker engine does not know the runtime {RUNTIMES[0]}: apt-get install "
                f"runsc, then start it as `dockerd --add-runtime {RUNTIMES[0]}={WRAPPER}`"
            )
        return None

    def start(self, settings: Settings) -> Facts:
        """Build the image if need be and tell the facts; UsageError for bad settings."""
        try:
            return self._start(settings)
        except BaseException:
            self.stop()
            raise

    def _start(self, settings: Settings) -> Facts:
        self._stage = Stage(settings, stack=NAME)
        self._engine = Engine()
        wanted = settings.options.get("docker-image")
        self._foreign = wanted is not None
        try:
            runtime, program = _runtime(self._engine.runtimes()) or ("", "")
            self._runtime = runtime
            self._source = wanted or image.name()
            provide(self._engine, wanted)
            self._reaper = Reaper()
            # Containers stay where this process does.
            self._stage.stay()
            return self._survey(settings, _version(program))
        except UsageError:
            raise
        except (HarnessError, Inconclusive) as error:
            raise UsageError(explained(self._source, str(error))) from error

    def _survey(self, settings: Settings, version: str) -> Facts:
        assert self._stage is not None
        world = self._world(1)
        try:
            ask = _Asking(world)
            if ask.kernel() == platform.release():
                raise UsageError(f"the runtime {self._runtime} is not gVisor, but this kernel")
            before = ask.sysctls(self._stage.names)
            defaults = self._stage.meet(before)
            for name, value in self._stage.writes().items():
                ask.set(name, value)
            names = tuple({*self._stage.names, *self._stage.asked})
            after = ask.sysctls(names)
            firewall = ask.firewall()
            if settings.firewall and not firewall:
                raise UsageError("--firewall: iptables does not work in this gVisor")
            self._rules = list(accepted(world.channels[0], world.clock, settings.firewall))
        finally:
            world.close()
        return Facts(
            name=NAME,
            stack=NAME,
            version=version,
            capabilities=_CAPABILITIES | ({Capability.FIREWALL} if firewall else frozenset()),
            defaults=defaults,
            effective=self._stage.meet(after),
            fixed=frozenset(self._stage.fixed),
            sysctls=after,
            held_only=True,
        )

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> GvisorWorld:
        """Make a world of one stack or two, tuned: user's before `knobs` before tuned values.

        Inconclusive if the engine gives no container; HarnessError if the kernel refuses anything.
        """
        if self._stage is None:
            raise HarnessError("the driver has not been started")
        writes = self._stage.writes(knobs)
        world = self._world(1 + pair)
        try:
            for channel in world.channels:
                _set_sysctls(channel, world.clock, writes)
                set_rules(channel, world.clock, self._rules)
        except BaseException:
            world.close()
            raise
        return world

    def _world(self, count: int) -> GvisorWorld:
        """Make a world; what was made ready before, and has died since, is replaced once."""
        if self._ready and count == 1:
            with contextlib.suppress(Inconclusive):
                return self._opened(self._ready.pop())
        return self._opened(self._prepare(count))

    def _opened(self, plot: Plot) -> GvisorWorld:
        world = GvisorWorld(RealClock(), plot=plot)
        world.ends.callback(self._give_back, plot)
        try:
            self._open(world)
            if not self._ready:
                self._ready.append(self._prepare(1))
        except OSError as error:
            world.close()
            raise HarnessError(f"no world could be made: {error}") from error
        except BaseException:
            world.close()
            raise
        return world

    def _open(self, world: GvisorWorld) -> None:
        """Listen on the link, and talk to the stacks' agents for the first time."""
        holders = world.plot.holders
        port = network.LINK if len(holders) == 1 else network.CLIENT_PORT
        with world.plot.bench.entered():
            link = PacketSocketLink(world.clock, port)
        world.capture(link)
        with contextlib.ExitStack() as ends:
            raw = []
            for holder in holders:
                with holder.namespace.entered():
                    raw.append(raw_socket(network.INTERFACE))
                ends.callback(dispose, raw[-1])
            if len(raw) == 1:
                link.greet(raw[0])
            else:
                open_way(*raw)
        world.sandboxes = [one.get() for one in world.plot.starting]
        for sandbox, where in zip(world.sandboxes, places(len(holders)), strict=True):
            channel = sandbox.channel(world.clock)
            world.ends.callback(channel.close)
            world.channels.append(channel)
            world.hosts = (*world.hosts, Host(channel, where.addresses, where.mac))
            channel.synchronise()

    def _prepare(self, count: int) -> Plot:
        """Lay a link into containers, and have gVisor start in them."""
        assert self._stage is not None
        holders: list[Container] = []
        try:
            while len(holders) < count:
                holders.append(self._idle.pop() if self._idle else self._holder())
            bench = Namespace.create()
        except BaseException as error:
            self._idle += holders
            if isinstance(error, OSError):
                raise HarnessError(f"no world could be made: {error}") from error
            raise
        plot = Plot(bench, self._stage.guardian.hold(bench.descriptor), holders)
        try:
            spots = places(count)
            stacks = [one.namespace for one in holders]
            if count == 1:
                network.connect_peer(bench, *stacks)
                ways = [network.PEER_ADDRESSES]
            else:
                network.connect_pair(bench, *stacks)
                ways = [one.addresses for one in reversed(spots)]
            for stack, where, way in zip(stacks, spots, ways, strict=True):
                network.configure_stack(stack, where, gateway=way)
            plot.starting = [self._begin(one) for one in holders]
        except BaseException as error:
            self._give_back(plot)
            if isinstance(error, OSError):
                raise HarnessError(f"no world could be made: {error}") from error
            raise
        return plot

    def _holder(self) -> Container:
        assert self._engine is not None
        assert self._stage is not None
        assert self._reaper is not None
        started = self._engine.start(self._source, {}, self._reaper.label, foreign=self._foreign)
        return held(started, self._source, self._stage.guardian, self._engine)

    def _begin(self, holder: Container) -> Starting:
        assert self._reaper is not None
        label = self._reaper.label

        def start() -> Sandbox:
            # The thread has a connection of its own.
            engine = Engine()
            try:
                started = engine.start(
                    self._source,
                    {},
                    label,
                    foreign=self._foreign,
                    network=f"container:{holder.name}",
                    runtime=self._runtime,
                )
                try:
                    return Sandbox(started, engine.condition)
                except OSError as error:
                    started.stream.close()
                    raise HarnessError(f"gVisor ends at once: {error.strerror}") from error
            finally:
                engine.close()

        return Starting(start)

    def _give_back(self, plot: Plot) -> None:
        """End what is in the containers; those that hold the namespaces can be used again."""
        for one in plot.starting:
            one.end()
        with contextlib.suppress(OSError):
            network.disconnect(plot.bench)
        plot.bench.close()
        if self._stage is not None:
            self._stage.guardian.release(plot.number)
        self._idle += plot.holders

    def stop(self) -> None:
        """Remove every container and give everything back; a second call does nothing."""
        while self._ready:
            self._give_back(self._ready.pop())
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


class _Asking:
    """What is asked of a stack before any testcase runs."""

    def __init__(self, world: GvisorWorld) -> None:
        self._channel = world.channels[0]
        self._clock = world.clock

    def kernel(self) -> str:
        """Return the release that the stack's kernel says it is."""
        reply = self._channel.request("hello")
        answered(reply, self._clock, name=NAME)
        return str(reply.value["system"][2])

    def sysctls(self, names: Sequence[str]) -> dict[str, str]:
        """Return those that the stack has."""
        reply = self._channel.request("sysctls", names=list(names))
        answered(reply, self._clock, name=NAME)
        return {
            name: " ".join(str(text).split())
            for name, text in reply.value.items()
            if text is not None
        }

    def set(self, name: str, value: str) -> None:
        """Set one of the user's; UsageError if it cannot be."""
        reply = self._channel.request("sysctl", name=name, value=value)
        answered(reply, self._clock, name=NAME)
        if reply.error is not None:
            raise UsageError(f"--sysctl {name}={value}: gVisor refuses it ({reply.error})")

    def firewall(self) -> bool:
        """Tell whether rules of both families can be listed."""
        for family in ("ipv4", "ipv6"):
            reply = self._channel.request("iptables", family=family, arguments=["-S", "INPUT"])
            answered(reply, self._clock, name=NAME)
            if reply.error is not None:
                return False
        return True


def _set_sysctls(channel: StreamChannel, clock: RealClock, writes: Mapping[str, str]) -> None:
    for name, value in writes.items():
        reply = channel.request("sysctl", name=name, value=value)
        answered(reply, clock, name=NAME)
        if reply.error is not None:
            raise HarnessError(f"gVisor refuses {name} = {value}: {reply.error}")


def _runtime(known: Mapping[str, str]) -> tuple[str, str] | None:
    """Return name and program of the runtime to use, or None if there is none."""
    return next(((name, known[name]) for name in RUNTIMES if name in known), None)


def _version(program: str) -> str:
    """Ask the runtime for its version; HarnessError if it does not tell."""
    try:
        done = subprocess.run(
            [program or "runsc", "--version"],
            capture_output=True,
            check=False,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(f"{program} does not run: {error}") from error
    found = _VERSION.search(done.stdout)
    if found is None:
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise HarnessError(f"{program} tells no version: {said or 'nothing'}")
    return found.group()
