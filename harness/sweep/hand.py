"""Hand: a process that runs cells, one after another, in one session of pytest."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.errors import HarnessError, UsageError

STARTS_WITHIN = 120.0
"""Seconds in which a session collects its testcases."""

SPARE = 120.0
"""Seconds that a cell may take beyond the patience, twice: it may be tried again."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a hand is for: testcases, named from their folder, on one target.

    `folder` is where the client has its testcases; a worker that has no such folder takes its own.
    """

    folder: str
    testcases: tuple[str, ...]
    target: str
    tuned: bool
    patience: float


CHECKOUT = Path(__file__).parents[2]


class Hand:
    """A running session; HarnessError or UsageError, with what it said, if it does not start."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._files = contextlib.ExitStack()
        folder = self._files.enter_context(tempfile.TemporaryDirectory(prefix="tcpspec-hand-"))
        self._said = self._files.enter_context(_said(folder))
        try:
            self._process, self._requests, self._answers = self._started(folder)
        except BaseException:
            self._files.close()
            raise
        self._rest = b""
        try:
            self.ready: dict[str, Any] = self._read(STARTS_WITHIN)
        except BaseException:
            self.close()
            raise

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run one cell and return what came of it; HarnessError if the session ends or hangs."""
        try:
            self._requests.write(json.dumps(request).encode() + b"\n")
            self._requests.flush()
        except OSError:
            raise self._ended() from None
        return self._read(2 * (self._job.patience + SPARE))

    def close(self) -> None:
        """End the session; a second call does nothing."""
        with contextlib.suppress(OSError):
            self._requests.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._files.close()

    def _started(self, reports: str) -> tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]:
        job = self._job
        folder = _folder(job.folder)
        for one in job.testcases:
            if not (folder / one.partition("::")[0]).exists():
                raise UsageError(f"{one}: there is no such file of testcases in {folder}")
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        words = [sys.executable, "-m", "pytest"]
        words += [str(folder / one) for one in job.testcases]
        words += ["--rootdir", str(folder.parent), "--target", job.target]
        words += ["--timers", "tuned" if job.tuned else "documented"]
        words += ["--patience", str(job.patience), "--reports", reports]
        words += ["--cells", f"{theirs_in},{theirs_out}", "-q", "-p", "no:cacheprovider"]
        try:
            process = subprocess.Popen(
                words,
                cwd=folder.parent,
                env={name: text for name, text in os.environ.items() if name != "PYTEST_ADDOPTS"},
                pass_fds=(theirs_in, theirs_out),
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=subprocess.STDOUT,
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        return process, os.fdopen(ours_out, "wb"), os.fdopen(ours_in, "rb", buffering=0)

    def _read(self, within: float) -> dict[str, Any]:
        """Read one answer, a line."""
        deadline = time.monotonic() + within
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._answers], [], [], left)[0]:
                self._process.kill()
                raise HarnessError(f"a session of testcases hung for {within:g} s")
            octets = self._answers.read(1 << 20)
            if not octets:
                raise self._ended()
            self._rest += octets
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _ended(self) -> HarnessError:
        """Say why the session ended: its own word for a user's mistake, or the last it said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5.0)
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        if errors:
            return UsageError(errors[-1])
        said = lines[-1] if lines else f"exit status {self._process.returncode}"
        return HarnessError(f"a session of testcases ended: {said}")


def _said(folder: str) -> IO[str]:
    """Open what a session prints into."""
    return Path(folder, "said").open("w+", encoding="utf-8")


def _folder(wanted: str) -> Path:
    """Return the folder of testcases: the client's where it is here, else this machine's own."""
    own = CHECKOUT / "testcases"
    for folder in (Path(wanted), own):
        if folder.is_dir():
            return folder
    raise UsageError(f"there is no folder {wanted} of testcases on this worker, and no {own}")


def sources(folder: str, functions: Sequence[str]) -> dict[str, Path]:
    """Return where the files of some testcases are, by their names in node ids."""
    root = _folder(folder).parent
    return {path: root / path for path in {one.partition("::")[0] for one in functions}}
