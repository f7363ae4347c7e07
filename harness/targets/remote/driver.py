"""Driver: a stack behind an interface of this machine, with an agent there or without one.

The interface stays as it is: no setting of it is changed, and no heartbeat disturbs who else is on
the link. Testcases take turns, also those of several processes.
"""

import fcntl
import hashlib
import os
import socket
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from harness.errors import HarnessError, Inconclusive, Unsupported, UsageError
from harness.targets import knobs, offload
from harness.targets.channel import StreamChannel, answered
from harness.targets.driver import Capability, Channel, Facts, Host, Place, Settings
from harness.targets.remote.gate import Gate
from harness.targets.remote.neighbour import mac_of
from harness.targets.remote.program import Program
from harness.targets.remote.settings import Wanted, read
from harness.targets.world import RealWorld
from harness.wire.packet_socket import PacketSocketLink, hold_stamps
from harness.wire.real import RealClock

NAME = "remote"

# The bit of a MAC that its owner, not its maker, gave.
_LOCAL = 0x02
# Nothing is known of the timers behind the wire: an ordinary tick is allowed for.
_TICK = 0.01


class Mute:
    """The channel where there is no agent."""

    def request(self, operation: str, **arguments: Any) -> NoReturn:
        """Raise Unsupported: there is nobody to ask."""
        del arguments
        raise Unsupported(f"{NAME} has no agent that could be asked for {operation}")


@dataclass(slots=True, kw_only=True)
class RemoteWorld(RealWorld):
    """A turn on the link: nobody else's testcase is there until it is closed."""

    peer: Place
    program: Program | None
    channel: StreamChannel | None = None

    def console(self) -> str:
        """Return what the agent's command wrote to its standard error."""
        return self.program.said() if self.program is not None else ""

    def reset(self) -> None:
        """Have the agent let go of everything; one that cannot is replaced."""
        assert self.channel is not None
        assert self.program is not None
        try:
            answered(self.channel.request("reset"), self.clock, name=NAME)
        except (HarnessError, Inconclusive):
            self.program.end()


@dataclass(slots=True)
class _Started:
    wanted: Wanted
    mac: str
    far_mac: str
    stamps: socket.socket
    capabilities: frozenset[Capability] = frozenset()
    program: Program | None = None
    effective: dict[str, float] = field(default_factory=dict)


class RemoteDriver:
    """Another machine. One instance serves one process of the run, from `start` to `stop`."""

    # It needs this machine's own interfaces, which nobody sees from a namespace.
    privileged = False

    def __init__(self) -> None:
        self._started: _Started | None = None

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""
        try:
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        except AttributeError:
            return "this kernel has no packet sockets: run it on Linux"
        except OSError as error:
            return f"no permission to use a packet socket ({error.strerror}): run as root"
        return None

    def start(self, settings: Settings) -> Facts:
        """Find the stack and its agent; UsageError for what the user did not say, or not well."""
        wanted = read(settings.options)
        if settings.sysctls:
            raise UsageError("--sysctl is nothing for a remote stack: set it there, and leave it")
        if settings.firewall:
            raise UsageError("--firewall is nothing for a remote stack: set it there")
        try:
            return self._start(wanted)
        except BaseException:
            self.stop()
            raise

    def _start(self, wanted: Wanted) -> Facts:
        _check_interface(wanted)
        mac = _mac_for(wanted)
        started = _Started(wanted, mac, "", hold_stamps())
        self._started = started
        with self._turn(wanted):
            started.far_mac = wanted.mac or mac_of(wanted, mac)
        if wanted.agent:
            started.program = Program(wanted.agent)
        world = self.world()
        try:
            version, sysctls = self._survey(world)
        except (HarnessError, Inconclusive) as error:
            raise UsageError(f"--remote-agent: {error}") from error
        finally:
            world.close()
        table = knobs.load(wanted.stack) if knobs.known(wanted.stack) else None
        values = table.values(sysctls) if table is not None else {}
        return Facts(
            name=NAME,
            stack=wanted.stack,
            version=wanted.version or version,
            tick=_TICK,
            wheel=wanted.stack == "linux",
            capabilities=started.capabilities,
            families=wanted.families,
            defaults=values,
            effective=values,
            sysctls=sysctls,
        )

    def _survey(self, world: RemoteWorld) -> tuple[str, dict[str, str]]:
        """Find out what the stack's agent can do; return the system's version, and sysctls."""
        assert self._started is not None
        wanted = self._started.wanted
        if world.channel is None:
            heard = {Capability.PASSIVE_OPEN} if wanted.port is not None else set()
            self._started.capabilities = frozenset(heard)
            return "", {}
        ask = _Asking(world.channel, world.clock)
        found = {Capability.ACTIVE_OPEN, Capability.PASSIVE_OPEN}
        if ask.value("table") is not None:
            found.add(Capability.STATE_TABLE)
        if ask.value("counters") is not None:
            found.add(Capability.COUNTERS)
        number = ask.value("socket", family=wanted.families[0])
        if ask.value("info", socket=number) is not None:
            found.add(Capability.TCP_INFO)
        self._started.capabilities = frozenset(found)
        table = knobs.load(wanted.stack) if knobs.known(wanted.stack) else None
        names = table.sysctls() if table is not None else ()
        texts = ask.value("sysctls", names=list(names)) or {}
        system = ask.value("hello")["system"]
        return str(system[2]), {
            name: " ".join(str(text).split()) for name, text in texts.items() if text is not None
        }

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> RemoteWorld:
        """Take a turn on the link, when it is free; Inconclusive if the agent cannot be had."""
        del knobs
        if self._started is None:
            raise HarnessError("the driver has not been started")
        if pair:
            raise HarnessError(f"{NAME} has no {Capability.PAIR}")
        wanted, started = self._started.wanted, self._started
        peer = Place(started.mac, wanted.peers)
        world = RemoteWorld(RealClock(), peer=peer, program=started.program)
        world.ends.callback(self._turn(wanted).close)
        try:
            link = PacketSocketLink(world.clock, wanted.interface, shared=True)
            world.capture(Gate(link, started.mac, wanted.peers, started.far_mac, wanted.addresses))
            channel: Channel = Mute()
            if started.program is not None:
                world.channel = channel = started.program.channel(world.clock, NAME)
                world.ends.callback(channel.close)
                world.ends.callback(world.reset)
                channel.synchronise()
            host = Host(channel, wanted.addresses, started.far_mac, listening=wanted.port)
            world.hosts = (host,)
        except OSError as error:
            world.close()
            raise HarnessError(f"{wanted.interface}: {error.strerror}") from error
        except BaseException:
            world.close()
            raise
        return world

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
        if self._started is None:
            return
        if self._started.program is not None:
            self._started.program.close()
        self._started.stamps.close()
        self._started = None

    @staticmethod
    def _turn(wanted: Wanted) -> IO[str]:
        """Wait until no other process has a testcase on this link."""
        name = zlib.crc32(f"{wanted.interface} {sorted(wanted.addresses.values())}".encode())
        path = Path(tempfile.gettempdir(), f"tcpspec-remote-{os.geteuid()}-{name:08x}")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        turn = os.fdopen(os.open(path, flags, 0o600), "w")
        fcntl.flock(turn, fcntl.LOCK_EX)
        return turn


class _Asking:
    def __init__(self, channel: StreamChannel, clock: RealClock) -> None:
        self._channel = channel
        self._clock = clock

    def value(self, operation: str, **arguments: Any) -> Any:
        """Return what the agent says, or None where it cannot."""
        reply = self._channel.request(operation, **arguments)
        answered(reply, self._clock, name=NAME)
        return None if reply.error is not None else reply.value


def _check_interface(wanted: Wanted) -> None:
    """Look at the interface, which must be there and up; UsageError says what is not right."""
    names = [name for _, name in socket.if_nameindex()]
    if wanted.interface not in names:
        raise UsageError(
            f"--remote-interface {wanted.interface}: no such interface; known: {', '.join(names)}"
        )
    for family, address in wanted.peers.items():
        if _is_own(address, family):
            raise UsageError(f"--remote-peer {address} is this machine's: name one nobody uses")
    if wanted.agent and offload.merges(wanted.interface):
        raise UsageError(
            f"{wanted.interface} merges what it receives, so that no capture is true: "
            f"ethtool -K {wanted.interface} gro off lro off"
        )


def _is_own(address: str, family: str) -> bool:
    """Tell whether an address is this machine's; nothing is sent."""
    kind = socket.AF_INET if family == "ipv4" else socket.AF_INET6
    with socket.socket(kind, socket.SOCK_DGRAM) as asking:
        try:
            asking.bind((address, 0))
        except OSError:
            return False
        return True


def _mac_for(wanted: Wanted) -> str:
    """Return a MAC of local administration, the same for whoever plays this peer.

    The stack remembers it from testcase to testcase, whichever process made them.
    """
    name = f"{wanted.interface} {sorted(wanted.peers.values())}".encode()
    return ":".join(f"{octet:02x}" for octet in (_LOCAL, *hashlib.sha256(name).digest()[:5]))
