"""Scene: a picture as a list of plain marks, which a page and a file draw alike.

Lengths are pixels from the top left corner. A mark's `kind` is a word, or several, that the style
sheet knows; no mark knows a colour. Text is text: whoever draws it escapes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line; `kind` says whether it ends in an arrow."""

    x1: float
    y1: float
    x2: float
    y2: float
    kind: str

    def as_json(self) -> list[Any]:
        """Return the mark as the page's drawing script reads it."""
        return ["l", self.kind, *map(_short, (self.x1, self.y1, self.x2, self.y2))]


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text at its base line; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    kind: str
    anchor: str = "start"

    def as_json(self) -> list[Any]:
        """Return the mark as the page's drawing script reads it."""
        return ["t", self.kind, _short(self.x), _short(self.y), self.text, self.anchor[0]]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, with what is said of it when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    says: str = ""

    def as_json(self) -> list[Any]:
        """Return the mark as the page's drawing script reads it."""
        numbers = map(_short, (self.x, self.y, self.width, self.height))
        return ["r", self.kind, *numbers, *([self.says] if self.says else [])]


@dataclass(frozen=True, slots=True)
class Dot:
    """A point; `kind` says of what shape, `says` is what is said when it is pointed at."""

    x: float
    y: float
    kind: str
    says: str = ""

    def as_json(self) -> list[Any]:
        """Return the mark as the page's drawing script reads it."""
        numbers = map(_short, (self.x, self.y))
        return ["d", self.kind, *numbers, *([self.says] if self.says else [])]


@dataclass(frozen=True, slots=True)
class Outline:
    """A line through points."""

    points: tuple[tuple[float, float], ...]
    kind: str

    def as_json(self) -> list[Any]:
        """Return the mark as the page's drawing script reads it."""
        return ["p", self.kind, [_short(one) for point in self.points for one in point]]


Mark = Line | Text | Box | Dot | Outline


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture; `title` and `says` tell it to who cannot see it."""

    width: float
    height: float
    title: str
    says: str
    marks: Sequence[Mark] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the picture as the page's drawing script reads it."""
        return {
            "size": [_short(self.width), _short(self.height)],
            "title": self.title,
            "says": self.says,
            "marks": [mark.as_json() for mark in self.marks],
        }


def _short(number: float) -> float:
    """Round to what can be seen; whole numbers are written without a point."""
    rounded = round(number, 1)
    return int(rounded) if rounded == int(rounded) else rounded
