"""Progress: what a run is waiting for, and for how long.

Most of a run is waiting: for timers of minutes, side by side. On a terminal one line says so and is
rewritten in place; elsewhere a whole line now and then shows that the run is alive. Nothing here
asks for the time: `now` is any clock's seconds, the same clock in every call. Events may come from
several threads, since no hook of pytest is called while everything waits.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.reporting.text import cut, printable

SIGN_OF_LIFE = 15.0
"""Seconds between two lines where the output is no terminal."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    name: str
    nominal_s: float | None
    since: float

    def left(self, now: float) -> float:
        return self.since + (self.nominal_s or 0.0) - now


class Progress:
    """The progress of one run, told to `write` in pieces of text that bring their own line ends.

    `width` is the terminal's, in columns. `total` may be set when collection has ended; until then
    the line counts without an end.
    """

    def __init__(
        self,
        write: Callable[[str], object],
        width: int,
        is_tty: bool,
        *,
        total: int | None = None,
    ) -> None:
        self.total = total
        self._write = write
        self._width = width
        self._is_tty = is_tty
        self._waiting: dict[str, _Waiting] = {}
        self._done: set[str] = set()
        self._shown = ""
        self._told: float | None = None
        self._ended = False
        self._lock = threading.RLock()

    def started(
        self, nodeid: str, measures: Sequence[str], nominal_s: float | None, now: float
    ) -> None:
        """Note that a testcase began, what it measures, and how long it should take (seconds)."""
        name = measures[0] if measures else nodeid.rpartition("::")[2].partition("[")[0]
        with self._lock:
            self._waiting[nodeid] = _Waiting(printable(name), nominal_s, now)
            self._done.discard(nodeid)
            if self._told is None:
                self._told = now
            self.tick(now)

    def finished(self, nodeid: str, now: float) -> None:
        """Note that a testcase ended; one that never started counts too."""
        with self._lock:
            self._waiting.pop(nodeid, None)
            self._done.add(nodeid)
            if self._is_tty:
                self.tick(now)

    def tick(self, now: float) -> None:
        """Show how things stand: at every change on a terminal, else every 15 s of waiting."""
        with self._lock:
            if self._ended:
                return
            if self._is_tty:
                self._rewrite(self.line(now) if self._waiting else "")
            elif self._waiting and now - (self._told or 0.0) >= SIGN_OF_LIFE:
                self._told = now
                self._write(self.line(now) + "\n")

    def clear(self) -> None:
        """Take the line away, so that others may write; the next event shows it again."""
        with self._lock:
            if self._is_tty:
                self._rewrite("")

    def end(self) -> None:
        """Take the line away for good; what happens later shows nothing."""
        with self._lock:
            self.clear()
            self._ended = True

    def line(self, now: float) -> str:
        """Return the line: how many are done, how many wait, for what, the longest wait first."""
        with self._lock:
            done = self._count()
            waits = sorted(self._waiting.values(), key=lambda one: (-one.left(now), one.name))
        head = f"[{done}] {len(waits)} waiting"
        items = list(_items(waits, now))
        text = head + (": " + ", ".join(items) if items else "")
        room = self._width - 1  # a full line makes some terminals wrap
        while len(text) > room and len(items) > 1:
            items.pop()
            text = f"{head}: {', '.join(items)}, …"
        return cut(text, room)

    def _count(self) -> str:
        if self.total is None:
            return str(len(self._done))
        return f"{len(self._done):{len(str(self.total))}}/{self.total}"

    def _rewrite(self, text: str) -> None:
        """Replace the line on the terminal, overwriting with spaces what was longer before."""
        if text == self._shown:
            return
        self._write("\r" + text.ljust(len(self._shown)) + ("" if text else "\r"))
        self._shown = text


def _items(waits: Iterable[_Waiting], now: float) -> Iterable[str]:
    """Word each wait; those of one name and length stand together under the longest left."""
    groups: dict[tuple[str, float | None], list[_Waiting]] = {}
    for wait in waits:
        groups.setdefault((wait.name, wait.nominal_s), []).append(wait)
    for (name, nominal), members in groups.items():
        times = f"{len(members)}x " if len(members) > 1 else ""
        ahead = f" of {nominal:.0f} s" if nominal else ""
        yield f"{times}{name} {max(0.0, now - members[0].since):.0f} s{ahead}"
