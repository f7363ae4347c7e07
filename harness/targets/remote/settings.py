"""Settings: what the user says of a stack behind an interface of this machine."""

import ipaddress
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.errors import UsageError
from harness.segment.datagram import family_of

CLOSED_PORT = 2017
"""The port that testcases listen on; while nobody lets them listen it has to be closed."""

_INTERFACE = re.compile(r"[A-Za-z0-9_.:-]{1,15}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_STACK = re.compile(r"[a-z][a-z0-9-]*")
_HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stack's place and the peer's, by family, and how the stack's agent is reached.

    Without `agent`, `port` may be one at which something listens there. `mac` is the stack's, if
    the user gave it.
    """

    interface: str
    addresses: Mapping[str, str]
    peers: Mapping[str, str]
    mac: str | None = None
    agent: tuple[str, ...] = ()
    stack: str = "unknown"
    version: str = ""
    port: int | None = None
    families: tuple[str, ...] = field(default=())


def read(options: Mapping[str, str]) -> Wanted:
    """Read the options; UsageError, one line, for what is missing or cannot be meant."""
    interface = _needed(options, "remote-interface", "the interface that the stack is behind")
    if not _INTERFACE.fullmatch(interface):
        raise UsageError(f"--remote-interface {interface!r} is not the name of an interface")
    addresses = _addresses(options, "remote-address", "the address of the stack")
    peers = _addresses(options, "remote-peer", "an address of its subnet that nobody uses")
    for family in addresses:
        if family not in peers:
            raise UsageError(f"--remote-peer has no {family} address, but --remote-address has")
        if addresses[family] == peers[family]:
            raise UsageError(f"--remote-peer {peers[family]} is the stack's own address")
    stack, _, version = options.get("remote-stack", "unknown").partition(":")
    if not _STACK.fullmatch(stack):
        raise UsageError(f"--remote-stack {stack!r}: write it as linux, or as linux:6.1")
    agent = _command(options.get("remote-agent", ""))
    port = _port(options.get("remote-port"))
    if agent and port is not None:
        raise UsageError("--remote-port is for stacks without an agent: leave it out")
    return Wanted(
        interface=interface,
        addresses=addresses,
        peers={family: peers[family] for family in addresses},
        mac=_mac(options.get("remote-mac")),
        agent=agent,
        stack=stack,
        version=version,
        port=port,
        families=tuple(one for one in ("ipv4", "ipv6") if one in addresses),
    )


def _needed(options: Mapping[str, str], name: str, what: str) -> str:
    value = options.get(name, "").strip()
    if not value:
        raise UsageError(f"--target remote needs --{name}: {what}")
    return value


def _addresses(options: Mapping[str, str], name: str, what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in _needed(options, name, what).split(","):
        try:
            address = ipaddress.ip_address(text.strip())
        except ValueError:
            raise UsageError(f"--{name} {text.strip()!r} is not an address") from None
        if address.is_multicast or address.is_unspecified or address.is_loopback:
            raise UsageError(f"--{name} {address} is not the address of one machine on a link")
        family = family_of(str(address))
        if family in found:
            raise UsageError(f"--{name} has two {family} addresses: give one of each family")
        found[family] = str(address)
    return found


def _mac(text: str | None) -> str | None:
    if text is None:
        return None
    mac = text.strip().lower()
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
        raise UsageError(f"--remote-mac {text!r} is not the MAC of one interface")
    return mac


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or not 0 < int(text) <= _HIGHEST_PORT:
        raise UsageError(f"--remote-port {text!r} is not a port")
    if int(text) == CLOSED_PORT:
        raise UsageError(f"--remote-port {text}: this one has to be closed, name another")
    return int(text)


def _command(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"--remote-agent {text!r} cannot be read: {error}") from error
