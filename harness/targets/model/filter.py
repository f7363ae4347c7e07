"""Filter: as much of iptables as testcases need, on the datagrams of one host."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.segment.datagram import Datagram
from harness.segment.segment import Flags, Segment

CHAINS = ("INPUT", "OUTPUT")
_FLAGS = {**Flags.__members__, "ALL": Flags(0x3F), "NONE": Flags(0)}
_SYN = Flags.SYN, Flags.SYN | Flags.ACK | Flags.FIN | Flags.RST


class UnreadableRuleError(Exception):
    """A rule that iptables may understand and this model does not."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule is about; None stands for anything. `flags` are those set, among a mask."""

    protocol: str | None = None
    source: str | None = None
    destination: str | None = None
    source_port: range | None = None
    destination_port: range | None = None
    flags: tuple[Flags, Flags] | None = None
    negated: frozenset[str] = frozenset()

    def fits(self, datagram: Datagram) -> bool:
        """Tell whether a datagram is one that the rule is about."""
        segment = datagram.segment
        about_tcp = self.source_port or self.destination_port or self.flags
        if segment is None:
            carried = "icmp" if datagram.icmp is not None else "other"
            if about_tcp or self.protocol not in (None, carried):
                return False
        elif self.protocol not in (None, "tcp"):
            return False
        return (
            self._holds("source", _inside(datagram.source, self.source))
            and self._holds("destination", _inside(datagram.destination, self.destination))
            and (segment is None or self._fits_segment(segment))
        )

    def _fits_segment(self, segment: Segment) -> bool:
        wanted, mask = self.flags or (Flags(0), Flags(0))
        here, there = self.source_port, self.destination_port
        return (
            self._holds("source_port", here is None or segment.source_port in here)
            and self._holds("destination_port", there is None or segment.destination_port in there)
            and self._holds("flags", segment.flags & mask == wanted)
        )

    def _holds(self, name: str, found: bool) -> bool:
        return found is not (name in self.negated)


@dataclass(frozen=True, slots=True)
class Rule:
    """What is dropped."""

    match: Match
    accepts: bool = False


@dataclass(slots=True)
class Filter:
    """The rules of one host and family, by chain."""

    chains: dict[str, list[Rule]] = field(default_factory=lambda: {name: [] for name in CHAINS})

    def drops(self, chain: str, datagram: Datagram) -> bool:
        """Tell whether the first rule that fits drops a datagram."""
        for rule in self.chains[chain]:
            if rule.match.fits(datagram):
                return not rule.accepts
        return False

    def command(self, words: Sequence[str]) -> str:
        """Do what iptables would with these words; UnreadableRuleError for what is unknown."""
        left = [word for word in words if word != "-w"]
        if len(left) < 2 or left[1] not in CHAINS:
            raise UnreadableRuleError("a rule is for INPUT or OUTPUT")
        action, rules = left[0], self.chains[left[1]]
        rest = left[2:]
        at = int(rest.pop(0)) - 1 if rest and rest[0].isdigit() else None
        if action in ("-F", "--flush"):
            rules.clear()
        elif action in ("-A", "--append"):
            rules.append(_rule(rest))
        elif action in ("-I", "--insert"):
            rules.insert(at or 0, _rule(rest))
        elif action in ("-D", "--delete"):
            self._delete(rules, at, rest)
        else:
            raise UnreadableRuleError(f"{action} is no action of the model's")
        return ""

    def _delete(self, rules: list[Rule], at: int | None, rest: list[str]) -> None:
        if at is not None and at < len(rules):
            del rules[at]
        elif at is None and (rule := _rule(rest)) in rules:
            rules.remove(rule)
        else:
            raise UnreadableRuleError("there is no such rule")


def _rule(words: list[str]) -> Rule:
    left, found, negated = list(words), {}, set()
    target = None
    while left:
        negation = left[0] == "!"
        if negation:
            left.pop(0)
        option = left.pop(0)
        if option == "--syn":
            found["flags"], name = _SYN, "flags"
        elif option in ("-j", "--jump"):
            target = left.pop(0)
            continue
        elif option in ("-m", "--match"):
            left.pop(0)
            continue
        elif option == "--tcp-flags":
            mask, wanted = _flags(left.pop(0)), _flags(left.pop(0))
            found["flags"], name = (wanted, mask), "flags"
        else:
            name, found_value = _plain(option, left)
            found[name] = found_value  # type: ignore[assignment]
        if negation:
            negated.add(name)
    if target not in ("DROP", "ACCEPT"):
        raise UnreadableRuleError(f"the model cannot jump to {target}")
    return Rule(Match(**found, negated=frozenset(negated)), target == "ACCEPT")  # type: ignore[arg-type]


def _plain(option: str, left: list[str]) -> tuple[str, str | range]:
    names = {
        "-p": "protocol",
        "--protocol": "protocol",
        "-s": "source",
        "--source": "source",
        "-d": "destination",
        "--destination": "destination",
        "--sport": "source_port",
        "--source-port": "source_port",
        "--dport": "destination_port",
        "--destination-port": "destination_port",
    }
    if option not in names or not left:
        raise UnreadableRuleError(f"the model does not know {option}")
    value = left.pop(0)
    if not names[option].endswith("port"):
        return names[option], {"icmpv6": "icmp", "ipv6-icmp": "icmp"}.get(value, value)
    first, colon, last = value.partition(":")
    return names[option], range(int(first or 0), int(last or 65535 if colon else first) + 1)


def _flags(text: str) -> Flags:
    found = Flags(0)
    for name in text.split(","):
        if name not in _FLAGS:
            raise UnreadableRuleError(f"{name} is no flag")
        found |= _FLAGS[name]
    return found


def _inside(address: str, network: str | None) -> bool:
    if network is None:
        return True
    return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
