"""Driver: models as targets, each with the numbers of one document."""

import random
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError, UsageError
from harness.targets import knobs as knob_tables
from harness.targets.driver import Capability, Facts, Host, Settings
from harness.targets.model.bridge import Bridge
from harness.targets.model.filter import Filter, UnreadableRuleError
from harness.targets.model.interface import Interface
from harness.targets.model.parameters import Kind, Parameters
from harness.targets.model.stack import Stack
from harness.targets.model.user import User
from harness.targets.profile import LeftOut, Profile, chosen, left_out
from harness.wire.link import Link
from harness.wire.memory import MemoryLink, VirtualClock, memory_pair

BEGIN = 1000.0
"""Seconds on the virtual clock when a world begins: no host has just been started."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is on the link."""

    mac: str
    addresses: Mapping[str, str]


HERE = Place("02:00:00:00:00:01", {"ipv4": "198.51.100.1", "ipv6": "2001:db8::1"})
THERE = Place("02:00:00:00:00:02", {"ipv4": "198.51.100.2", "ipv6": "2001:db8::2"})

CAPABILITIES = frozenset(
    {
        Capability.ACTIVE_OPEN,
        Capability.PASSIVE_OPEN,
        Capability.STATE_TABLE,
        Capability.FIREWALL,
        Capability.COUNTERS,
        Capability.TCP_INFO,
        Capability.PAIR,
    }
)


@dataclass(slots=True)
class ModelWorld:
    """A virtual clock, a link on it, and one model or two."""

    clock: VirtualClock
    link: Link
    hosts: Sequence[Host]

    def console(self) -> str:
        """Return nothing: a model prints nothing."""
        return ""

    def close(self) -> None:
        """End the link, and with it everything; a second call does nothing."""
        self.link.close()


class ModelDriver:
    """Models of one kind."""

    def __init__(self, name: str, kind: Kind) -> None:
        self._name = name
        self._kind = kind
        self._texts: Mapping[str, str] = self._kind.sysctls
        self._rules: Sequence[Sequence[str]] = ()
        self._started = False

    @staticmethod
    def missing() -> str | None:
        """Say that nothing is missing: a model needs this program only."""
        return None

    def start(self, settings: Settings) -> Facts:
        """Check the settings and tell the facts; UsageError for bad ones."""
        kind = self._kind
        if unknown := sorted(set(settings.sysctls) - set(kind.sysctls)):
            raise UsageError(f"{self._name} has no sysctl {unknown[0]}: leave it out")
        for name, value in settings.sysctls.items():
            try:
                kind.with_sysctls({**kind.sysctls, name: value})
            except (ValueError, ArithmeticError):
                raise UsageError(f"--sysctl {name}={value}: this is no value of it") from None
        self._rules = [_words(rule) for rule in settings.firewall]
        taken, left = self._admitted(settings.profile)
        self._texts = {**kind.sysctls, **taken, **settings.sysctls}
        table = knob_tables.load(kind.stack).by_name if kind.sysctls else {}
        asked = settings.sysctls.keys() | taken.keys()
        self._started = True
        return Facts(
            name=self._name,
            stack=kind.stack,
            version=kind.version,
            virtual=True,
            model=True,
            capabilities=CAPABILITIES | ({Capability.KNOBS} if kind.sysctls else set()),
            defaults=kind.knob_values(),
            effective=kind.knob_values(self._texts),
            fixed=frozenset(n for n, k in table.items() if k.sysctl in asked),
            sysctls=self._texts,
            profile=taken,
            left_out=left,
        )

    def _admitted(self, profile: Profile) -> tuple[dict[str, str], tuple[LeftOut, ...]]:
        """Return what of a profile the model can be given, and what it cannot, with why."""
        found, missed = chosen(profile, self._kind.sysctls)
        refused = list(missed)
        taken: dict[str, str] = {}
        for name, setting in found.items():
            value = setting.value or ""
            if name not in self._kind.sysctls:
                refused.append(left_out(setting, f"{self._name} has no such sysctl"))
            elif setting.named or value != self._kind.sysctls[name]:
                try:
                    self._kind.with_sysctls({**self._kind.sysctls, name: value})
                except (ValueError, ArithmeticError):
                    refused.append(left_out(setting, "this is no value of it"))
                else:
                    taken[name] = value
        return taken, tuple(refused)

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> ModelWorld:
        """Make a fresh world, its models tuned: user's sysctls before `knobs`."""
        if not self._started:
            raise HarnessError("the driver has not been started")
        clock = VirtualClock(BEGIN)
        near, port = memory_pair(clock)
        if not pair:
            return ModelWorld(clock, near, (self._host(port, THERE, HERE, knobs or {}),))
        other, far = memory_pair(clock)
        client = self._host(near, HERE, THERE, knobs or {})
        server = self._host(far, THERE, HERE, knobs or {})
        return ModelWorld(clock, Bridge(clock, port, other), (client, server))

    def stop(self) -> None:
        """Give nothing back: nothing was taken."""

    def _host(
        self, end: MemoryLink, own: Place, neighbour: Place, knobs: Mapping[str, float]
    ) -> Host:
        settings = _Settings(self._kind, dict(self._texts), knobs)
        near = dict.fromkeys(neighbour.addresses.values(), neighbour.mac)
        interface = Interface(end, own.mac, own.addresses, near)
        secret = random.randbytes(16)
        stack = Stack(end.clock, own.addresses, settings.parameters, secret, interface.send)
        settings.in_force = lambda numbers: setattr(stack, "parameters", numbers)
        interface.attach(stack)
        for words in self._rules:
            for rules in interface.filters.values():
                rules.command(words)
        user = User(stack, interface, settings.texts.get, settings.write)
        return Host(user, own.addresses, own.mac)


class _Settings:
    """The sysctls of one host, and the parameters that they and a testcase's knobs make."""

    def __init__(self, kind: Kind, texts: dict[str, str], knobs: Mapping[str, float]) -> None:
        self._kind = kind
        self.texts = texts
        self.in_force: Callable[[Parameters], None] = lambda _: None
        if texts:
            table = knob_tables.load(kind.stack)
            texts.update(table.writes(knobs, texts))
            self.parameters = kind.with_sysctls(texts)
        else:
            known = {name: value for name, value in knobs.items() if name in kind.knobs}
            self.parameters = kind.parameters.tuned(known)

    def write(self, name: str, text: str) -> None:
        """Set a sysctl; its effect is immediate."""
        self.texts[name] = text
        self.parameters = self._kind.with_sysctls(self.texts)
        self.in_force(self.parameters)


def _words(rule: str) -> list[str]:
    try:
        words = shlex.split(rule)
        Filter().command(words)
    except (ValueError, UnreadableRuleError) as error:
        raise UsageError(f"the firewall rule {rule!r} cannot be used by a model: {error}") from None
    return words
