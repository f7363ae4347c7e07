"""Text: words and columns for a terminal that trusts nobody's strings."""

import textwrap
from collections.abc import Iterable, Sequence

ELLIPSIS = "…"


def printable(text: str) -> str:
    r"""Return `text` on one line, with what a terminal would act on escaped, as in `\x1b`.

    Control characters, line ends, marks that reverse the direction of writing and halves of
    surrogate pairs are all shown, never sent.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def cut(text: str, width: int) -> str:
    """Shorten `text` to `width` characters, at a comma or space where one is near."""
    if len(text) <= width:
        return text
    kept = text[: max(width - 1, 0)]
    edge = max(kept.rfind(", ") + 1, kept.rfind(" "))
    if edge > len(kept) * 9 // 10:
        kept = kept[:edge].rstrip()
    return kept + ELLIPSIS


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does: `a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Say how many: `1 claim`, `2 claims`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def distinct(words: Iterable[str]) -> list[str]:
    """Return each word once, in the order of its first appearance."""
    return list(dict.fromkeys(words))


def filled(label: str, text: str, *, width: int, indent: int = 2, column: int = 14) -> list[str]:
    """Set `text` beside `label`, wrapped at `width` with the lines below aligned, six at most."""
    head = " " * indent + label.ljust(column - indent)
    lines = textwrap.wrap(
        printable(text),
        width,
        initial_indent=head if head.endswith(" ") else head + " ",
        subsequent_indent=" " * column,
        max_lines=6,
        placeholder=" " + ELLIPSIS,
        break_on_hyphens=False,
    )
    return lines or [head.rstrip()]


def columns(rows: Sequence[Sequence[str]], *, right: bool = False, gap: int = 2) -> list[str]:
    """Align rows under each other; with `right`, all columns but the first stand flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right and place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((" " * gap).join(cells).rstrip())
    return lines
