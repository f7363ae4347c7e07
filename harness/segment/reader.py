"""Reader: a place in a text of the notation, and the one line that says what is wrong there."""

import re
from dataclasses import dataclass
from typing import NoReturn

from harness.errors import UsageError
from harness.segment import sequence
from harness.segment.pattern import Hole, Number

_NO_MORE = "(?![0-9a-zA-Z_])"


@dataclass(slots=True)
class Reader:
    """A place in a text, and whether `*` may stand for a number there."""

    text: str
    holes: bool
    place: int = 0

    def take(self, expression: str) -> re.Match[str] | None:
        """Step over white space and what the expression matches, if it does match here."""
        match = re.compile(rf"\s*({expression})").match(self.text, self.place)
        if match is not None:
            self.place = match.end()
        return match

    def need(self, expression: str, expected: str) -> str:
        """Step over what the expression must match here."""
        match = self.take(expression)
        if match is None:
            self.fail(expected)
        return match[1]

    def number(self, name: str, largest: int, *, signed: bool = False) -> Number:
        """Step over a number, or a hole where holes are allowed."""
        if self.holes and self.take(r"\*"):
            return Hole.ANYTHING
        start = self.place
        kind = f"{name}, a number" + (" or *" if self.holes else "")
        sign = "-?" if signed else ""
        text = self.need(rf"{sign}(?:0x[0-9a-fA-F]{{1,8}}|[0-9]{{1,10}}){_NO_MORE}", kind)
        number = int(text, 16 if "x" in text else 10)
        if not -(largest // 2 + 1) * signed <= number <= largest:
            self.place = start
            self.fail(f"{name} of at most {largest}")
        return number % sequence.MODULUS

    def octets(self) -> bytes:
        """Step over hexadecimal octets, `0x0203`."""
        return bytes.fromhex(self.need(rf"0x(?:[0-9a-fA-F]{{2}})*{_NO_MORE}", "octets as 0xNN")[2:])

    def at_end(self) -> bool:
        """Tell whether only white space is left."""
        return not self.text[self.place :].strip()

    def fail(self, expected: str) -> NoReturn:
        """Raise the one line that shows the text, the place and what should stand there."""
        rest = self.text[self.place :].strip()
        found = f"at {rest!r} (character {self.text.index(rest, self.place) + 1})"
        what = "pattern" if self.holes else "segment"
        raise UsageError(
            f"{what} {self.text!r}: {found if rest else 'at its end'}: expected {expected}"
        )
