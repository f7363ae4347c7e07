"""Heatmap: which setting moves which measure, as a picture: a row a measure, a column a setting."""

from collections.abc import Callable, Sequence

from harness.reporting.effects import Effect
from harness.reporting.picture.scene import Box, Mark, Scene, Text
from harness.reporting.text import cut, printable

CELL, GAP = 46, 2
_LEFT, _TOP, _BOTTOM = 330, 60, 70
_LETTER = 7.2
_STEPS = 4
_LONGEST = 40


def heatmap(
    title: str, effects: Sequence[Effect], documented: Callable[[str, str], bool]
) -> Scene | None:
    """Draw what moves what; None where nothing does.

    The darker a cell, the more of the compared pairs of cells moved. A mark says that no document
    relates the two. Rows and columns in which nothing moves are left out.
    """
    moving = [one for one in effects if one.moved]
    rows = sorted({(one.target, one.measure) for one in moving})
    columns = sorted({one.sysctl for one in moving})
    if not rows:
        return None
    by_place = {(one.target, one.measure, one.sysctl): one for one in effects}
    names = [_short(name) for name in columns]
    top = _TOP + min(_LONGEST, max(map(len, names))) * _LETTER
    marks: list[Mark] = [Text(10, 24, printable(title), "title")]
    for at, name in enumerate(names):
        # Names of settings are long: each stands a line above the one before it, over its column.
        x, y = _x(at), top - 10 - (at % 4) * 15
        marks.append(Text(x, y, cut(printable(name), _LONGEST), "label"))
    for line, (target, measure) in enumerate(rows):
        y = top + line * (CELL / 2 + GAP)
        said = cut(printable(f"{target} {measure}"), _LONGEST + 4)
        marks.append(Text(_LEFT - 8, y + CELL / 3, said, "label", "end"))
        for at, sysctl in enumerate(columns):
            effect = by_place.get((target, measure, sysctl))
            marks += _cell(_x(at), y, effect, documented)
    height = top + len(rows) * (CELL / 2 + GAP) + _BOTTOM
    marks += _legend(height - _BOTTOM + 30)
    width = _LEFT + len(columns) * (CELL + GAP) + _LONGEST * _LETTER
    return Scene(width, height, title, _says(moving), tuple(marks))


def _x(at: int) -> float:
    return _LEFT + at * (CELL + GAP)


def _cell(
    x: float, y: float, effect: Effect | None, documented: Callable[[str, str], bool]
) -> list[Mark]:
    if effect is None or not effect.compared:
        return []
    level = -(-effect.moved * _STEPS // effect.compared)
    says = f"{effect.sysctl}, {effect.measure}: {effect.moved} of {effect.compared} pairs moved"
    if effect.example:
        (first, before), (second, after) = effect.example
        says += f"; {first}: {before} > {second}: {after}"
    marks: list[Mark] = [Box(x, y, CELL, CELL / 2, f"heat heat-{level}", says)]
    if effect.moved and not documented(effect.measure, effect.sysctl):
        marks.append(Text(x + CELL / 2, y + CELL / 3, "*", f"heat-text-{level}", "middle"))
    return marks


def _legend(y: float) -> list[Mark]:
    marks: list[Mark] = []
    for level in range(_STEPS + 1):
        marks.append(Box(10 + level * 84, y, 20, 14, f"heat heat-{level}"))
        word = "none" if not level else f"to {100 * level // _STEPS} %"
        marks.append(Text(34 + level * 84, y + 11, word, "label"))
    text = "of the pairs moved; * no document relates the two"
    return [*marks, Text(10 + (_STEPS + 1) * 84, y + 11, text, "label")]


def _says(moving: Sequence[Effect]) -> str:
    return "; ".join(
        f"{one.sysctl} moves {one.measure} on {one.target} ({one.moved} of {one.compared})"
        for one in moving
    )


def _short(sysctl: str) -> str:
    return sysctl.removeprefix("net.ipv4.").removeprefix("net.ipv6.")
