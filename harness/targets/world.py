"""World: what the worlds of stacks that run in real time share."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.targets.driver import Host
from harness.wire.link import Link
from harness.wire.real import RealClock


@dataclass(slots=True)
class RealWorld:
    """A clock, a link and stacks; `ends` ends whatever was put on it, the last first.

    Whoever makes a part puts its end there at once, so that a world that was half made can be
    closed like any other.
    """

    clock: RealClock
    hosts: Sequence[Host] = ()
    ends: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _link: Link | None = None

    def __post_init__(self) -> None:
        self.ends.callback(self.clock.close)

    @property
    def link(self) -> Link:
        """The link to the one stack; with two, a capture of all that passes between them."""
        assert self._link is not None
        return self._link

    def capture(self, link: Link) -> None:
        """Take over the link."""
        self._link = link
        self.ends.callback(link.close)

    def console(self) -> str:
        """Return the last lines that the stack itself printed; by default there are none."""
        return ""

    def close(self) -> None:
        """End everything that this world holds, whatever fails on the way; again does nothing."""
        self.ends.close()
