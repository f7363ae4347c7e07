"""Driver: stock kernels as targets, each testcase in a machine of its own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, Inconclusive, UsageError
from harness.targets import firewall, network, sysctls
from harness.targets import knobs as knob_tables
from harness.targets.channel import AgentReply
from harness.targets.driver import Capability, Facts, Host, Reply, Settings
from harness.targets.profile import LeftOut, Profile, chosen, left_out
from harness.targets.qemu.machine import Machine
from harness.targets.qemu.shelf import Shelf
from harness.targets.qemu.wire import MachineClock, MachineLink, Wire
from harness.targets.stage import places
from harness.targets.wheel import Wheel

_STACK = "linux"


@dataclass(frozen=True, slots=True)
class Source:
    """A kernel's image, the folder of its modules, and what version it is of."""

    image: Path
    modules: Path | None
    version: str


@dataclass(slots=True)
class MachineWorld:
    """One machine, and one stack in it, or two."""

    wire: Wire
    hosts: Sequence[Host]

    @property
    def clock(self) -> MachineClock:
        """The machine's clock."""
        return self.wire.clock

    @property
    def link(self) -> MachineLink:
        """The link to the one stack; with two, a capture of all that passes between them."""
        return self.wire.link

    def console(self) -> str:
        """Return the last lines that the kernel printed."""
        return self.wire.machine.console()

    def close(self) -> None:
        """End the machine; a second call does nothing."""
        self.wire.machine.close()


class MachineDriver:
    """Machines of one kernel; `source` finds it when the driver starts."""

    def __init__(self, name: str, source: Callable[[Settings], Source]) -> None:
        self._name = name
        self._source = source
        self._knobs = knob_tables.load(_STACK)
        self._settings = Settings()
        self._asked: dict[str, str] = {}
        self._tuned: dict[str, float] = {}
        self._present: Mapping[str, str] = {}
        self._taken: dict[str, str] = {}
        self._rules: list[tuple[str, list[str]]] = []
        self._shelf: Shelf | None = None
        self._trouble: Inconclusive | None = None

    def start(self, settings: Settings) -> Facts:
        """Boot the kernel unless that was done before, and tell the facts.

        UsageError for bad settings. A kernel that does not boot is no error: every world of it is
        then inconclusive.
        """
        source = self._source(settings)
        self._asked = {sysctls.canonical(name): value for name, value in settings.sysctls.items()}
        self._tuned = self._knobs.tuned() if settings.tuned else {}
        try:
            self._shelf = Shelf.open(self._name.replace("/", "_"), source.image, source.modules)
            return self._survey(source, settings)
        except Inconclusive as trouble:
            self._trouble = trouble
            return Facts(name=self._name, stack=_STACK, version=source.version, virtual=True)

    def world(
        self, *, pair: bool = False, knobs: Mapping[str, float] | None = None
    ) -> MachineWorld:
        """Make a fresh world, its stacks tuned: user's sysctls before `knobs` before tuned values.

        HarnessError if the kernel refuses any of it, Inconclusive if there is no machine.
        """
        if self._trouble is not None:
            raise Inconclusive(*self._trouble.args)
        values = {**self._tuned, **(knobs or {})}
        writes = {**self._knobs.writes(values, self._present), **self._taken, **self._asked}
        world = self._open(2 if pair else 1)
        try:
            with world.wire.gathered():
                asked = [
                    host.channel.request("sysctl", name=name, value=value)
                    for host in world.hosts
                    for name, value in writes.items()
                ]
                asked += [
                    host.channel.request("iptables", family=family, arguments=words)
                    for host in world.hosts
                    for family, words in self._rules
                ]
            for reply in asked:
                _succeeded(reply)
        except BaseException:
            world.close()
            raise
        return world

    def stop(self) -> None:
        """Give nothing back: a machine ends with its world."""
        self._shelf = None

    def _open(self, count: int) -> MachineWorld:
        if self._shelf is None:
            raise HarnessError("the driver has not been started")
        where = places(count)
        families = self._shelf.bare().answer["families"]
        hosts = [
            {
                "mac": place.mac,
                "addresses": {one: place.addresses[one] for one in families},
                "sysctls": dict(network.STACK_SYSCTLS),
            }
            for place in where
        ]
        names = self._names()
        saved = self._shelf.linked(hosts, names)
        machine = Machine.restore(saved)
        known = [{name: found.get(name) for name in names} for found in saved.answer["known"]]
        tick, zero = saved.answer["tick"], saved.answer["zero"]
        wire = Wire(
            machine,
            float(saved.answer["now"]),
            sysctls=known,
            wheels=[Wheel(tick, zero) for _ in known],
            name=self._name,
        )
        return MachineWorld(
            wire,
            [
                Host(channel, place.addresses, place.mac)
                for channel, place in zip(wire.channels, where, strict=True)
            ],
        )

    def _names(self) -> list[str]:
        """Return the sysctls that shape TCP, as this kernel has them or not."""
        assert self._shelf is not None
        names = self._shelf.bare().answer["sysctls"]
        shown = {name for name in names if name.startswith("net.ipv4.tcp_")}
        return sorted({*shown, *sysctls.BESIDE, *self._knobs.sysctls()} - sysctls.SECRET)

    def _survey(self, source: Source, settings: Settings) -> Facts:
        """Try the settings in a scratch machine, and tell the facts."""
        assert self._shelf is not None
        answer = self._shelf.bare().answer
        if answer["lacks"]:
            options = " and ".join(answer["lacks"])
            raise UsageError(f"{self._name}: the kernel needs {options}; modules: --modules DIR")
        names = self._names()
        world = self._open(1)
        try:
            (host,) = world.hosts
            before = _sysctls(host, names)
            for name, value in self._knobs.writes(self._tuned, before).items():
                _do(host, "sysctl", name=name, value=value)
            left = self._admit(host, settings.profile, answer["sysctls"])
            for name, value in self._asked.items():
                _check(host, name, value)
            after = _sysctls(host, names)
            has_firewall = self._set_up_firewall(host, settings.firewall)
            has_counters = _do(host, "counters", needed=False).error is None
        finally:
            world.close()
        self._present = before
        lacking = {Capability.FIREWALL} if not has_firewall else set()
        lacking |= set() if answer["namespaces"] else {Capability.PAIR}
        lacking |= set() if has_counters else {Capability.COUNTERS}
        return Facts(
            name=self._name,
            stack=_STACK,
            version=source.version or answer["release"],
            tick=float(answer["tick"]),
            wheel=True,
            virtual=True,
            capabilities=frozenset(Capability) - lacking,
            families=tuple(answer["families"]),
            defaults=self._knobs.values(before),
            effective=self._knobs.values(after),
            fixed=frozenset(
                name
                for name, knob in self._knobs.by_name.items()
                if knob.sysctl in self._asked or knob.sysctl in self._taken
            ),
            sysctls=after,
            profile=self._taken,
            left_out=left,
        )

    def _admit(self, host: Host, profile: Profile, names: Sequence[str]) -> tuple[LeftOut, ...]:
        """Set a profile, as far as it can be; return what is left out."""
        found, missed = chosen(profile, names if profile else ())
        refused = list(missed)
        for name, setting in found.items():
            value = setting.value or ""
            if not setting.named and _sysctls(host, [name]).get(name) == value:
                continue
            reason = sysctls.unfit(name)
            if reason is None:
                reply = _do(host, "sysctl", name=name, value=value, needed=False)
                reason = None if reply.error is None else _why(reply)
            if reason is None:
                self._taken[name] = value
            else:
                refused.append(left_out(replace(setting, name=name), reason))
        return tuple(refused)

    def _set_up_firewall(self, host: Host, rules: Sequence[str]) -> bool:
        """Keep the user's rules by family, and tell whether there is a firewall at all."""
        listed = _do(host, "iptables", family="ipv4", arguments=["-S"], needed=False)
        for rule in rules:
            words = firewall.words(rule)
            complaints = []
            for family in host.addresses:
                done = _do(host, "iptables", family=family, arguments=words, needed=False)
                if done.error is None:
                    self._rules.append((family, words))
                else:
                    complaints.append(str(done.value or done.error))
            if len(complaints) == len(host.addresses):
                raise UsageError(f"the firewall rule {rule!r} is refused: {complaints[0]}")
        return listed.error is None


def _do(host: Host, operation: str, *, needed: bool = True, **arguments: Any) -> AgentReply:
    """Ask for what is done at once; HarnessError if it is needed and fails."""
    reply = host.channel.request(operation, **arguments)
    assert isinstance(reply, AgentReply)
    if needed:
        _succeeded(reply)
    return reply


def _succeeded(reply: Reply) -> None:
    """Raise HarnessError for a call that the kernel refused."""
    if reply.error is not None:
        raise HarnessError(f"the kernel refuses what was asked: {reply.value or reply.error}")


def _sysctls(host: Host, names: Sequence[str]) -> dict[str, str]:
    """Return those sysctls that the kernel has."""
    found = _do(host, "sysctls", names=list(names)).value
    return {name: " ".join(str(text).split()) for name, text in found.items() if text is not None}


def _check(host: Host, name: str, value: str) -> None:
    """Set a user's sysctl; UsageError if the kernel does not have or take it."""
    reply = _do(host, "sysctl", name=name, value=value, needed=False)
    if reply.error is not None:
        raise UsageError(f"--sysctl {name}={value}: {_why(reply)}")


def _why(reply: AgentReply) -> str:
    """Say why a sysctl was not set."""
    return "no such sysctl" if reply.error == "ENOENT" else f"the kernel refuses: {reply.error}"
