"""Spec: what a sweep is to try, as a user writes it.

    title = "Closing"                      # optional
    targets = ["netns", "model-linux"]
    families = ["ipv4"]                    # optional: both
    timers = "tuned"                       # optional: or "documented"
    patience = 60                          # optional: the longest real wait, seconds

    [[grid]]
    testcases = ["closing/test_fin_wait_2.py", "opening/test_silence.py::test_syn_…"]
    vary = "all"                           # optional: every combination; or "each": one setting at
                                           # a time; or "pairs": two; these also none at all
    targets = ["netns"]                    # optional: of those above
    [grid.sysctls]
    "net.ipv4.tcp_fin_timeout" = [3, 5, 8]
    "net.ipv4.tcp_orphan_retries" = { from = 1, to = 9, step = 2 }

Testcases are named from the folder of testcases. A file stands for all that are in it.
"""

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.targets.profile import canonical

MOST = 1_000_000
"""Points of one grid, and values of one sysctl, that are surely a mistake."""

_VARY = ("all", "each", "pairs")
_TIMERS = ("tuned", "documented")
_FAMILIES = ("ipv4", "ipv6")
_SPEC = {"title", "targets", "families", "timers", "patience", "grid"}
_GRID = {"testcases", "vary", "targets", "sysctls"}
_RANGE = {"from", "to", "step"}

Point = tuple[tuple[str, str], ...]
"""Sysctls and their values, sorted by name."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Testcases, the targets that they run on, and the values to try."""

    testcases: tuple[str, ...]
    targets: tuple[str, ...]
    vary: str
    sysctls: Mapping[str, tuple[str, ...]]

    def points(self) -> Iterator[Point]:
        """Yield the settings to try, each once."""
        if self.vary == "all":
            varied: Iterator[tuple[str, ...]] = iter([tuple(self.sysctls)])
        else:
            most = 1 if self.vary == "each" else 2
            varied = itertools.chain.from_iterable(
                itertools.combinations(self.sysctls, count) for count in range(most + 1)
            )
        for names in varied:
            for values in itertools.product(*(self.sysctls[name] for name in names)):
                yield tuple(sorted(zip(names, values, strict=True)))


@dataclass(frozen=True, slots=True)
class Spec:
    """A sweep: `patience` is seconds, `path` where it was read from."""

    path: Path
    title: str
    targets: tuple[str, ...]
    families: tuple[str, ...]
    tuned: bool
    patience: float
    grids: tuple[Grid, ...]

    @property
    def testcases(self) -> tuple[str, ...]:
        """All testcases that are named, each once."""
        return tuple(dict.fromkeys(one for grid in self.grids for one in grid.testcases))


def read(path: Path) -> Spec:
    """Read a spec; UsageError names the file and what is wrong with it."""
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: this is not UTF-8 text") from None
    try:
        return parse(tomllib.loads(text), path)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    except _WrongError as error:
        raise UsageError(f"{path}: {error}") from None


def only(spec: Spec, targets: Sequence[str]) -> Spec:
    """Return a spec for some of its targets, if any are named; UsageError for one that it lacks."""
    if not targets:
        return spec
    for name in targets:
        if name not in spec.targets:
            there = ", ".join(spec.targets)
            raise UsageError(f"--target {name}: {spec.path} has {there}")
    grids = (
        replace(grid, targets=tuple(name for name in grid.targets if name in targets))
        for grid in spec.grids
    )
    kept = tuple(grid for grid in grids if grid.targets)
    return replace(spec, targets=tuple(dict.fromkeys(targets)), grids=kept)


class _WrongError(Exception):
    """What is wrong with a spec, without the name of its file."""


def parse(table: Mapping[str, Any], path: Path) -> Spec:
    """Check a spec; `read` says which file is wrong."""
    _known(table, _SPEC, "the spec")
    targets = _words(table.get("targets"), "targets")
    families = _words(table.get("families", list(_FAMILIES)), "families", _FAMILIES)
    timers = _word(table.get("timers", "tuned"), "timers", _TIMERS)
    patience = table.get("patience", 60.0)
    if not _is_number(patience) or patience <= 0:
        raise _WrongError(f"patience is {patience!r}, not a positive number of seconds")
    title = table.get("title", path.stem)
    if not isinstance(title, str):
        raise _WrongError(f"title is {title!r}, not a text")
    grids = table.get("grid")
    if not isinstance(grids, list) or not grids:
        raise _WrongError("there is no [[grid]]: it says which testcases run at which sysctls")
    read_grids = tuple(_grid(one, f"grid {n}", targets) for n, one in enumerate(grids, start=1))
    return Spec(path, title, targets, families, timers == "tuned", float(patience), read_grids)


def _grid(table: Any, where: str, targets: tuple[str, ...]) -> Grid:
    if not isinstance(table, dict):
        raise _WrongError(f"{where} is {table!r:.60}, not a table")
    _known(table, _GRID, where)
    vary = _word(table.get("vary", "all"), f"{where}: vary", _VARY)
    testcases = _words(table.get("testcases"), f"{where}: testcases")
    for one in testcases:
        if Path(one).is_absolute() or ".." in Path(one).parts:
            raise _WrongError(f"{where}: {one!r} does not lie in the folder of testcases")
    own = _words(table.get("targets", list(targets)), f"{where}: targets", targets)
    sysctls = table.get("sysctls")
    if not isinstance(sysctls, dict) or not sysctls:
        raise _WrongError(f"{where}: there is no [grid.sysctls] with values to try")
    values: dict[str, tuple[str, ...]] = {}
    for name, given in sysctls.items():
        values[_sysctl(name, where)] = _values(given, f"{where}: {name}")
    grid = Grid(testcases, own, vary, values)
    if sum(1 for _ in itertools.islice(grid.points(), MOST + 1)) > MOST:
        raise _WrongError(
            f"{where} has more than {MOST} points: vary each, or pairs, or fewer values"
        )
    return grid


def _sysctl(name: str, where: str) -> str:
    try:
        known = canonical(name)
    except ValueError as error:
        raise _WrongError(f"{where}: {error}") from None
    if not known.startswith("net."):
        raise _WrongError(f"{where}: {name} is not a setting of the network")
    return known


def _values(given: Any, where: str) -> tuple[str, ...]:
    """Return values as texts, each once: of a list, or of a range."""
    if isinstance(given, dict):
        _known(given, _RANGE, where)
        low, high, step = (given.get(name, 1) for name in ("from", "to", "step"))
        whole = all(type(one) is int for one in (low, high, step)) and {"from", "to"} <= set(given)
        if not whole or step < 1 or low > high:
            raise _WrongError(
                f"{where}: a range is {{ from = 1, to = 9, step = 2 }}, whole numbers"
            )
        given = list(itertools.islice(range(low, high + 1, step), MOST + 1))
    elif not isinstance(given, list):
        given = [given]
    if not given or len(given) > MOST:
        raise _WrongError(f"{where}: there are {len(given)} values")
    for one in given:
        if isinstance(one, bool) or not isinstance(one, int | float | str) or not str(one).strip():
            raise _WrongError(f"{where}: {one!r:.60} is no value of a sysctl")
    return tuple(dict.fromkeys(" ".join(str(one).split()) for one in given))


def _known(table: Mapping[str, Any], names: set[str], where: str) -> None:
    if unknown := sorted(set(table) - names):
        raise _WrongError(f"{where} has {unknown[0]!r}; there are {', '.join(sorted(names))}")


def _word(value: Any, where: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise _WrongError(f"{where} is {value!r:.60}, not one of {', '.join(allowed)}")
    return str(value)


def _words(value: Any, where: str, allowed: Sequence[str] | None = None) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise _WrongError(f"{where}: a list of texts is wanted")
    for one in value if allowed is not None else ():
        _word(one, where, allowed or ())
    return tuple(dict.fromkeys(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
