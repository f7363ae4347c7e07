"""Driver: the small protocol by which a kind of stack is started and handed to testcases."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from harness.targets.profile import LeftOut, Profile
from harness.wire.clock import Clock
from harness.wire.link import Link


class Capability(enum.StrEnum):
    """What a target may lack; a testcase that needs it is then unsupported."""

    ACTIVE_OPEN = "active open"
    PASSIVE_OPEN = "passive open"
    STATE_TABLE = "state table"
    KNOBS = "settable knobs"
    FIREWALL = "firewall"
    TCP_INFO = "TCP_INFO"
    COUNTERS = "counters"
    PAIR = "two of its kind on one link"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a stack before any testcase runs.

    `tick` is the length of the stack's timer tick in seconds (1/HZ on Linux); `wheel` says that its
    timers stand in Linux's timer wheel, so that they may be late by a granule. `model` says that it
    is made from a document and no real stack, which a ledger is about. `held_only` says that its
    state table has the sockets of applications only: neither embryonic connections nor orphans.
    `defaults` and
    `effective` map knobs (by meaning, as in `linux.toml`) to values: the stack's own, and those
    that this run's settings leave in force before a testcase tunes anything; `fixed` are the knobs
    that the user has set. `sysctls` are all settings of the stack that a reader may need. `profile`
    is what it was given of `Settings.profile`, `left_out` what it was not; None where the driver
    does not know of profiles.
    """

    name: str
    stack: str
    version: str
    tick: float = 0.0
    wheel: bool = False
    virtual: bool = False
    model: bool = False
    capabilities: frozenset[Capability] = frozenset()
    families: tuple[str, ...] = ("ipv4", "ipv6")
    held_only: bool = False
    defaults: Mapping[str, float] = field(default_factory=dict)
    effective: Mapping[str, float] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[LeftOut] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user asked of every target of the run.

    `sysctls` beat what a testcase tunes; `tuned` says that long timers are shrunk by the driver's
    tuned values; `firewall` holds iptables rules (argument strings, as `-A OUTPUT … -j DROP`) that
    stand inside the target in every testcase. `options` are those of `registry.OPTIONS` that were
    given, by name. `profile` is asked for as far as a target has it; it beats what a testcase
    tunes, and `sysctls` beat it.
    """

    sysctls: Mapping[str, str] = field(default_factory=dict)
    tuned: bool = True
    firewall: Sequence[str] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    profile: Profile = field(default_factory=Profile)


class Reply(Protocol):
    """One request to an agent, perhaps still under way. Times are the link clock's, seconds."""

    began: float
    ended: float | None
    value: Any
    error: str | None

    def finished(self) -> bool:
        """Tell whether the agent has reported completion."""


class Channel(Protocol):
    """The way to a target's agent; never over the tested link.

    The operations are those of `harness.targets.agent`, by name.
    """

    def request(self, operation: str, **arguments: Any) -> Reply:
        """Ask for a socket call or a look at the stack; completion comes while the clock waits."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is on a link: the MAC, and the address of each family ("ipv4", "ipv6")."""

    mac: str
    addresses: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Host:
    """One stack on a link: how to ask it, and where it is.

    `addresses` maps family ("ipv4", "ipv6") to the address of its interface, `mac` is that of its
    interface. `listening` is the one port at which something listens there, where nobody can be
    asked to listen.
    """

    channel: Channel
    addresses: Mapping[str, str]
    mac: str
    listening: int | None = None


class World(Protocol):
    """What one testcase runs in: a link, its clock, and one stack on it, or two.

    It may have a `peer`, the `Place` that the peer takes where its usual one is nobody's to take.
    """

    @property
    def clock(self) -> Clock:
        """The clock of the link and of the stacks."""

    @property
    def link(self) -> Link:
        """The link to the one stack; with two, a capture of all that passes between them."""

    @property
    def hosts(self) -> Sequence[Host]:
        """The stacks: one, or client and server."""

    def console(self) -> str:
        """Return the last lines that the stack itself printed, for a failure's report."""

    def close(self) -> None:
        """End everything that this world holds; a second call does nothing."""


class Driver(Protocol):
    """A kind of stack. One instance serves one process of the run, from `start` to `stop`.

    `privileged` says that it makes network namespaces, or needs to be root in one.
    """

    privileged: ClassVar[bool]

    def __init__(self) -> None:
        """Make a driver that has started nothing."""

    @staticmethod
    def missing() -> str | None:
        """Say in one line why this target cannot run here and what to install, or None."""

    def start(self, settings: Settings) -> Facts:
        """Make ready what all worlds share, and tell the facts; UsageError for bad settings."""

    def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> World:
        """Make a fresh world, tuned: the user's sysctls before `knobs` before tuned values."""

    def stop(self) -> None:
        """Give everything back; a second call does nothing."""
