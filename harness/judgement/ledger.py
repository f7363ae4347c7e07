"""Ledger: the deviations of stacks that are known, each with a reason and a reference.

`ledgers/STACK.toml` holds those of one stack:

    [[known]]
    claim = "RFC9293:MUST-13"
    measure = "time_wait_duration"
    versions = ">=5.10"            # of the stack
    reason = "TIME-WAIT is a constant of 60 s."
    reference = "include/net/tcp.h, TCP_TIMEWAIT_LEN"
    families = ["ipv4"]            # optional
    default_of = ["syn_retries"]   # optional: the entry is only stale while these knobs stand at
                                   # their defaults; elsewhere the deviation may well be gone
    cells = ["SYN *"]              # optional, of a matrix: the only cells that are known to deviate

`claim` and `measure` may be lists: one reason for all pairs of a claim with a measure that it says
something of.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.documents.library import Library
from harness.documents.parsing import check_keys, close
from harness.documents.reading import headers, known_knobs, tables, toml
from harness.documents.versions import Versions
from harness.errors import UsageError

PACKAGED = Path(__file__).parent / "ledgers"

_TEXTS = ("versions", "reason", "reference")
_ABOUT = ("claim", "measure")
_FAMILIES = ("ipv4", "ipv6")


@dataclass(frozen=True, slots=True)
class Known:
    """One known deviation; `families` is empty for all of them, `where` is file and line."""

    stack: str
    claim: str
    measure: str
    versions: Versions
    reason: str
    reference: str
    families: tuple[str, ...]
    default_of: tuple[str, ...]
    cells: tuple[str, ...]
    where: tuple[str, int]

    def covers(self, stack: str, version: str, family: str | None) -> bool:
        """Tell whether the entry is about this stack, version and family."""
        if stack != self.stack or version not in self.versions:
            return False
        return not self.families or family is None or family in self.families

    def excuses(self, wrong: tuple[str, ...]) -> bool:
        """Tell whether all cells that deviate are among those that are known to."""
        return not self.cells or all(
            any(fnmatch.fnmatchcase(name, known) for known in self.cells) for name in wrong
        )

    def overlaps(self, other: "Known") -> bool:
        """Tell whether both entries can be about one and the same deviation."""
        about = (self.stack, self.claim, self.measure)
        if about != (other.stack, other.claim, other.measure):
            return False
        if (self.versions & other.versions).empty:
            return False
        mine, its = (set(entry.families or _FAMILIES) for entry in (self, other))
        return bool(mine & its)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All entries of all stacks."""

    entries: tuple[Known, ...] = ()
    _about: dict[tuple[str, str], list[Known]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for entry in self.entries:
            self._about.setdefault((entry.claim, entry.measure), []).append(entry)

    @classmethod
    def load(cls, library: Library, folder: Path = PACKAGED) -> "Ledger":
        """Read every ledger of a folder; UsageError names file, line and claim of a mistake."""
        entries: list[Known] = []
        for path in sorted(folder.glob("*.toml")):
            for entry in _read(path, library):
                twin = next((known for known in entries if known.overlaps(entry)), None)
                if twin is not None:
                    raise UsageError(
                        f"{entry.where[0]}:{entry.where[1]}: {entry.claim}: line {twin.where[1]} "
                        f"has {entry.measure} for some of these versions already"
                    )
                entries.append(entry)
        return cls(tuple(entries))

    def find(
        self, claim: str, measure: str, *, stack: str, version: str, family: str | None
    ) -> Known | None:
        """Return the entry about a claim and a measure, if there is one."""
        return next(
            (
                entry
                for entry in self._about.get((claim, measure), ())
                if entry.covers(stack, version, family)
            ),
            None,
        )


def _read(path: Path, library: Library) -> list[Known]:
    content, text = toml(path)
    try:
        check_keys(content, ("known",))
    except ValueError as error:
        raise UsageError(f"{path}:1: {error}") from None
    found = tables(content.get("known", []), path, "known")
    entries = []
    for table, line in zip(found, headers(text, "known", len(found)), strict=True):
        try:
            entries += _known(table, path, line, library)
        except (ValueError, UsageError) as error:
            name = table.get("claim", "an entry without claim")
            name = ", ".join(map(str, name)) if isinstance(name, list) else name
            raise UsageError(f"{path}:{line}: {name}: {error}") from None
    return entries


def _known(table: Mapping[str, Any], path: Path, line: int, library: Library) -> list[Known]:
    check_keys(table, (*_ABOUT, *_TEXTS, "families", "default_of", "cells"))
    for key in _TEXTS:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ValueError(f"'{key}' is missing or no text")
    families, knobs = _names(table, "families"), _names(table, "default_of")
    for knob in knobs:
        if knob not in known_knobs():
            raise ValueError(f"unknown knob '{knob}'{close(knob, known_knobs())}")
    if set(families) - set(_FAMILIES):
        raise ValueError(f"families are {' and '.join(_FAMILIES)}")
    return [
        Known(
            stack=path.stem,
            claim=claim,
            measure=measure,
            versions=Versions.parse(table["versions"]),
            reason=table["reason"],
            reference=table["reference"],
            families=families,
            default_of=knobs,
            cells=_names(table, "cells"),
            where=(str(path), line),
        )
        for claim, measure in _pairs(table, library)
    ]


def _pairs(table: Mapping[str, Any], library: Library) -> list[tuple[str, str]]:
    """Return the pairs of claim and measure that an entry is about; every name must be in one."""
    claims, measures = _one_or_more(table, "claim"), _one_or_more(table, "measure")
    found = []
    for name in claims:
        claim = library.claim(name)
        judged = {one.measure for one in claim.judged}
        if not judged & set(measures):
            for measure in measures:
                library.measure(measure)
            which = "the claim" if len(claims) == 1 else f"the claim {name}"
            raise ValueError(f"{which} says nothing of {', '.join(measures)}")
        if not claim.strength.binds:
            raise ValueError(f"a {claim.strength} that is not followed is permitted, so no entry")
        found += [(claim.id, measure) for measure in measures if measure in judged]
    for measure in measures:
        if measure not in {each for _, each in found}:
            library.measure(measure)
            raise ValueError(f"{', '.join(claims)} says nothing of {measure}")
    return found


def _one_or_more(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a name, or a list of names that are all different."""
    value = table.get(key)
    names = tuple(value) if isinstance(value, list) else (value,)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"'{key}' is missing or no text")
    if len(set(names)) < len(names):
        raise ValueError(f"'{key}' names one twice")
    return names


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"'{key}' is a list of names")
    return tuple(value)
