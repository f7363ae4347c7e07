"""Drawing: a scene as an SVG file that needs nothing beside it; the door to drawsvg."""

from importlib.resources import files
from typing import Any

from harness.errors import UsageError
from harness.reporting.picture.scene import Box, Dot, Line, Mark, Outline, Scene, Text
from harness.reporting.text import printable

try:
    import drawsvg
except ImportError:  # the extra `report` is not installed
    drawsvg = None

RADIUS = 5

STYLE = files(__package__).joinpath("picture.css").read_text(encoding="utf-8")
"""How marks look, light and dark; pages have it too."""


def available() -> bool:
    """Tell whether scenes can be drawn here."""
    return drawsvg is not None


def svg(scene: Scene) -> str:
    """Return a scene as SVG with its style; UsageError if drawsvg is missing."""
    if drawsvg is None:
        raise UsageError("pictures need drawsvg: pip install 'tcpspec[report]'")
    picture = drawsvg.Drawing(scene.width, scene.height, role="img", class_="picture")
    picture.append_css(STYLE)
    picture.append_title(printable(scene.title))
    picture.append(drawsvg.Title(printable(scene.says)))
    picture.append(drawsvg.Rectangle(0, 0, scene.width, scene.height, class_="paper"))
    for mark in scene.marks:
        picture.append(_element(mark))
    text: str = picture.as_svg()
    return text


def _element(mark: Mark) -> Any:
    match mark:
        case Line(x1, y1, x2, y2, kind):
            if "arrow" not in kind.split():
                return drawsvg.Line(x1, y1, x2, y2, class_=kind)
            group = drawsvg.Group(class_=kind)
            group.append(drawsvg.Line(x1, y1, x2, y2))
            group.append(drawsvg.Lines(*_head(x1, x2, y2), close=True, class_="head"))
            return group
        case Text(x, y, text, kind, anchor):
            return drawsvg.Text(printable(text), None, x, y, class_=kind, text_anchor=anchor)
        case Box(x, y, width, height, kind, says):
            return _said(drawsvg.Rectangle(x, y, width, height, rx=2, class_=kind), says)
        case Dot(x, y, kind, says):
            return _said(_shape(x, y, kind), says)
        case Outline(points, kind):
            flat = [number for point in points for number in point]
            return drawsvg.Lines(*flat, class_=kind, fill="none")


def _head(x1: float, x2: float, y: float) -> tuple[float, ...]:
    back = x2 - 9 if x2 > x1 else x2 + 9
    return x2, y, back, y - 4, back, y + 4


def _shape(x: float, y: float, kind: str) -> Any:
    if "diamond" in kind.split():
        corners = x, y - RADIUS, x + RADIUS, y, x, y + RADIUS, x - RADIUS, y
        return drawsvg.Lines(*corners, close=True, class_=kind)
    return drawsvg.Circle(x, y, RADIUS - 1, class_=kind)


def _said(element: Any, says: str) -> Any:
    if says:
        element.append_title(printable(says))
    return element
