"""Registry: the kinds of stack, by the name that a user gives, and the options they have."""

import difflib
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from harness.errors import UsageError
from harness.targets.driver import Driver

# Each driver is imported only when it is asked for: some need packages that others do not.
DRIVERS: Mapping[str, str] = MappingProxyType(
    {
        "netns": "harness.targets.netns:NetnsDriver",
        "docker": "harness.targets.containers:DockerDriver",
        "gvisor": "harness.targets.gvisor:GvisorDriver",
        "slirp": "harness.targets.slirp.driver:SlirpDriver",
        "lwip": "harness.targets.lwip.driver:LwipDriver",
        "uml-5.10": "harness.targets.uml.kinds:LINUX_5_10",
        "uml-6.1": "harness.targets.uml.kinds:LINUX_6_1",
        "uml-6.12": "harness.targets.uml.kinds:LINUX_6_12",
        "uml-7.2": "harness.targets.uml.kinds:LINUX_7_2",
        "qemu-5.10": "harness.targets.qemu.kinds:QEMU_5_10",
        "qemu-6.1": "harness.targets.qemu.kinds:QEMU_6_1",
        "qemu-6.12": "harness.targets.qemu.kinds:QEMU_6_12",
        "qemu-7.2": "harness.targets.qemu.kinds:QEMU_7_2",
        "remote": "harness.targets.remote.driver:RemoteDriver",
        "model-rfc9293": "harness.targets.model.kinds:RFC9293",
        "model-linux": "harness.targets.model.kinds:LINUX",
        "model-windows-2003": "harness.targets.model.kinds:WINDOWS_2003",
        "model-berkeley": "harness.targets.model.kinds:BERKELEY",
    }
)

# `NAME:ARGUMENT` asks one of these functions for a driver class; `+` separates a model's fault.
MADE_OF: Mapping[str, str] = MappingProxyType(
    {"uml": "harness.targets.uml.kinds:at", "qemu": "harness.targets.qemu.kinds:of_image"}
)
FAULTY = "harness.targets.model.mutants:driver"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command line that only one kind of target looks at."""

    name: str
    metavar: str
    help: str


OPTIONS = (
    Option("docker-image", "IMAGE", "what containers are made from, if not our own"),
    Option("modules", "DIR", "modules of a kernel that is given by its image"),
    Option("remote-interface", "NAME", "this machine's interface that the remote stack is behind"),
    Option("remote-address", "ADDRESS", "of the remote stack; with a comma, IPv4 and IPv6"),
    Option("remote-peer", "ADDRESS", "that nobody uses in its subnet, for the peer; as above"),
    Option("remote-mac", "MAC", "of the remote stack; else it is asked for"),
    Option("remote-agent", "COMMAND", "whose standard streams are those of agent.py there"),
    Option("remote-stack", "NAME[:VERSION]", "what the remote stack is, as linux:6.1"),
    Option("remote-port", "PORT", "at which something listens there, if there is no agent"),
)
"""All such options. `Settings.options` has the values of those that the user gave."""


def driver(name: str) -> type[Driver]:
    """Return the driver class of a target; UsageError for a name that no target has."""
    if name in DRIVERS:
        known: type[Driver] = _resolve(DRIVERS[name])
        return known
    base, plus, fault = name.partition("+")
    if plus and base.startswith("model-") and base in DRIVERS:
        make: Callable[..., type[Driver]] = _resolve(FAULTY)
        return make(base, fault)
    kind, colon, argument = name.partition(":")
    if colon and argument and kind in MADE_OF:
        make = _resolve(MADE_OF[kind])
        return make(argument)
    near = difflib.get_close_matches(name, DRIVERS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    every = ", ".join((*DRIVERS, *(f"{one}:PATH" for one in MADE_OF)))
    raise UsageError(f"no target is called {name!r}; {hint}known: {every}")


def _resolve(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)
