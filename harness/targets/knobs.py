"""Knobs: settings by meaning, and the sysctls that they are on a kernel.

`linux.toml` holds a table for each knob:

    [knobs.orphan_fin_wait_2_timeout]
    sysctl = "net.ipv4.tcp_fin_timeout"
    unit = "s"          # of the sysctl: count, s, ms or us; a knob's value is a count or seconds
    tuned = 3           # optional: what shrinks a long timer, in the unit of the knob
    field = 0           # optional: which number, where a sysctl holds several
    since = "6.5"       # optional: the first kernel that has it
    absent = 0          # optional: the value that a stack without the knob behaves by

`sysctl` is empty where the knob is another stack's, whose driver knows it.
"""

import functools
import tomllib
from collections.abc import Container, Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any

from harness.errors import HarnessError

_PER_UNIT = {"count": 1, "s": 1, "ms": 1_000, "us": 1_000_000}
_FIELDS = {"sysctl", "unit", "tuned", "field", "since", "absent"}


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting; `per_unit` of the sysctl's number are a second, or a count."""

    name: str
    sysctl: str
    per_unit: int = 1
    tuned: float | None = None
    field: int | None = None
    since: str | None = None
    absent: float | None = None

    def value(self, text: str) -> float:
        """Read the knob from the sysctl's text; ValueError if it holds no such number."""
        words = text.split()
        at = self.field or 0
        if at >= len(words):
            raise ValueError(f"{self.sysctl} holds {text!r}, which has no number {at + 1}")
        return float(words[at]) / self.per_unit

    def text(self, value: float, present: str) -> str:
        """Spell a value for the sysctl, whose other numbers stay as they are at `present`."""
        number = str(round(value * self.per_unit))
        if self.field is None:
            return number
        words = present.split()
        words[self.field] = number
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Knobs:
    """The knobs of a stack, by name."""

    by_name: Mapping[str, Knob]

    def tuned(self) -> dict[str, float]:
        """Return the values that shrink long timers."""
        return {name: knob.tuned for name, knob in self.by_name.items() if knob.tuned is not None}

    def sysctls(self) -> tuple[str, ...]:
        """Return the sysctls that the knobs are, each once."""
        return tuple(dict.fromkeys(k.sysctl for k in self.by_name.values() if k.sysctl))

    def missing(
        self, asked: Mapping[str, float], effective: Mapping[str, float], sysctls: Container[str]
    ) -> str | None:
        """Return a knob that a stack would need and does not have, or None.

        A knob that only shortens a wait is not needed, nor one whose absence is what is asked for.
        One whose sysctl is empty has no value in force, and is there. HarnessError for a knob that
        no document names.
        """
        for name, value in asked.items():
            knob = self.by_name.get(name)
            if knob is None:
                raise HarnessError(f"no knob is called {name!r}")
            there = name in effective or knob.sysctl in sysctls
            if not there and knob.tuned is None and value != knob.absent:
                return name
        return None

    def overruled(
        self, asked: Mapping[str, float], effective: Mapping[str, float], fixed: Container[str]
    ) -> dict[str, float]:
        """Return what is asked for of knobs that are `fixed` at other values by the user.

        A knob that only shortens a wait may stand elsewhere: the wait is longer, and the same.
        """
        return {
            name: value
            for name, value in asked.items()
            if name in fixed and effective.get(name) != value and self.by_name[name].tuned is None
        }

    def values(self, sysctls: Mapping[str, str]) -> dict[str, float]:
        """Read the knobs from sysctls; those that are empty or not there are left out."""
        return {
            name: knob.value(sysctls[knob.sysctl])
            for name, knob in self.by_name.items()
            if sysctls.get(knob.sysctl, "").strip()
        }

    def writes(self, values: Mapping[str, float], present: Mapping[str, str]) -> dict[str, str]:
        """Spell knobs as sysctls, given those that are there; what is not there is left out.

        HarnessError for a knob that no document names: a misspelt one would tune nothing.
        """
        found: dict[str, str] = {}
        for name, value in values.items():
            knob = self.by_name.get(name)
            if knob is None:
                raise HarnessError(f"no knob is called {name!r}")
            if knob.sysctl in present:
                before = found.get(knob.sysctl, present[knob.sysctl])
                found[knob.sysctl] = knob.text(value, before)
        return found


def known(stack: str) -> bool:
    """Tell whether there is a file of a stack's knobs."""
    return resources.files(__package__).joinpath(f"{stack}.toml").is_file()


@functools.cache
def load(stack: str = "linux") -> Knobs:
    """Return the knobs of a stack, from the file that lies beside this one."""
    name = f"{stack}.toml"
    return parse(resources.files(__package__).joinpath(name).read_text("utf-8"), name)


def parse(text: str, name: str) -> Knobs:
    """Read the knobs from TOML; HarnessError, with the file's name, for anything out of form."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HarnessError(f"{name}: {error}") from error
    if set(tables) != {"knobs"} or not isinstance(tables["knobs"], dict):
        raise HarnessError(f"{name}: the tables are {sorted(tables)}, not [knobs.NAME] alone")
    found = {key: _knob(key, table, name) for key, table in tables["knobs"].items()}
    return Knobs(MappingProxyType(found))


def _knob(key: str, table: Any, name: str) -> Knob:
    where = f"{name}: [knobs.{key}]"
    if not isinstance(table, dict):
        raise HarnessError(f"{where} is not a table")
    if unknown := sorted(set(table) - _FIELDS):
        raise HarnessError(f"{where} has a field that knobs do not have: {unknown[0]}")
    sysctl, unit = table.get("sysctl"), table.get("unit")
    if not isinstance(sysctl, str) or (sysctl and not sysctl.startswith("net.")):
        raise HarnessError(f"{where}: sysctl is {sysctl!r}, not a name that begins with net.")
    if unit not in _PER_UNIT:
        raise HarnessError(f"{where}: unit is {unit!r}, not one of {', '.join(_PER_UNIT)}")
    tuned, position, since = (table.get(word) for word in ("tuned", "field", "since"))
    if not (tuned is None or _is_number(tuned)):
        raise HarnessError(f"{where}: tuned is {tuned!r}, not a number")
    if not (position is None or (type(position) is int and position >= 0)):
        raise HarnessError(f"{where}: field is {position!r}, not 0 or a number above it")
    if not (since is None or isinstance(since, str)):
        raise HarnessError(f"{where}: since is {since!r}, not a version in quotes")
    absent = table.get("absent")
    if not (absent is None or _is_number(absent)):
        raise HarnessError(f"{where}: absent is {absent!r}, not a number")
    return Knob(key, sysctl, _PER_UNIT[unit], tuned, position, since, absent)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
