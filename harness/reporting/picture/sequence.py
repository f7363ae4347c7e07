"""Sequence: a testcase's timeline as a sequence diagram, time running downwards.

The peer, or the client of two stacks, stands on the left, the target, or the server, on the right.
Between two events the distance is to scale; what is shorter than a row is a row, and what is much
longer is a break that says how long nothing happened.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness.documents.expectation import number
from harness.peer.timeline import ASIDE, TOWARDS
from harness.reporting.picture.drops import Rule, change
from harness.reporting.picture.ends import End, Numbers
from harness.reporting.picture.scene import Box, Line, Mark, Outline, Scene, Text
from harness.reporting.text import counted, cut
from harness.reporting.timelines import Happened, Story
from harness.states import State

WIDTH = 960
TIME, LEFT, RIGHT = 62, 250, 640
"""Where times end, and where both ends stand."""

MIDDLE = (LEFT + RIGHT) / 2

TOP, ROW, LONGEST, BREAK, FOOT = 58, 24, 150, 58, 30
"""Heights: above the first event, of a row, of the longest distance to scale, of a break, below."""

FEW_PIXELS = 30
"""What the usual shortest silence is drawn as."""

SILENCE = 0.05
"""Seconds without an event that are worth a distance of their own."""

SHOWN = 240
"""Events that are drawn at most; the capture has them all."""

_STATE = re.compile(r"the target (is in|has left) ([A-Z0-9-]+)$")
_STAMPS = re.compile(r"TS val \d+ ecr \d+")


@dataclass(slots=True)
class _Strip:
    """One end along its line: its states, of which `said` lasts, and the rules that drop there."""

    x: float
    side: int
    end: End = field(default_factory=End)
    since: float = 0.0
    said: State | None = None
    rules: dict[Rule, float] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """How text beside the line is aligned."""
        return "start" if self.side > 0 else "end"

    def follow(self, y: float, *, written: bool = True) -> None:
        """Take note, at a height, of the state that follows from what passed."""
        state = self.end.state
        if state is self.said or (self.said is None and state is State.CLOSED):
            return
        self.close(y)
        self.since, self.said = y, state
        if written:
            self.marks.append(
                Text(self.x + self.side * 12, y + 4, str(state), "state", self.anchor)
            )

    def leave(self, y: float) -> None:
        """Take note that there is no connection any more."""
        self.close(y)
        self.said, self.end.state = None, State.CLOSED

    def close(self, y: float) -> None:
        """Draw the state that lasted until a height."""
        if self.said is not None and y > self.since:
            kind = f"strip {self.said.lower()}"
            self.marks.append(Box(self.x - 4, self.since, 8, y - self.since, kind, self.said))

    def rule(self, y: float, text: str) -> None:
        """Take note of a rule that is added or removed."""
        found = change(text)
        if found is None:
            return
        if found.added:
            self.rules.setdefault(found.rule, y)
        elif found.rule in self.rules:
            self._barrier(found.rule, self.rules.pop(found.rule), y)

    def finish(self, y: float) -> None:
        """Draw what has not ended."""
        self.close(y)
        for rule, since in self.rules.items():
            self._barrier(rule, since, y)

    def drops(self, segment: Numbers) -> bool:
        """Tell whether a segment that comes in ends at a rule."""
        return any(rule.drops(segment) for rule in self.rules)

    def _barrier(self, rule: Rule, since: float, until: float) -> None:
        x = self.x - self.side * 14 - 3
        self.marks.append(Box(x, since, 6, until - since, "barrier", f"dropped: {rule.text}"))


@dataclass(slots=True)
class _Diagram:
    """A diagram while it is being laid out."""

    story: Story
    several: bool
    strips: tuple[_Strip, _Strip]

    def event(self, event: Happened, y: float) -> Iterator[Mark]:
        """Lay out one event at its height."""
        if event.direction != ASIDE:
            yield from self._segment(event, y)
        elif found := _STATE.match(event.text):
            self._look(y, *found.groups())
            words = event.text.removeprefix("the target ")
            yield Text(RIGHT + 12, y + 4, words, "seen")
        elif event.text.startswith(("< ", "> ")):
            towards = event.text.startswith("<")
            yield from _arrow(y, towards=towards, label=event.text[2:], kind="icmp")
        elif event.text.startswith("stray "):
            yield Text(MIDDLE, y + 4, cut(event.text, 60), "note", "middle")
        else:
            yield from self._call(y, event.text)

    def _call(self, y: float, text: str) -> Iterator[Mark]:
        client = self.story.pair and text.startswith("client: ")
        strip = self.strips[0] if client else self.strips[1]
        if self.story.pair:
            text = text.removeprefix("client: ").removeprefix("server: ")
        if "connect(" in text and " = E" in text and strip.said is State.SYN_SENT:
            strip.leave(y)
        if text.startswith("listen(") and not self.several:
            strip.end.listens()
            strip.follow(y, written=False)
        strip.rule(y, text)
        kind = "rule" if text.startswith(("iptables ", "ip6tables ")) else "call"
        yield Text(
            strip.x + strip.side * 12, y + 4, cut(text, 44 if strip.side > 0 else 27), kind,
            strip.anchor,
        )  # fmt: skip

    def _segment(self, event: Happened, y: float) -> Iterator[Mark]:
        towards = event.direction == TOWARDS
        label = _STAMPS.sub("TS", event.text)
        if self.several and event.connection is not None:
            label = f"#{event.connection + 1}  {label}"
        numbers = Numbers.of(event.text)
        sender, receiver = self.strips if towards else self.strips[::-1]
        dropped = numbers is not None and receiver.drops(numbers)
        kind = _kind(numbers)
        yield from _arrow(y, towards=towards, label=label, kind=kind, dropped=dropped)
        if self.several or numbers is None:
            return
        sender.end.sends(numbers)
        if not dropped:
            receiver.end.receives(numbers)
        for strip in self.strips:
            strip.follow(y)

    def _look(self, y: float, verb: str, name: str) -> None:
        """Take what was seen in the state table for the state."""
        strip = self.strips[1]
        if self.several or name not in list(State):
            return
        if verb == "is in":
            strip.end.state = State(name)
            strip.follow(y, written=False)
        elif strip.said is State(name):
            strip.leave(y)


def scene(story: Story, *, left: str, right: str) -> Scene:
    """Return the diagram of a timeline; `left` and `right` are the names of the ends."""
    events = story.events[:SHOWN]
    heights, breaks = _heights(events)
    bottom = (heights[-1] if heights else TOP) + FOOT
    several = len({one.connection for one in events} - {None}) > 1
    diagram = _Diagram(story, several, (_Strip(LEFT, -1), _Strip(RIGHT, 1)))
    body: list[Mark] = []
    time = ""
    for event, y in zip(events, heights, strict=True):
        if (now := f"{event.at:.3f}") != time:
            body.append(Text(TIME, y + 4, now, "time", "end"))
            time = now
        body += diagram.event(event, y)
    for strip in diagram.strips:
        strip.finish(bottom - 10)
    marks = [*_frame(left, right, bottom), *diagram.strips[0].marks, *diagram.strips[1].marks]
    marks += [mark for y, seconds in breaks for mark in _break(y, seconds)]
    marks += body
    if rest := len(story.events) - len(events):
        words = f"{counted(rest, 'more event')}: the capture has them"
        marks.append(Text(MIDDLE, bottom + 12, words, "note", "middle"))
        bottom += 24
    count = sum(one.direction != ASIDE for one in story.events)
    says = f"{counted(count, 'segment')} between {left} and {right}, the list tells them as text"
    return Scene(WIDTH, bottom, "Sequence diagram", says, marks)


def _heights(events: Sequence[Happened]) -> tuple[list[float], list[tuple[float, float]]]:
    """Return the height of each event, and height and seconds of each break."""
    gaps = [later.at - one.at for one, later in itertools.pairwise(events)]
    silent = sorted(gap for gap in gaps if gap >= SILENCE)
    scale = FEW_PIXELS / silent[len(silent) // 4] if silent else 0.0
    y = float(TOP)
    heights, breaks = [y] if events else [], []
    for gap in gaps:
        distance = gap * scale
        if distance > LONGEST:
            breaks.append((y + BREAK / 2, gap))
            distance = BREAK
        y += max(ROW, distance)
        heights.append(y)
    return heights, breaks


def _frame(left: str, right: str, bottom: float) -> Iterator[Mark]:
    yield Text(TIME, 22, "s", "unit", "end")
    for x, name in ((LEFT, left), (RIGHT, right)):
        yield Text(x, 22, cut(name, 34), "end-name", "middle")
        yield Line(x, 32, x, bottom - 10, "lifeline")


def _break(y: float, seconds: float) -> Iterator[Mark]:
    for x in (LEFT, RIGHT):
        yield Box(x - 7, y - 5, 14, 10, "gap")
        for shift in (-5, 5):
            points = ((x - 9, y + shift + 3), (x - 3, y + shift - 3), (x + 3, y + shift + 3))
            yield Outline((*points, (x + 9, y + shift - 3)), "zigzag")
    yield Text(MIDDLE, y + 4, f"{number(seconds)} s of silence", "silence", "middle")


def _kind(numbers: Numbers | None) -> str:
    flags = numbers.flags if numbers else ""
    names = (("R", "reset"), ("S", "syn"), ("F", "fin"))
    return next((name for letter, name in names if letter in flags), "plain")


def _arrow(
    y: float, *, towards: bool, label: str, kind: str, dropped: bool = False
) -> Iterator[Mark]:
    begin, end, side = (LEFT + 5, RIGHT - 5, 1) if towards else (RIGHT - 5, LEFT + 5, -1)
    if dropped:
        end -= side * 14
        yield Line(begin, y, end, y, f"lost {kind}")
        for rise in (-5, 5):
            yield Line(end - 5, y - rise, end + 5, y + rise, "cross")
    else:
        yield Line(begin, y, end, y, f"arrow {kind}")
    yield Text(MIDDLE, y - 4, cut(label, 54), f"segment {kind}", "middle")
