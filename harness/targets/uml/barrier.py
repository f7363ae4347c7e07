"""Barrier: iptables in a guest, by whatever of netfilter its kernel has.

The host's programs are used, and the modules loaded that they would otherwise ask for in vain.
Debian's builds have the older tables (`iptables-legacy`) but not nftables for IP; the newest has
neither. There, rules that only drop what comes in are set as filters of traffic control at the
interface, where a segment is lost for the stack in the same way; others are not supported.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.targets.uml.inside import Modules

_NFTABLES = ("nfnetlink", "nf_tables", "nft_compat", "nft_counter", "nft_chain_nat", "nft_reject")
_CONTROL = ("sch_ingress", "cls_flower", "act_gact")
_NAMING = {"-m", "--match", "-j", "--jump"}
_KEYS = {"--dport": "dst_port", "--sport": "src_port", "-s": "src_ip", "-d": "dst_ip"}


class Barrier:
    """What runs iptables for an agent; `interface` is the stack's."""

    def __init__(self, modules: Modules, interface: str) -> None:
        self._modules = modules
        self._interface = interface
        self._filters: dict[tuple[str, ...], int] = {}
        self._last = 0

    def run(self, words: Sequence[str], **more: Any) -> Any:
        """Run `iptables -w ARGUMENT…`, or do what it would; as subprocess.run."""
        program, waiting, *arguments = words
        version = "6" if program.startswith("ip6") else ""
        table = _after(arguments, {"-t", "--table"}) or "filter"
        named = [word for option, word in pairwise(arguments) if option in _NAMING]
        kinds = ("xt", f"ip{version}t")
        wanted = [f"{kind}_{word}" for kind in kinds for word in named]
        self._modules.load([f"ip{version}table_{table}", "xt_tcpudp", *wanted])
        if Path(f"/proc/self/net/ip{version}_tables_names").exists():
            older = f"{program}-legacy"
            place = shutil.which(older, path=more.get("env", os.environ).get("PATH"))
            return subprocess.run([place or program, waiting, *arguments], **more)  # noqa: PLW1510
        self._modules.load(_NFTABLES)
        done = subprocess.run(words, **more)  # noqa: PLW1510 - the agent says what it wants
        return self._control(version, arguments, more) if done.returncode else done

    def _control(self, version: str, arguments: Sequence[str], more: dict[str, Any]) -> Any:
        """Do what a rule says at the interface; refuse what cannot be done there."""
        rule = _dropping(arguments)
        if rule is None:
            said = b"not supported: this kernel has no tables for IP"
            return subprocess.CompletedProcess((), 1, b"", said)
        removes, match = rule
        key = (version, *match)
        where = ("dev", self._interface, "ingress")
        if removes:
            at = self._filters.pop(key, 0)
            words = ["tc", "filter", "del", *where, "pref", str(at)]
        else:
            self._modules.load(_CONTROL)
            subprocess.run(["tc", "qdisc", "add", "dev", self._interface, "clsact"], **more)  # noqa: PLW1510
            self._last += 1
            self._filters[key] = self._last
            kind = ("protocol", "ipv6" if version else "ip", "flower", "ip_proto", "tcp")
            place = ("pref", str(self._last))
            words = ["tc", "filter", "add", *where, *place, *kind, *match, "action", "drop"]
        try:
            return subprocess.run(words, **more)  # noqa: PLW1510 - as above
        except FileNotFoundError:
            said = b"not supported: this kernel has no tables for IP, and there is no tc"
            return subprocess.CompletedProcess(words, 1, b"", said)


def _after(arguments: Sequence[str], options: set[str]) -> str | None:
    return next((word for option, word in pairwise(arguments) if option in options), None)


def _dropping(arguments: Sequence[str]) -> tuple[bool, tuple[str, ...]] | None:
    """Read a rule that drops TCP segments that come in: whether it is removed, and what they are.

    None for any other rule.
    """
    words = [word for word in arguments if word not in {"-t", "filter"}]
    if len(words) < 2 or words[0] not in {"-A", "-I", "-D"} or words[1] != "INPUT":
        return None
    rest = words[2:]
    if rest and rest[0].isdigit():
        rest = rest[1:]
    pairs = dict(zip(rest[::2], rest[1::2], strict=False))
    if len(rest) % 2 or pairs.pop("-p", None) != "tcp" or pairs.pop("-j", None) != "DROP":
        return None
    if pairs.keys() - _KEYS.keys() or len(pairs) + 2 != len(rest) // 2:
        return None
    match = (word for option in sorted(pairs) for word in (_KEYS[option], pairs[option]))
    return words[0] == "-D", tuple(match)
