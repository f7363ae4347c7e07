"""Work: what a worker does for a sweep: it says what it can run, collects testcases, runs cells."""

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.sweep.cell import Result, fingerprint
from harness.sweep.hand import Hand, Job, sources
from harness.targets.registry import driver

_idle: dict[Job, list[Hand]] = {}
_lock = threading.Lock()


def abilities(targets: Sequence[str]) -> dict[str, str | None]:
    """Return for each target why it cannot run on this worker, or None if it can."""
    found: dict[str, str | None] = {}
    for name in targets:
        try:
            found[name] = driver(name).missing()
        except UsageError as error:
            found[name] = str(error)
    return found


def collect(job: Job) -> dict[str, Any]:
    """Return the testcases of a job, and what they and the target are on this worker.

    What is wrong is returned as `refused`: our errors do not travel as what they are.
    """
    try:
        return _collected(job)
    except HarnessError as error:
        return {"refused": str(error)}


def _collected(job: Job) -> dict[str, Any]:
    with _hand(job) as hand:
        functions = [one["function"] for one in hand.ready["testcases"]]
        files = sources(job.folder, functions)
        hashes = {
            name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
        }
        return {**hand.ready, "sources": hashes, "harness": fingerprint(), "worker": here()}


def run(job: Job, cells: Sequence[tuple[str, str, Mapping[str, str]]]) -> list[Result]:
    """Run cells, each a key, a testcase and its sysctls, one after another."""
    return [_run(job, *cell) for cell in cells]


def here() -> str:
    """Return the name of this worker: machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def close() -> None:
    """End all sessions that wait for work."""
    with _lock:
        waiting = [hand for hands in _idle.values() for hand in hands]
        _idle.clear()
    for hand in waiting:
        hand.close()


def _run(job: Job, key: str, testcase: str, sysctls: Mapping[str, str]) -> Result:
    """Run one cell; a session that ended of it is replaced, and the cell is tried once more."""
    reason = ""
    for _ in range(2):
        try:
            with _hand(job) as hand:
                told = hand.ask({"testcase": testcase, "sysctls": dict(sysctls)})
        except HarnessError as error:
            reason = str(error)
            continue
        return Result(
            key,
            told["outcome"],
            told["reason"],
            tuple(told["judgements"]),
            told["wall_s"],
            here(),
        )
    return Result(key, "error", reason, (), 0.0, here())


@contextlib.contextmanager
def _hand(job: Job) -> Iterator[Hand]:
    """Lend a session that waits for work, or a fresh one; one that failed is not used again."""
    with _lock:
        waiting = _idle.get(job)
        hand = waiting.pop() if waiting else None
    hand = hand or Hand(job)
    try:
        yield hand
    except BaseException:
        hand.close()
        raise
    with _lock:
        _idle.setdefault(job, []).append(hand)
