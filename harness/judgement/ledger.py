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
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.documents.library import Library
from harness.documents.parsing import check_keys, close
from harness.documents.reading import headers, known_knobs, tables, toml
from harness.documents.versions import Versions
from harness.errors import UsageError

PACKAGED = Path(__file__).parent / "ledgers"

_TEXTS = ("claim", "measure", "versions", "reason", "reference")
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
                for entry in self.entries
                if (entry.claim, entry.measure) == (claim, measure)
                and entry.covers(stack, version, family)
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
            entries.append(_known(table, path, line, library))
        except (ValueError, UsageError) as error:
            name = table.get("claim", "an entry without claim")
            raise UsageError(f"{path}:{line}: {name}: {error}") from None
    return entries


def _known(table: Mapping[str, Any], path: Path, line: int, library: Library) -> Known:
    check_keys(table, (*_TEXTS, "families", "default_of", "cells"))
    for key in _TEXTS:
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise ValueError(f"'{key}' is missing or no text")
    claim = library.claim(table["claim"])
    if table["measure"] not in {judged.measure for judged in claim.judged}:
        library.measure(table["measure"])
        raise ValueError(f"the claim says nothing of {table['measure']}")
    if not claim.strength.binds:
        raise ValueError(f"a {claim.strength} that is not followed is permitted, so no entry")
    families, knobs = _names(table, "families"), _names(table, "default_of")
    for knob in knobs:
        if knob not in known_knobs():
            raise ValueError(f"unknown knob '{knob}'{close(knob, known_knobs())}")
    if set(families) - set(_FAMILIES):
        raise ValueError(f"families are {' and '.join(_FAMILIES)}")
    return Known(
        stack=path.stem,
        claim=claim.id,
        measure=table["measure"],
        versions=Versions.parse(table["versions"]),
        reason=table["reason"],
        reference=table["reference"],
        families=families,
        default_of=knobs,
        cells=_names(table, "cells"),
        where=(str(path), line),
    )


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"'{key}' is a list of names")
    return tuple(value)
