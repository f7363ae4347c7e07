"""Flood: SYNs from forged sources at a steady rate, while the testcase goes on."""

import math
from typing import Self

from harness.peer.timeline import Timeline
from harness.wire.clock import Clock
from harness.wire.volley import Volley

PERIOD = 0.005
"""Seconds between two portions of a flood."""

_BEHIND = 20
"""Portions that may be made up for when the machine was held up."""


class Flood:
    """A flood for the length of a `with` block. It flows while the testcase waits for anything."""

    def __init__(self, clock: Clock, volley: Volley, rate: float, timeline: Timeline) -> None:
        self._clock = clock
        self._timeline = timeline
        self._rate = rate
        self._volley = volley
        self._portion = rate * PERIOD
        self._owed = 0.0
        self._last = 0.0
        self.sent = 0

    def __enter__(self) -> Self:
        self._last = self._clock.now()
        self._timeline.note(self._last, f"< a flood begins, {self._rate:,.0f} SYNs a second")
        self._end = self._clock.every(PERIOD, self._pour)
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._timeline.note(self._clock.now(), f"< the flood ends after {self.sent:,} SYNs")

    def _pour(self, _due: float) -> None:
        now = self._clock.now()
        self._owed += self._portion * min((now - self._last) / PERIOD, _BEHIND)
        self._last = now
        whole = math.floor(self._owed)
        self._owed -= whole
        self.sent += self._volley.fire(whole)
