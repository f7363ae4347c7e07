"""Run: what `verdicts.json` holds, read back by whoever did not write it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.judgement.verdict import Judgement, Verdict

SCHEMA = 1
FILE_NAME = "verdicts.json"

_TEXT = (str,)
_TEXT_OR_NULL = (str, type(None))
_FIELDS: dict[str, tuple[type, ...]] = {
    "testcase": _TEXT,
    "claim": _TEXT,
    "document": _TEXT,
    "measure": _TEXT,
    "target": _TEXT,
    "verdict": _TEXT,
    "reason": _TEXT_OR_NULL,
    "binding": (bool,),
    "known": (bool,),
    "documented": _TEXT,
    "observed": _TEXT,
    "values": (object,),
    "family": _TEXT_OR_NULL,
    "attempt": (int,),
    "noise_s": (int, float, type(None)),
    "pcap": _TEXT_OR_NULL,
}
_LATER: dict[str, tuple[type, ...]] = {"knobs": (dict,)}
"""Fields that runs of earlier versions do not have."""
_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class RunTarget:
    """A target of a run: its name, its stack, and the sysctls in force before any testcase.

    `profile` are those that came from this machine or from files, `left_out` those that the target
    was not given, each with its reason. `tick` is its timers' tick in seconds, `wheel` says that
    they stand in Linux's timer wheel: what its tolerances follow from.
    """

    name: str
    stack: str
    version: str
    sysctls: Mapping[str, str]
    profile: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[Mapping[str, str]] | None = None
    tick: float = 0.0
    wheel: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the object that `verdicts.json` holds."""
        table = {
            "name": self.name,
            "stack": self.stack,
            "version": self.version,
            "sysctls": dict(self.sysctls),
            "tick": self.tick,
            "wheel": self.wheel,
        }
        if self.left_out is None:
            return table
        return table | {"profile": dict(self.profile), "left_out": list(self.left_out)}


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run. `started` is ISO 8601, `wall_s` seconds; of a killed run neither is known."""

    path: Path
    started: str
    wall_s: float
    targets: tuple[RunTarget, ...]
    verdicts: tuple[Judgement, ...]


def read_run(path: Path) -> Run:
    """Read a run from its folder or file; UsageError names the file and what is wrong with it.

    The journal of a killed run (`.jsonl`) is read too; it knows of its targets only their names.
    """
    file = path / FILE_NAME if path.is_dir() else path
    data = _read(file)
    try:
        return _journal(file, data) if file.suffix == ".jsonl" else _run(file, _parse(data))
    except _WrongError as error:
        raise UsageError(f"{file}: {error}") from None


def last_attempts(verdicts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the verdicts of each testcase's last attempt, in an order of their own."""
    last: dict[str, int] = {}
    for verdict in verdicts:
        testcase = verdict["testcase"]
        last[testcase] = max(last.get(testcase, 0), verdict["attempt"])
    kept = [verdict for verdict in verdicts if verdict["attempt"] == last[verdict["testcase"]]]
    return in_order(kept)


def in_order(verdicts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return verdicts sorted by testcase, claim, measure and attempt."""
    fields = ("testcase", "claim", "measure", "attempt")
    return sorted(verdicts, key=lambda one: tuple(one[name] for name in fields))


class _WrongError(Exception):
    """What is wrong with a file, without its name."""


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{file}: no such run; `pytest testcases` writes one") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{file}: {reason}") from None


def _parse(data: bytes) -> Any:
    if not data.strip():
        raise _WrongError("empty, not a run")
    try:
        return json.loads(data)
    except RecursionError:
        raise _WrongError("not a run: nested too deeply") from None
    except ValueError as error:
        raise _WrongError(f"damaged, or not a run: {error}") from None


def _journal(file: Path, data: bytes) -> Run:
    """Read a journal, without the last line if the run was killed while it wrote that."""
    lines = data.split(b"\n")[:-1]
    tables = [_verdict(f"line {place}", _parse(line)) for place, line in enumerate(lines, start=1)]
    names = sorted({table["target"] for table in tables})
    return Run(
        path=file,
        started="",
        wall_s=0.0,
        targets=tuple(RunTarget(name, "unknown", "unknown", {}) for name in names),
        verdicts=tuple(Judgement.from_json(table) for table in last_attempts(tables)),
    )


def _run(file: Path, document: Any) -> Run:
    table = _checked("the file", document, dict)
    schema = table.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        found = "no schema" if schema is None else f"schema {schema!r:.60}"
        raise _WrongError(f"{found}, where this version of tcpspec reads schema {SCHEMA}")
    return Run(
        path=file,
        started=_member(table, "started", str),
        wall_s=float(_member(table, "wall_s", int, float)),
        targets=tuple(
            _target(f"targets[{place}]", value)
            for place, value in enumerate(_member(table, "targets", list))
        ),
        verdicts=tuple(
            Judgement.from_json(_verdict(f"verdicts[{place}]", value))
            for place, value in enumerate(_member(table, "verdicts", list))
        ),
    )


def _target(where: str, value: Any) -> RunTarget:
    table = _checked(where, value, dict)
    texts = {name: _member(table, name, str, where=where) for name in ("name", "stack", "version")}
    sysctls = _member(table, "sysctls", dict, where=where)
    for key, setting in sysctls.items():
        _checked(f"{where}.sysctls.{key}", setting, str)
    # Runs of before there were tolerances in them are still read.
    tick = _member({"tick": 0.0} | table, "tick", int, float, where=where)
    wheel = _member({"wheel": False} | table, "wheel", bool, where=where)
    return RunTarget(**texts, sysctls=sysctls, tick=float(tick), wheel=wheel)


def _verdict(where: str, value: Any) -> dict[str, Any]:
    """Check one verdict and return it as it stands."""
    table: dict[str, Any] = _checked(where, value, dict)
    for name, types in _FIELDS.items():
        _member(table, name, *types, where=where)
    for name, types in _LATER.items():
        if name in table:
            _member(table, name, *types, where=where)
    if table["verdict"] not in list(Verdict):
        words = ", ".join(Verdict)
        raise _WrongError(f"{where}.verdict: {table['verdict']!r:.60} is none of {words}")
    if table["family"] not in ("ipv4", "ipv6", None):
        raise _WrongError(f"{where}.family: {table['family']!r:.60} is neither ipv4 nor ipv6")
    return table


def _member(table: dict[str, Any], name: str, *types: type, where: str = "") -> Any:
    path = f"{where}.{name}" if where else name
    if name not in table:
        raise _WrongError(f"{path}: missing")
    return _checked(path, table[name], *types)


def _checked(where: str, value: Any, *types: type) -> Any:
    if not isinstance(value, types) or (
        isinstance(value, bool) and bool not in types and object not in types
    ):
        wanted = " or ".join(_NAMES[one] for one in types)
        raise _WrongError(f"{where}: {_NAMES[type(value)]}, where {wanted} should stand")
    return value
