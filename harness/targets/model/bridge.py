"""Bridge: what two models meet on, with a capture of all that passes."""

import functools
from collections import deque
from dataclasses import replace

from harness.wire.link import Frame
from harness.wire.memory import DELAY, MemoryLink, VirtualClock


class Bridge:
    """A link of its own that only captures: what one port gets goes out of the other."""

    def __init__(self, clock: VirtualClock, one: MemoryLink, other: MemoryLink) -> None:
        self._clock = clock
        self._captured: deque[Frame] = deque()
        self._open = True
        one.listen(lambda: self._forward(one, other))
        other.listen(lambda: self._forward(other, one))

    @property
    def clock(self) -> VirtualClock:
        """The clock of both ports."""
        return self._clock

    @property
    def lost(self) -> int:
        """Frames that the capture lost so far: none."""
        return 0

    def send(self, octets: bytes) -> None:
        """Send nothing: who watches takes no part."""

    def poll(self) -> Frame | None:
        """Return the next frame that passed, or None; never waits."""
        return self._captured.popleft() if self._captured else None

    def close(self) -> None:
        """Neither forward nor capture any more; a second call does nothing."""
        self._open = False

    def _forward(self, one: MemoryLink, other: MemoryLink) -> None:
        while (frame := one.poll()) is not None:
            if self._open and not frame.sent:
                other.send(frame.octets)
                # Shown when it has arrived, so that nobody acts upon it before it has an effect.
                show = functools.partial(self._captured.append, replace(frame, sent=False))
                self._clock.at(self._clock.now() + DELAY, show)
