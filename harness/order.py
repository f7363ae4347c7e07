"""Order: which testcase a parallel run starts next, and which worker gets it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockf
from pathlib import Path
from typing import Any, TextIO

from xdist.scheduler.load import LoadScheduling

YIELDS = "tcpspec_yields"
"""The input of a worker that says whether it stands back for the others."""

NICENESS = 10
"""By how much it does."""


def yields(number: int, workers: int) -> bool:
    """Tell whether a worker, counted from 0, stands back: the last third of them.

    These run what is short, which computes all the time, and at a low priority: so that it does not
    hold up the others, which wait for timers and want to notice at once.
    """
    return workers > 2 and number >= workers - workers // 3


class LongestFirst(LoadScheduling):  # type: ignore[misc]
    """Hands out the longest testcase that is left; what queues behind it is the shortest.

    Every worker has its testcases sorted by their documented length, longest first. A worker of
    xdist starts a testcase only when it knows the next one, so one always queues: taken from the
    short end of the list, it never makes a second long wait begin after the first. A worker that
    stands back is given short ones only, until so few are left that the others need them to queue.
    """

    collection: list[str] | None

    def schedule(self) -> None:
        """Begin, or go on after a worker was replaced."""
        if self.collection is not None:
            for node in self.nodes:
                self.check_schedule(node)
            return
        if not self._check_nodes_have_same_collection():
            self.log("**Different tests collected, aborting run**")
            return
        collection = next(iter(self.node2collection.values()))
        self.collection = collection
        self.pending[:] = range(len(collection))
        self._behind: dict[Any, bool] = {}
        for node in self.nodes:
            self._hand_out(node, longest=not _stands_back(node))
        for node in self.nodes:
            self.check_schedule(node)

    def check_schedule(self, node: Any, duration: float = 0) -> None:  # noqa: ARG002 - its signature
        """Keep two testcases with a worker: the one it runs and the one that queues."""
        if node.shutting_down:
            return
        while self.pending and len(self.node2pending[node]) < 2:
            short = _stands_back(node) and len(self.pending) > 2 * len(self.nodes)
            self._hand_out(node, longest=not (short or self._behind.get(node, False)))
        if not self.pending:
            node.shutdown()

    def _hand_out(self, node: Any, *, longest: bool) -> None:
        if not self.pending:
            return
        # What a crashed worker leaves comes back at the end of the list, whatever its length.
        index = min(self.pending) if longest else max(self.pending)
        self.pending.remove(index)
        self._behind[node] = longest
        self.node2pending[node].append(index)
        node.send_runtest_some([index])


def _stands_back(node: Any) -> bool:
    return bool(getattr(node, "workerinput", {}).get(YIELDS))


class Turns:
    """Lets second attempts wait until every worker has done its first ones: one a processor then.

    Locks on the bytes of a file: all of them are shared by the workers that go through their
    testcases, each second attempt has one to itself, and each third all of them. The kernel gives
    them back however a worker ends.
    """

    def __init__(self, path: Path, places: int | None = None) -> None:
        self._path = path
        self._places = places or len(os.sched_getaffinity(0))
        self._file: TextIO | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold all places with all the others."""
        with self._open() as file:
            lockf(file, LOCK_SH, self._places)
            yield

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Let second attempts go on meanwhile: what only waits for long disturbs none of them.

        A second attempt that does so itself disturbs no other either: they wait side by side.
        """
        if self._file is None:
            yield
            return
        lockf(self._file, LOCK_UN)
        try:
            yield
        finally:
            lockf(self._file, LOCK_SH, self._places)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Hold one place, alone: the first that is free, or else the one that falls to us."""
        with self._open() as file:
            for place in range(self._places):
                try:
                    lockf(file, LOCK_EX | LOCK_NB, 1, place)
                    break
                except OSError:
                    continue
            else:
                lockf(file, LOCK_EX, 1, os.getpid() % self._places)
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold all places, with nobody else."""
        with self._open() as file:
            lockf(file, LOCK_EX, self._places)
            yield

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        with self._path.open("a+") as file:
            self._file = file
            try:
                yield file
            finally:
                self._file = None
