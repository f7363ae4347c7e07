"""Drops: the firewall rules of a timeline, and which segments end at them."""

import shlex
from dataclasses import dataclass

from harness.reporting.picture.ends import Numbers

_LETTERS = {"SYN": "S", "ACK": ".", "RST": "R", "FIN": "F", "PSH": "P", "URG": "U"}
_WITH_VALUE = ("-p", "--dport", "--sport", "-j")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that drops what comes in; `mask` and `wanted` are flags as the notation spells them.

    `whole` says that nothing else restricts it, so that it is known what it drops.
    """

    text: str
    mask: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    whole: bool = True

    def drops(self, segment: Numbers) -> bool:
        """Tell whether a segment that comes in surely ends here."""
        return self.whole and set(segment.flags) & self.mask == self.wanted


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that is added, or removed."""

    rule: Rule
    added: bool


def change(text: str) -> Change | None:
    """Read a command line of iptables; None for what drops nothing that comes in."""
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    if len(words) < 3 or words[0] not in ("iptables", "ip6tables") or words[2] != "INPUT":
        return None
    rest = words[3:]
    if rest[-2:] != ["-j", "DROP"]:
        return None
    return Change(_rule(rest), words[1] not in ("-D", "--delete"))


def _rule(words: list[str]) -> Rule:
    mask: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    whole, left = True, list(words)
    while left:
        word = left.pop(0)
        if word == "--tcp-flags" and len(left) > 1:
            mask, wanted = _flags(left.pop(0)), _flags(left.pop(0))
        elif word in _WITH_VALUE and left:
            left.pop(0)
        else:
            whole = False
    return Rule(shlex.join(words), mask, wanted, whole)


def _flags(text: str) -> frozenset[str]:
    names = _LETTERS if text == "ALL" else text.split(",")
    return frozenset(_LETTERS[name] for name in names if name in _LETTERS)
