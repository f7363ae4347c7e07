"""Journal: verdicts on their way to `verdicts.json`, safe from the moment they arrive.

Only the controlling process keeps a journal. A verdict is a line of it before anything else
happens, so a run that is killed leaves what it knew; the next run puts that aside under a name of
its own, and `read_run` reads it when asked for it by that name. Of a testcase that was tried more
than once the last attempt counts: its verdicts replace the earlier ones, and say which it was.
"""

import datetime as dt
import fcntl
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from harness.errors import HarnessError, UsageError
from harness.reporting.run import FILE_NAME, SCHEMA, RunTarget, in_order, last_attempts

JOURNAL_NAME = "verdicts.journal.jsonl"


class Journal:
    """The journal of one run in its reports folder; UsageError if nothing can be written there.

    `interrupted` is where the journal of an earlier, killed run now lies, or None.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / JOURNAL_NAME
        self._verdicts: list[dict[str, Any]] = []
        self.interrupted: Path | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if (folder / FILE_NAME).is_dir():
                raise UsageError(f"{folder / FILE_NAME} is a folder; name another with --reports")
            self._file = self._open()
        except OSError as error:
            raise UsageError(
                f"the reports folder {folder} cannot be written ({error.strerror}); "
                "name another with --reports"
            ) from None

    def append(self, judgement: Mapping[str, Any]) -> None:
        """Keep one verdict, an object as `Judgement.as_json` makes it."""
        verdict = _plain(judgement)
        self._verdicts.append(verdict)
        try:
            self._file.write(json.dumps(verdict) + "\n")
            self._file.flush()
        except OSError as error:
            raise HarnessError(f"{self._path}: {error.strerror}") from None

    def finish(
        self,
        targets: Sequence[RunTarget],
        started: dt.datetime,
        wall_s: float,
        *,
        all_attempts: bool = False,
    ) -> Path:
        """Write `verdicts.json` in one step, remove the journal, and return the file's path.

        `started` must know its time zone, `wall_s` is seconds; with `all_attempts` every attempt is
        kept, not the last of each testcase. HarnessError if the disk refuses; the journal then
        stays.
        """
        result = self._folder / FILE_NAME
        head = {
            "schema": SCHEMA,
            "started": started.isoformat(timespec="seconds"),
            "wall_s": round(wall_s, 3),
            "targets": [target.as_json() for target in {t.name: t for t in targets}.values()],
        }
        verdicts = in_order(self._verdicts) if all_attempts else last_attempts(self._verdicts)
        try:
            _replace(result, _document(_plain(head), verdicts))
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise HarnessError(f"{result}: {error.strerror}") from None
        self.close()
        return result

    def close(self) -> None:
        """Let go of the journal without removing it; a second call does nothing."""
        self._file.close()

    def _open(self) -> TextIO:
        """Open an empty journal that no other run holds; put a left-over one aside."""
        while True:
            file = self._path.open("a", encoding="ascii")
            try:
                # A record lock is this process's own: children that outlive it do not hold it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.close()
                raise UsageError(
                    f"another run is writing to {self._folder}; name another with --reports"
                ) from None
            if file.tell() == 0 and self._is_at_path(file):
                return file
            if self._is_at_path(file):
                self.interrupted = _put_aside(self._path)
            file.close()

    def _is_at_path(self, file: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False


def _put_aside(journal: Path) -> Path:
    """Rename a killed run's journal after the instant of its last verdict."""
    last = dt.datetime.fromtimestamp(journal.stat().st_mtime, dt.UTC)
    stem = f"interrupted-{last:%Y%m%dT%H%M%SZ}"
    aside = journal.with_name(f"{stem}.jsonl")
    count = 1
    while aside.exists():
        count += 1
        aside = journal.with_name(f"{stem}-{count}.jsonl")
    return journal.rename(aside)


def _document(head: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Return the whole file as text, a verdict a line, so that line tools can work with it."""
    members = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    lines = ",\n".join(json.dumps(verdict) for verdict in verdicts)
    members.append(f'"verdicts": [\n{lines}\n]' if verdicts else '"verdicts": []')
    return "{" + ",\n".join(members) + "}\n"


def _replace(path: Path, text: str) -> None:
    """Put `text` at `path` so that a reader finds the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: what JSON lacks becomes text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(member) for member in value]
    return str(value)
