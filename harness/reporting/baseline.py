"""Baseline: what a run observed, a line a measure, kept beside the source to compare runs with.

    # target | family | testcase | measure | observed | verdicts | knobs
    @ netns | linux | 6.18.1 | 0.004 | wheel
    = netns | net.ipv4.tcp_fin_timeout | 3
    netns | ipv4 | testcases/…::test_x | connect_timeout | ETIMEDOUT after 7.01..7.2 s | co…

`@` is a target, with the length of its timer tick and whether its timers stand in Linux's wheel;
`=` one of its sysctls before any testcase. Several attempts at one testcase make a spread,
`7.01..7.2`; what was observed in other words stands beside it, after `||`. `any` is a count of
which the documents give the bounds alone: a port, say.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import UsageError
from harness.judgement.precision import ALLOWANCE, EARLY
from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.findings import alike, behaviour, grouped
from harness.reporting.run import Run
from harness.reporting.text import printable
from harness.targets.wheel import granule

FOLDER = "baselines"
SUFFIX = ".txt"
HEAD = (
    "# A tcpspec baseline, form 1: what a run observed, a line a measure.\n"
    "# `tcpspec baseline save NAME [RUN]` writes it, `pytest --baseline NAME` compares with it.\n"
    "# target | family | testcase | measure | observed | verdicts | knobs\n"
)
ANY = "any"
_OPEN = "more than "
_FRESH = re.compile(r"(?<=TS val )\d+( ecr )\d+")
"""What is another number each time: of timestamps it only counts that they are there."""
_PATIENCE = "s of patience"
"""The end of every reason that says for how long something was waited for in vain."""
_BESIDE, _BAR, _NOTHING, _WHEEL = " || ", " | ", "-", "wheel"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_BETWEEN = re.compile(r"(\d+(?:\.\d+)?) to (\d+(?:\.\d+)?)")
_SPREAD = re.compile(r"\d+(?:\.\d+)?(?:\.\.\d+(?:\.\d+)?)?")
_JUDGED = (Verdict.CONFORMS, Verdict.PERMITTED, Verdict.DEVIATES)

Place = tuple[str, str, str, str]
"""Target, family, testcase, measure."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A target of a baseline: its timers, and its sysctls before any testcase."""

    name: str
    stack: str
    version: str
    tick: float = 0.0
    wheel: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """One measure of one testcase: what was observed, what claims made of it, knobs in force.

    `texts` are what `observed` is the spread of, where that is known: each claim has its own words.
    """

    target: str
    family: str
    testcase: str
    measure: str
    observed: str
    verdicts: Mapping[str, Verdict]
    knobs: Mapping[str, float]
    reason: str = ""
    noise: float = 0.0
    texts: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """What it is about."""
        return self.target, self.family, self.testcase, self.measure


@dataclass(frozen=True, slots=True)
class Baseline:
    """Lines by what they are about, and the targets."""

    name: str
    stacks: Mapping[str, Stack]
    lines: Mapping[Place, Line]


@dataclass(frozen=True, slots=True)
class Change:
    """A measure that is not as it was; `verdicts` are the claims whose verdict changed."""

    before: Line
    now: Line
    moved: bool
    verdicts: Mapping[str, tuple[Verdict, Verdict]]

    @property
    def cut(self) -> bool:
        """Whether it was watched for less time than it takes."""
        return cut_off(self.now.reason, self.now.observed)

    @property
    def measured(self) -> bool:
        """Whether anything was observed now."""
        return bool(self.now.observed)


def lines_of(
    judgements: Iterable[Judgement], bounded: Callable[[str], bool] = lambda _: False
) -> dict[Place, Line]:
    """Put judgements together by measure; `bounded` tells counts that may be any within bounds."""
    found: dict[Place, Line] = {}

    def place(one: Judgement) -> Place:
        return one.target, one.family or "", behaviour(one), one.measure

    for where, several in grouped(judgements, place).items():
        said = (end for one in several if one.observed for end in _ends(steady(one.observed)))
        texts = list(dict.fromkeys(said))
        observed = ANY if texts and bounded(where[3]) else spread(texts)
        knobs = {k: v for one in several for k, v in one.knobs.items()}
        found[where] = Line(
            *where,
            observed,
            {one.claim: _worst(several, one.claim) for one in several},
            dict(sorted(knobs.items())),
            next((one.reason for one in several if one.reason and not one.observed), ""),
            max((one.noise_s or 0.0 for one in several), default=0.0),
            tuple(texts),
        )
    return found


_ORDER = (
    Verdict.DEVIATES,
    Verdict.PERMITTED,
    Verdict.CONFORMS,
    Verdict.UNSUPPORTED,
    Verdict.INCONCLUSIVE,
)


def _worst(several: Sequence[Judgement], claim: str) -> Verdict:
    return min((one.verdict for one in several if one.claim == claim), key=_ORDER.index)


def spread(texts: Iterable[str]) -> str:
    """Write texts that differ in numbers alone as one, with the bounds of each number."""
    by_words: dict[str, list[list[str]]] = {}
    for text in texts:
        by_words.setdefault(_NUMBER.sub("#", text), []).append(_NUMBER.findall(text))
    return _BESIDE.join(_bounds(words, found) for words, found in by_words.items())


def _bounds(words: str, found: Sequence[Sequence[str]]) -> str:
    columns = [sorted(set(column), key=float) for column in zip(*found, strict=True)]
    numbers = iter(one[0] if len(one) == 1 else f"{one[0]}..{one[-1]}" for one in columns)
    return re.sub("#", lambda _: next(numbers), words) if columns else words


def within(observed: str, known: str, stack: Stack, noise: float = 0.0) -> bool:
    """Tell whether an observation lies in the spread of a baseline.

    Where a number has a fraction it is a time: it may be off by a granule of the stack's timers,
    since the baseline may have been early or late in one, and by what this machine adds.
    """
    if known == ANY:
        return True
    return any(_within(observed, one, stack, noise) for one in known.split(_BESIDE))


def _within(observed: str, known: str, stack: Stack, noise: float) -> bool:
    if _NUMBER.sub("#", observed) != _SPREAD.sub("#", known):
        return False
    for text, bounds in zip(_NUMBER.findall(observed), _SPREAD.findall(known), strict=True):
        low, _, high = bounds.partition("..")
        if not _between(text, low, high or low, stack, noise):
            return False
    return True


def _between(text: str, low: str, high: str, stack: Stack, noise: float) -> bool:
    number, least, most = float(text), float(low), float(high)
    if least <= number <= most:
        return True
    if "." not in text + low + high:
        return False
    if not stack.wheel or not stack.tick:
        return alike(text, low) or alike(text, high)
    early = max(granule(max(number, least), stack.tick), ALLOWANCE) + EARLY + noise
    late = granule(max(number, most), stack.tick) + ALLOWANCE + noise
    return least - early <= number <= most + late


def changes(baseline: Baseline, now: Mapping[Place, Line]) -> Iterator[Change]:
    """Yield what is not as it was, of what both have; a verdict that noise spoilt is no change."""
    for place, line in now.items():
        before = baseline.lines.get(place)
        if before is not None and (change := _change(before, line, baseline.stacks[place[0]])):
            yield change


def _change(before: Line, now: Line, stack: Stack) -> Change | None:
    both = before.verdicts.keys() & now.verdicts.keys()
    verdicts = {
        claim: (before.verdicts[claim], now.verdicts[claim])
        for claim in sorted(both)
        if before.verdicts[claim] is not now.verdicts[claim]
        and Verdict.INCONCLUSIVE not in (before.verdicts[claim], now.verdicts[claim])
    }
    if not now.observed:
        # It could not be observed: a change only if it is the stack, or its settings, that refuse.
        gone = any(one is Verdict.UNSUPPORTED for _, one in verdicts.values())
        watched = cut_off(now.reason, now.observed)
        return (
            Change(before, now, False, verdicts) if before.observed and (gone or watched) else None
        )
    if not before.observed:
        return None
    texts = now.texts or (now.observed,)
    moved = not all(within(text, before.observed, stack, now.noise) for text in texts)
    # What a document says of a default is not judged beside it: that alone moves nothing.
    judged = {claim: pair for claim, pair in verdicts.items() if Verdict.UNSUPPORTED not in pair}
    return Change(before, now, moved, verdicts) if moved or judged else None


def save(run: Run, path: Path, bounded: Callable[[str], bool]) -> int:
    """Write a run as a baseline; return how many lines. UsageError if it cannot be written."""
    found = lines_of(run.verdicts, bounded)
    rows = [HEAD]
    for target in run.targets:
        wheel = _WHEEL if target.wheel else _NOTHING
        about = (target.name, target.stack, target.version, f"{target.tick:g}", wheel)
        rows.append(f"@ {_BAR.join(about)}\n")
        pairs = sorted(target.sysctls.items())
        rows += [f"= {_BAR.join((target.name, name, worded(text)))}\n" for name, text in pairs]
    kept = [line for line in found.values() if line.observed]
    rows += [_text(line) for line in sorted(kept, key=lambda one: one.place)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(rows), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    return len(kept)


def place_of(name: str, folder: Path) -> Path:
    """Return the file of a baseline: a path as it is, a name in the folder of baselines."""
    if "/" in name or name.endswith(SUFFIX):
        return folder / name
    return folder / FOLDER / f"{name}{SUFFIX}"


def read(path: Path) -> Baseline:
    """Read a baseline; UsageError names the file and the line that is not one of a baseline."""
    try:
        rows = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UsageError(
            f"there is no baseline {path}; `tcpspec baseline save {path.stem}` makes one of a run"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: {getattr(error, 'strerror', None) or 'not UTF-8 text'}"
        ) from None
    stacks: dict[str, Stack] = {}
    sysctls: dict[str, dict[str, str]] = {}
    lines: dict[Place, Line] = {}
    for number, row in enumerate(rows, start=1):
        kind, _, rest = row.partition(" ")
        try:
            if kind == "@":
                name = rest.partition(_BAR)[0]
                stacks[name] = _stack(rest, sysctls.setdefault(name, {}))
            elif kind == "=":
                name, key, value = rest.split(_BAR)
                sysctls[name][key] = value
            elif row.strip() and not row.startswith("#"):
                line = _line(row)
                _ = stacks[line.target]
                lines[line.place] = line
        except (ValueError, KeyError):
            raise UsageError(f"{path}:{number}: not a line of a baseline") from None
    return Baseline(path.stem, stacks, lines)


def cut_off(reason: str, observed: str) -> bool:
    """Tell whether something was watched for less time than it takes."""
    return _PATIENCE in reason or observed.startswith(_OPEN)


def worded(setting: str) -> str:
    """Return a sysctl's text with one blank between its words, however the stack spells it."""
    return " ".join(setting.split())


def _ends(text: str) -> tuple[str, ...]:
    """Return both ends of what was seen to lie between two numbers, or what was seen."""
    return tuple(dict.fromkeys(_BETWEEN.sub(rf"\{end}", text) for end in (1, 2)))


def steady(text: str) -> str:
    """Return what is the same each time of an observation that is the same, on one line."""
    return _FRESH.sub(r"*\1*", printable(text).replace("|", "¦"))


def _text(line: Line) -> str:
    by_word = grouped(line.verdicts, line.verdicts.__getitem__)
    said = (f"{word} {', '.join(sorted(by_word[word]))}" for word in _ORDER if word in by_word)
    knobs = " ".join(f"{name}={value:g}" for name, value in line.knobs.items())
    words = (line.target, line.family, line.testcase, line.measure, line.observed)
    return _BAR.join((*words, "; ".join(said), knobs or _NOTHING)) + "\n"


def _line(row: str) -> Line:
    target, family, testcase, measure, observed, said, knobs = row.split(_BAR)
    verdicts: dict[str, Verdict] = {}
    for group in said.split("; "):
        word, _, claims = group.partition(" ")
        verdicts |= dict.fromkeys(claims.split(", "), Verdict(word))
    pairs = (one.partition("=") for one in knobs.split() if knobs != _NOTHING)
    values = {name: float(value) for name, _, value in pairs}
    return Line(target, family, testcase, measure, observed, verdicts, values)


def _stack(row: str, sysctls: Mapping[str, str]) -> Stack:
    name, stack, version, tick, wheel = row.split(_BAR)
    return Stack(name, stack, version, float(tick), wheel == _WHEEL, sysctls)
