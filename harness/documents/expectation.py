"""Expectation: what a claim expects of one measure, typed by the measure's kind.

Every expectation says itself in words (`text`) and, where time is its matter, how long it is
documented to take (`nominal`, seconds). Whether an observation fits is judged elsewhere.
"""

from dataclasses import dataclass

from harness.documents.arrival import Step
from harness.documents.measure import Kind
from harness.states import State

NOTHING = "nothing"


def number(value: float) -> str:
    """Write a number to read: two decimals at most, three figures when it is small."""
    if value and abs(value) < 0.1:
        return f"{value:.3g}"
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return text or "0"


def alternatives(texts: tuple[str, ...]) -> str:
    """Join alternatives to read."""
    return " or ".join(texts)


@dataclass(frozen=True, slots=True)
class SegmentIs:
    """One of some patterns in the notation, or silence ("nothing")."""

    patterns: tuple[str, ...]

    @property
    def text(self) -> str:
        """The patterns as they were written."""
        return alternatives(self.patterns)


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds between two bounds; one length when they are the same, open where one is None.

    `timers` are the timers that run one after the other and make up the whole: each may be late.
    `stretch` is by how much the first timer, and with it all that follow from it, may be longer
    because it was measured from a round trip.
    """

    low: float | None
    high: float | None
    timers: tuple[float, ...] = ()
    stretch: float = 1.0

    @property
    def text(self) -> str:
        """`60 s`, `at least 180 s`, `60 to 240 s`."""
        if self.low is None:
            return f"at most {number(self.high or 0.0)} s"
        if self.high is None:
            return f"at least {number(self.low)} s"
        if self.low == self.high:
            return f"{number(self.low)} s"
        return f"{number(self.low)} to {number(self.high)} s"

    @property
    def nominal(self) -> float | None:
        """The longest time that is documented, seconds."""
        return self.high if self.high is not None else self.low


@dataclass(frozen=True, slots=True)
class Intervals:
    """A ladder whose intervals are documented one by one, in seconds; `stretch` as in Duration."""

    intervals: tuple[float, ...]
    stretch: float = 1.0

    @property
    def text(self) -> str:
        """`1, 2, 4 s`."""
        return ", ".join(map(number, self.intervals)) + " s" if self.intervals else "no repetition"

    @property
    def nominal(self) -> float | None:
        """All intervals together, and the wait that follows the last: a ladder ends only then."""
        if not self.intervals:
            return 0.0
        before, last = ([self.intervals[0] / 2, *self.intervals])[-2:]
        return sum(self.intervals) + last * last / before


@dataclass(frozen=True, slots=True)
class Count:
    """A number: one of some, between bounds, none of some others; whatever is given must hold."""

    values: tuple[int, ...] = ()
    low: int | None = None
    high: int | None = None
    unlike: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """`3`, `at least 1`, `32768 to 60999`, `not 0`."""
        parts = []
        if self.values:
            parts.append(alternatives(tuple(map(str, self.values))))
        if self.low is not None and self.high is not None:
            parts.append(f"{self.low} to {self.high}")
        elif self.low is not None:
            parts.append(f"at least {self.low}")
        elif self.high is not None:
            parts.append(f"at most {self.high}")
        if self.unlike:
            parts.append("not " + alternatives(tuple(map(str, self.unlike))))
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Shape:
    """A ladder of which only some properties are documented; whatever is given must hold.

    From interval number `start` on (1 is the first) each is `ratio` times the one before, as long
    as that stays within `up_to` seconds; or each is `constant` seconds. `count` is how many
    intervals there are, `first` the first one.
    """

    ratio: float | None = None
    start: int = 1
    up_to: float | None = None
    constant: float | None = None
    count: Count | None = None
    first: Duration | None = None

    @property
    def text(self) -> str:
        """`each interval twice the one before, 6 repetitions`."""
        parts = []
        if self.first is not None:
            parts.append(f"the first interval {self.first.text}")
        if self.ratio is not None:
            times = "twice" if self.ratio == 2 else f"{number(self.ratio)} times"
            parts.append(f"each interval {times} the one before")
            if self.start > 1:
                parts[-1] += f", from interval {self.start} on"
            if self.up_to is not None:
                parts[-1] += f", up to {number(self.up_to)} s"
        if self.constant is not None:
            parts.append(f"every {number(self.constant)} s")
        if self.count is not None:
            few = "repetition" if self.count.text.split()[-1] == "1" else "repetitions"
            parts.append(f"{self.count.text} {few}")
        return ", ".join(parts)

    @property
    def nominal(self) -> float | None:
        """How long it takes, where a count and an interval are documented."""
        count = self.count.values[0] if self.count and self.count.values else None
        if count is None:
            return None
        if self.constant is not None:
            return self.constant * count
        first = self.first.nominal if self.first else None
        if self.ratio is None or first is None:
            return None
        return sum(first * self.ratio ** max(0, step - self.start + 1) for step in range(count))


@dataclass(frozen=True, slots=True)
class States:
    """States passed through, in order: one of some sequences, with some, without others."""

    sequences: tuple[tuple[State, ...], ...] = ()
    includes: tuple[State, ...] = ()
    excludes: tuple[State, ...] = ()

    @property
    def text(self) -> str:
        """`ESTABLISHED, FIN-WAIT-1`."""
        parts = []
        if self.sequences:
            parts.append(alternatives(tuple(", ".join(states) for states in self.sequences)))
        if self.includes:
            parts.append("with " + ", ".join(self.includes))
        if self.excludes:
            parts.append("without " + ", ".join(self.excludes))
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Fact:
    """Yes or no."""

    value: bool

    @property
    def text(self) -> str:
        """`yes` or `no`: the measure asks whether."""
        return "yes" if self.value else "no"


@dataclass(frozen=True, slots=True)
class Word:
    """A word: one of some; of comma-separated ones, with some among them and without others."""

    words: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The word; `none` for an empty one."""
        parts = []
        if self.words:
            parts.append(alternatives(tuple(word or "none" for word in self.words)))
        if self.includes:
            parts.append("with " + ", ".join(self.includes))
        if self.excludes:
            parts.append("without " + ", ".join(self.excludes))
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Computed:
    """A named function of the effective knobs, still to be computed."""

    name: str
    kind: Kind

    @property
    def text(self) -> str:
        """The name, for where the knobs are not known."""
        return f"computed: {self.name}"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several expectations of one kind, any of which may hold; the first is the likeliest."""

    options: "tuple[Duration | Intervals | Count, ...]"

    @property
    def text(self) -> str:
        """The options, joined."""
        return alternatives(tuple(option.text for option in self.options))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a socket call returns: an errno's name, "success", "end of file"; and when."""

    outcomes: tuple[str, ...]
    after: Duration | Computed | AnyOf | None = None

    @property
    def text(self) -> str:
        """`ETIMEDOUT after at least 180 s`."""
        outcomes = alternatives(self.outcomes)
        return outcomes if self.after is None else f"{outcomes} after {self.after.text}"


@dataclass(frozen=True, slots=True)
class Cells:
    """Each cell as the steps of RFC 9293 section 3.10.7 have it that the claim is about.

    `by` is the one text whose way is expected; None where any that RFC 9293 allows is.
    """

    steps: frozenset[Step]
    by: str | None = None

    @property
    def text(self) -> str:
        """`as RFC 9293 has it: RST inside, SYN`."""
        return f"as {self.by or 'RFC 9293'} has it: {', '.join(sorted(self.steps))}"


Expectation = (
    SegmentIs | Duration | Intervals | Shape | Outcome | States | Count | Fact | Word | Cells
    | Computed | AnyOf
)  # fmt: skip


def nominal(expectation: Expectation) -> float | None:
    """Return how long what is expected takes, in seconds, or None where no time is documented."""
    match expectation:
        case Duration() | Intervals() | Shape():
            return expectation.nominal
        case Outcome(after=after) if after is not None:
            return nominal(after)
        case AnyOf(options=options):
            return nominal(options[0])
        case _:
            return None
