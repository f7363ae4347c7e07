"""Timeline: what happened on link and socket, when, in order."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.segment.notation import write
from harness.segment.segment import Segment

TOWARDS, FROM, ASIDE = "<", ">", " "


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `direction` is seen from the target, `at` is the clock's seconds."""

    at: float
    direction: str
    text: str
    segment: Segment | None = None


@dataclass(slots=True)
class Timeline:
    """Events of one testcase; segments carry relative numbers."""

    events: list[Event] = field(default_factory=list)

    def segment(self, at: float, direction: str, segment: Segment) -> None:
        """Note a segment that passed the link."""
        self.events.append(Event(at, direction, write(segment, brief=True), segment))

    def note(self, at: float, text: str) -> None:
        """Note anything else: a socket call, a state, a rule."""
        self.events.append(Event(at, ASIDE, text))

    def __iter__(self) -> Iterator[Event]:
        return iter(sorted(self.events, key=lambda event: event.at))

    def lines(self, last: int | None = None) -> list[str]:
        """Return the events as text, times in seconds from the first, at most the `last` ones."""
        ordered = list(self)
        if not ordered:
            return ["nothing happened"]
        origin = ordered[0].at
        shown = ordered[-last:] if last else ordered
        lines = [f"{event.at - origin:+10.3f} {event.direction} {event.text}" for event in shown]
        if len(shown) < len(ordered):
            lines.insert(0, f"… {len(ordered) - len(shown)} earlier events")
        return lines
