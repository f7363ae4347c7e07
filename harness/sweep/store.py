"""Store: the results of cells, each once, in a file that outlives whoever writes it.

A result is named by the content of all that it depends on, so what is stored never has to be run
again, whatever sweep asks for it. SQLite keeps the file whole when its writer is killed or the disk
is full; a lock on a file beside it keeps a second writer away.
"""

import datetime as dt
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from harness.errors import HarnessError, UsageError
from harness.sweep.cell import Cell, Result

SCHEMA = 1

_TABLES = """
create table if not exists about (name text primary key, value text not null);
create table if not exists cells (
    key text primary key,
    testcase text not null,
    target text not null,
    family text not null,
    sysctls text not null,
    outcome text not null,
    reason text not null,
    judgements text not null,
    wall_s real not null,
    worker text not null,
    stored text not null
) without rowid;
"""

_UNCLEAR = "inconclusive"

_MANY = 500
"""Keys that are asked for at once."""


class Store:
    """An open store, held alone; UsageError if it is another's at the moment, or no store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _held(path)
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            self._prepare()
        except (sqlite3.Error, HarnessError) as error:
            self._lock.close()
            raise _told(path, error) from None

    def __enter__(self) -> Self:
        """Return the store itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the store; a second call does nothing."""
        self._database.close()
        self._lock.close()

    def known(self, keys: Iterable[str]) -> set[str]:
        """Return which of some cells have a result already."""
        return {one.key for one in self.results(keys)}

    def results(self, keys: Iterable[str]) -> Iterator[Result]:
        """Yield the results of cells, of those that have one."""
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _MANY):
            some = wanted[start : start + _MANY]
            marks = ", ".join("?" * len(some))
            rows = self._database.execute(
                "select key, outcome, reason, judgements, wall_s, worker from cells "  # noqa: S608 - marks only
                f"where key in ({marks}) order by key",
                some,
            )
            for key, outcome, reason, judgements, wall_s, worker in rows:
                yield Result(key, outcome, reason, tuple(json.loads(judgements)), wall_s, worker)

    def add(self, found: Iterable[tuple[Cell, Result]]) -> int:
        """Store results all or none; return how many of the cells had none yet.

        HarnessError if the disk refuses; the store stays as it was.
        """
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        rows = [_row(cell, result, now) for cell, result in found]
        try:
            before = self._database.total_changes
            self._database.execute("begin immediate")
            self._database.executemany(
                f"insert or ignore into cells values ({', '.join('?' * 11)})",  # noqa: S608 - marks only
                rows,
            )
            self._database.execute("commit")
        except sqlite3.Error as error:
            if self._database.in_transaction:
                self._database.rollback()
            raise _told(self.path, error) from None
        return self._database.total_changes - before

    def forget(self, keys: Iterable[str]) -> int:
        """Drop what could not be measured well enough, so that it is run again; return how many."""
        wanted = [one.key for one in self.results(keys) if one.outcome == _UNCLEAR]
        try:
            self._database.executemany(
                "delete from cells where key = ?", [(key,) for key in wanted]
            )
        except sqlite3.Error as error:
            raise _told(self.path, error) from None
        return len(wanted)

    def __len__(self) -> int:
        """Return how many results there are."""
        count: int = self._database.execute("select count(*) from cells").fetchone()[0]
        return count

    def _prepare(self) -> None:
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = full")
        self._database.executescript(_TABLES)
        self._database.execute("insert or ignore into about values ('schema', ?)", (str(SCHEMA),))
        found = self._database.execute("select value from about where name = 'schema'").fetchone()
        if found[0] != str(SCHEMA):
            raise UsageError(
                f"{self.path}: a store of schema {found[0]}, where this version of tcpspec "
                f"writes schema {SCHEMA}; name another with --store"
            )


def _row(cell: Cell, result: Result, now: str) -> tuple[str | float, ...]:
    return (
        cell.key,
        cell.testcase.name,
        cell.testcase.target,
        cell.testcase.family,
        json.dumps(dict(cell.point)),
        result.outcome,
        result.reason,
        json.dumps(list(result.judgements)),
        result.wall_s,
        result.worker,
        now,
    )


def _held(path: Path) -> TextIO:
    """Hold the lock beside a store; the kernel gives it back however its holder ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = Path(f"{os.fspath(path)}.lock").open("a", encoding="ascii")  # noqa: SIM115 - held
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name another with --store") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise UsageError(
            f"{path}: another sweep writes to this store; wait, or name another with --store"
        ) from None
    return lock


def _told(path: Path, error: Exception) -> HarnessError:
    """Say what is wrong with a store in a user's words."""
    if isinstance(error, HarnessError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_NOTADB:
        return UsageError(f"{path}: this is no store of a sweep; name another with --store")
    full = code == sqlite3.SQLITE_FULL or (code or 0) & 0xFF == sqlite3.SQLITE_IOERR
    hint = "; what is stored stays: make room, and the same command goes on" if full else ""
    return HarnessError(f"{path}: {error}{hint}")
