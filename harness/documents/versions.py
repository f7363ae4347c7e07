"""Versions: ranges of dotted numbers, compared as PEP 440 compares releases."""

import re
from dataclasses import dataclass

_TERM = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)")
_LOW, _HIGH = (">", ">=", "=="), ("<", "<=", "==")
_RELEASE = re.compile(r"\d+(?:\.\d+)*")

Release = tuple[int, ...]


def release(version: str) -> Release:
    """Return the leading dotted number of a version, without zeros at its end; () if none."""
    match = _RELEASE.match(version.strip())
    return _trimmed(match.group()) if match else ()


@dataclass(frozen=True, slots=True)
class Versions:
    """A range of versions; all terms hold at once. Without terms it contains every version."""

    terms: tuple[tuple[str, Release], ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Versions":
        """Read `>=5.10,<6.12`; ValueError says what is wrong, and when nothing can be in it."""
        found: list[tuple[str, Release]] = []
        for part in text.split(","):
            match = _TERM.fullmatch(part.strip())
            if not match:
                raise ValueError(f"{part.strip()!r} is not a comparison such as '>=6.5'")
            found.append((match.group(1), _trimmed(match.group(2))))
        versions = cls(tuple(found))
        if versions.empty:
            raise ValueError(f"no version can be {text!r}")
        return versions

    def __contains__(self, version: str) -> bool:
        """Tell whether a version is in the range; one without a number is only in the full one."""
        number = release(version)
        if not number:
            return not self.terms
        return all(_holds(number, operator, bound) for operator, bound in self.terms)

    def __and__(self, other: "Versions") -> "Versions":
        """Return what both ranges contain; it may be empty."""
        return Versions(self.terms + tuple(term for term in other.terms if term not in self.terms))

    def __str__(self) -> str:
        """Write the range as it is parsed; nothing for the full one."""
        return ",".join(
            operator + ".".join(map(str, bound or (0,))) for operator, bound in self.terms
        )

    @property
    def empty(self) -> bool:
        """Whether no version can be in the range."""
        low = max((bound for operator, bound in self.terms if operator in _LOW), default=())
        highs = [bound for operator, bound in self.terms if operator in _HIGH]
        if not highs:
            return False
        high = min(highs)
        if low == high:
            return not all(_holds(low, operator, bound) for operator, bound in self.terms)
        return low > high


def _trimmed(text: str) -> Release:
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _holds(number: Release, operator: str, bound: Release) -> bool:
    match operator:
        case ">=":
            return number >= bound
        case "<=":
            return number <= bound
        case ">":
            return number > bound
        case "<":
            return number < bound
        case "==":
            return number == bound
        case _:
            return number != bound
