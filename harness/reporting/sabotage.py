"""Sabotage: for each testcase, something that turns it red on a stack that conforms.

A mutant shows that a testcase can fail on a model. A real stack cannot be mutated, but what it
sends, is sent and says can be spoiled, and its firewall and its sysctls can be set wrong. First
the last segments of a testcase are spoiled, because what it judges is in them or follows them; then
each of a fixed list of means is tried on what nothing has turned red so far. What is left over is
named, with what it observes.
"""

import itertools
import json
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.judgement.verdict import Verdict
from harness.peer.timeline import TOWARDS
from harness.reporting import timelines
from harness.reporting.mutation import (
    HUNG,
    Ruling,
    Rulings,
    as_rows,
    of_rows,
    rulings,
    testcase_of,
)
from harness.reporting.run import read_run

SABOTAGE = "--sabotage "
_MODEL = "model-"
_OPTIONS = ("sabotage", "firewall", "sysctl")
_FEW = 3

_ESTABLISHED = "-p tcp -m connbytes --connbytes-dir both --connbytes-mode packets --connbytes 4:"
"""What a firewall sees of a connection after three segments of both sides, its handshake."""

_STRIPPED = "-p tcp --tcp-flags SYN SYN -j TCPOPTSTRIP --strip-options"

MEANS: tuple[str, ...] = (
    "--sabotage alter any ttl=7",
    "--sabotage alter any tos=3",
    "--sabotage alter any df=0",
    "--sabotage alter any mss=600",
    "--sabotage alter any options=none",
    "--sabotage alter from 3rd any len+10",
    "--sabotage alter S. seq=5",
    "--sabotage alter S seq=5",
    "--sabotage alter any tsval=77",
    "--sabotage alter from 4th any sum+1",
    "--sabotage alter any ipoptions=none",
    "--sabotage duplicate any 0.3",
    "--sabotage duplicate F.",
    "--sabotage duplicate .",
    "--sabotage drop from 2nd F.",
    "--sabotage drop from 3rd F.",
    "--sabotage drop from 3rd .",
    "--sabotage drop from 4th .",
    "--sabotage drop 3rd .",
    "--sabotage alter 6th . ack+1",
    "--sabotage drop inbound R",
    "--sabotage drop inbound U.",
    "--sabotage drop 150th any",
    "--sabotage drop 201st any",
    "--sabotage drop 3rd any",
    "--sabotage delay 4th any 0.7",
    "--sabotage delay 5th any 5",
    "--sabotage drop from 15th any",
    "--sabotage drop from 100th any",
    "--sabotage alter from 50th any win+9000",
    "--sabotage alter from 3rd any win=9",
    "--sabotage alter inbound from 3rd any src=198.51.100.1",
    "--sabotage alter inbound from 3rd any dst=198.51.100.2",
    "--sabotage ignore knobs",
    "--sabotage ignore set",
    "--sabotage ignore close",
    "--sabotage lie receive ECONNRESET",
    "--sabotage lie info",
    "--sabotage lie sysctls",
    "--sabotage lie from 4th table",
    "--sabotage lie from 7th table",
    "--sabotage lie connect",
    "--sabotage lie receive",
    "--sabotage lie get",
    "--sabotage lie close 5",
    "--sabotage lie accept",
    "--sabotage lie send",
    "--sabotage lie bind",
    "--sabotage lie listen",
    "--sabotage lie counters",
    "--sabotage lie wait",
    "--sabotage lie connect 5",
    "--sabotage lie receive 5",
    "--sabotage lie sysctl",
    "--sabotage lie name",
    "--sabotage lie close",
    "--sabotage lie 2nd bind",
    "--sabotage lie 2nd connect",
    "--sabotage lie 2nd send",
    "--sabotage lie 2nd receive",
    "--sabotage lie 2nd listen",
    "--sabotage lie set",
    "--sabotage lie ioctl",
    "--sabotage lie errors",
    "--sabotage lie finish",
    "--sabotage lie shutdown",
    "--sabotage lie table",
    "--sabotage lie from 3rd table",
    "--sabotage lie from 2nd table",
    "--sabotage lie from 5th table",
    "--sabotage drop any",
    "--sabotage alter any seq+1",
    "--sabotage alter any win=1",
    "--sabotage alter from 3rd any seq+1",
    "--sabotage delay any 0.7",
    "--sabotage alter any ack+1",
    "--sabotage duplicate any",
    "--sabotage alter from 2nd any win+1000",
    "--sabotage alter from 2nd any urg+1",
    "--sabotage alter S flags=SEW",
    "--sabotage alter S. flags=S.E",
    "--sabotage drop R.",
    "--sabotage drop F.",
    "--sabotage drop S.",
    f"--firewall -A INPUT {_ESTABLISHED} -j DROP",
    "--firewall -A INPUT -p tcp -j REJECT --reject-with tcp-reset",
    "--firewall -A INPUT -p tcp -j DROP",
    "--firewall -A OUTPUT -p tcp -j DROP",
    f"--firewall -A OUTPUT {_ESTABLISHED} -j DROP",
    f"--firewall -A INPUT {_ESTABLISHED} -j REJECT --reject-with tcp-reset",
    "--firewall -A OUTPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP",
    "--firewall -A OUTPUT -p tcp --tcp-flags RST RST -j DROP",
    "--firewall -A INPUT -p icmp -j DROP",
    "--firewall -t mangle -A OUTPUT -p tcp -j DSCP --set-dscp 46",
    "--firewall -t mangle -A OUTPUT -p tcp -j TTL --ttl-set 1",
    "--firewall -t mangle -A OUTPUT -p tcp --tcp-flags SYN SYN -j TCPMSS --set-mss 600",
    f"--firewall -t mangle -A OUTPUT {_STRIPPED} sack-permitted",
    f"--firewall -t mangle -A OUTPUT {_STRIPPED} wscale",
    f"--firewall -t mangle -A INPUT {_STRIPPED} timestamp",
    "--sysctl net.ipv4.tcp_timestamps=0",
    "--sysctl net.ipv4.tcp_sack=0",
    "--sysctl net.ipv4.tcp_window_scaling=0",
    "--sysctl net.ipv4.tcp_syncookies=2",
    "--sysctl net.ipv4.tcp_rmem=4096 4096 4096",
    "--sysctl net.ipv4.tcp_wmem=4096 4096 4096",
    "--sysctl net.ipv4.tcp_abort_on_overflow=1",
    "--sysctl net.ipv4.tcp_retries2=1",
    "--sysctl net.ipv4.tcp_syn_retries=0",
    "--sysctl net.ipv4.tcp_fin_timeout=1",
    "--sysctl net.ipv4.tcp_max_tw_buckets=0",
    "--sysctl net.ipv4.ip_nonlocal_bind=1",
    "--sysctl net.ipv4.ip_local_port_range=2000 2003",
    "--sysctl net.core.somaxconn=1",
)
"""An option of pytest and its value; those that harm the most testcases come first."""

_LAST: tuple[tuple[str, int], ...] = (
    ("drop inbound {} any", 0),
    ("alter from {} any seq+1", 0),
    ("drop from {} any", 0),
    ("alter inbound {} any flags=R.", 0),
    ("drop inbound from {} any", 1),
)
"""What to do to one of the last segments of either side, and to which, counted from the last."""

_NEAR: tuple[tuple[str, int], ...] = (
    ("alter inbound {} any seq+100000", 0),
    ("alter from {} any flags=R.", 0),
    ("alter from {} any ack+1", 0),
    ("drop inbound from {} any", 2),
    ("alter from {} any win+1000", 0),
    ("alter inbound {} any flags=S", 0),
    ("delay from {} any 0.7", 0),
    ("alter from {} any seq+1", 1),
    ("drop from {} any", 1),
    ("alter inbound {} any ack+1", 0),
    ("duplicate from {} any", 0),
    ("delay {} any 5", 1),
    ("alter inbound {} any flags=.", 0),
    ("drop inbound from {} any", 3),
    ("alter from {} any flags=R.", 1),
    ("alter inbound {} any flags=R.", 1),
    ("drop from {} any", 2),
    ("alter from {} any seq+1", 2),
)
"""The same, tried last of all."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search on a target: all testcases, how many at a time, how many workers, where it is kept.

    A run under harm is ended after `hung` seconds of wall time, and what it found by then counts.
    `words` go to pytest with every run, `first` is what is tried on a testcase before all else;
    `kept` is a file that a search goes on from.
    """

    target: str
    testcases: Sequence[str]
    folder: Path
    kept: Path
    words: Sequence[str] = ()
    piece: int = 500
    family: str = ""
    means: Sequence[str] = MEANS
    first: Mapping[str, str] = field(default_factory=dict)
    hung: float = HUNG

    def run(self, told: Callable[[str], None]) -> "Found":
        """Try means until each testcase has one; HarnessError if the target cannot be tried."""
        found = read(self.kept)
        new = [one for one in self.testcases if one not in found.lengths]
        for start in range(0, len(new), self.piece):
            self._observe(new[start : start + self.piece], found, told)
        while batch := self._next(found):
            self._try(batch, found, told)
        return found

    def _observe(
        self, testcases: Sequence[str], found: "Found", told: Callable[[str], None]
    ) -> None:
        """Run testcases without any harm, and count the segments of each."""
        told(f"without harm: {len(testcases)} testcases")
        lengths: dict[str, tuple[int, int]] = dict.fromkeys(testcases, (0, 0))

        def look(reports: Path) -> None:
            for one in read_run(reports).verdicts:
                if one.pcap and (story := timelines.read(reports, one.pcap)) is not None:
                    passed = [event for event in story.events if event.connection is not None]
                    inbound = sum(event.direction == TOWARDS for event in passed)
                    lengths[testcase_of(one.testcase)] = inbound, len(passed) - inbound

        words = ["--target", self.target, *self.words, *self._family()]
        before = rulings(self.folder, testcases, words, look=look)
        if isinstance(before, str):
            raise HarnessError(f"the catalogue cannot run on {self.target}: {before}")
        found.before |= before
        found.lengths |= lengths
        self._keep(found)

    def _next(self, found: "Found") -> dict[str, str]:
        """Return what to try in one run: sabotage for each its own, else one means for all."""
        wanted: dict[str, str] = {}
        for testcase in self.testcases:
            if testcase not in found.by and found.concerns(testcase):
                tried = found.tries.get(testcase, ())
                left = (one for one in self._candidates(testcase, found) if one not in tried)
                if (means := next(left, None)) is not None:
                    wanted[testcase] = means
        own = {testcase: means for testcase, means in wanted.items() if means.startswith(SABOTAGE)}
        if wanted and not own:
            (most, _), *_ = Counter(wanted.values()).most_common(1)
            own = {testcase: means for testcase, means in wanted.items() if means == most}
        return dict(itertools.islice(own.items(), self.piece))

    def _candidates(self, testcase: str, found: "Found") -> Iterator[str]:
        if testcase in self.first:
            yield self.first[testcase]
        yield from self._targeted(_LAST, found.lengths[testcase])
        yield from self.means
        yield from self._targeted(_NEAR, found.lengths[testcase])

    def _targeted(
        self, texts: Sequence[tuple[str, int]], lengths: tuple[int, int]
    ) -> Iterator[str]:
        for text, back in texts:
            number = lengths[0 if "inbound" in text else 1] - back
            if number > 0:
                yield SABOTAGE + text.format(_ordinal(number))

    def _try(self, batch: Mapping[str, str], found: "Found", told: Callable[[str], None]) -> None:
        """Try one means on each; red is what is red twice, because once may have been noise."""
        red, why = self._red(batch, found)
        if red:
            red, why = self._red({one: batch[one] for one in red}, found)
        found.note(batch, {one: batch[one] for one in red})
        self._keep(found)
        several = set(batch.values())
        name = f"{len(several)} sabotages" if len(several) > 1 else next(iter(several))
        told(f"{name}: {len(red)} of {len(batch)} testcases are red{why}")

    def _red(self, batch: Mapping[str, str], found: "Found") -> tuple[frozenset[str], str]:
        """Run testcases under harm; return which are red, and why there was no run."""
        # Under harm most testcases cannot do what they mean to, and never will.
        words = ["--target", self.target, *self.words, "--once", *self._family()]
        option, _, value = next(iter(batch.values())).partition(" ")
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            if f"{option} " == SABOTAGE:
                own = {one: means.removeprefix(SABOTAGE) for one, means in batch.items()}
                file.write("\n".join(_table("sabotage", own)))
                file.flush()
                words += ["--sabotage-from", file.name]
            else:
                words += [f"{option}={value}"]
            # There are testcases that try again and again what never succeeds.
            after = rulings(self.folder, tuple(batch), words, hung=self.hung, partial=True)
        if isinstance(after, str):
            return frozenset(), f", no run: {after}"
        return frozenset(key[0] for key in after if found.turned(key, after[key])), ""

    def _family(self) -> list[str]:
        return ["-k", self.family] if self.family else []

    def _keep(self, found: "Found") -> None:
        aside = self.kept.with_suffix(".new")
        aside.write_text(json.dumps(found.as_json()), "utf-8")
        aside.replace(self.kept)


@dataclass(slots=True)
class Found:
    """What turned each testcase red so far, what was tried on it, and the verdicts before.

    `lengths` are the numbers of segments that each target was sent, and sent, without harm.
    """

    by: dict[str, str] = field(default_factory=dict)
    tries: dict[str, list[str]] = field(default_factory=dict)
    lengths: dict[str, tuple[int, int]] = field(default_factory=dict)
    before: Rulings = field(default_factory=dict)

    def turned(
        self, key: tuple[str, str, str, str | None], now: Ruling, *, bound: bool = True
    ) -> bool:
        """Tell whether a claim that conforms without harm deviates now, and binds if it has to.

        What only advises is then not followed: that is permitted, and seen all the same.
        """
        before = self.before.get(key)
        if before is None or before.verdict is not Verdict.CONFORMS:
            return False
        if now.verdict is Verdict.DEVIATES:
            return now.binding or not bound
        return now.verdict is Verdict.PERMITTED

    def concerns(self, testcase: str) -> bool:
        """Tell whether there is a verdict on a testcase that harm could change."""
        return any(
            key[0] == testcase and of.verdict is Verdict.CONFORMS for key, of in self.before.items()
        )

    def note(self, tried: Mapping[str, str], red: Mapping[str, str]) -> None:
        """Take note of what was tried on which testcase, and which of them are red by that."""
        for testcase, means in tried.items():
            self.tries.setdefault(testcase, []).append(means)
        self.by |= red

    def as_json(self) -> dict[str, object]:
        """Return what `read` reads."""
        before = as_rows(self.before)
        return {"by": self.by, "tries": self.tries, "lengths": self.lengths, "before": before}


def read(path: Path) -> Found:
    """Return what a file keeps of a search, nothing if there is none; UsageError for another."""
    if not path.exists():
        return Found()
    try:
        kept = json.loads(path.read_text("utf-8"))
        lengths = {name: (int(of[0]), int(of[1])) for name, of in kept["lengths"].items()}
        tries = {name: list(of) for name, of in kept["tries"].items()}
        return Found(dict(kept["by"]), tries, lengths, of_rows(kept["before"]))
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise UsageError(f"{path} keeps no search for sabotage: {error!r}") from None


def read_list(path: Path) -> dict[str, str]:
    """Return the means of each testcase in a list that `lines` wrote; UsageError for another."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
        return {
            testcase: f"--{option} {value}"
            for option in _OPTIONS
            for testcase, value in tables.get(option, {}).items()
        }
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no list of what turns testcases red: {error}") from None


def lines(
    found: Found,
    testcases: Sequence[str],
    measures: Mapping[str, Sequence[str]],
    mutants: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    """Write TOML: what turned each testcase red, and of what is left over what it observes.

    `mutants` are those that turn a testcase red on a model.
    """
    count = sum(testcase in found.by for testcase in testcases)
    yield f"# {count} of {len(testcases)} testcases can be turned red: under what stands here a"
    yield "# claim that conforms deviates (every document binding), or its advice is not followed."
    yield "# --sabotage-from takes this file."
    for option in _OPTIONS:
        start = f"--{option} "
        own = {one: found.by[one] for one in testcases if found.by.get(one, "").startswith(start)}
        yield ""
        yield from _table(option, {one: means.removeprefix(start) for one, means in own.items()})
    left = (one for one in testcases if one not in found.by)
    yield ""
    yield from _table("none", {one: _reason(found, one, measures, mutants) for one in left})


def _table(name: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield f"[{name}]"
    for key, value in rows.items():
        yield f'"{key}" = {json.dumps(value)}'


def _ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, and so on."""
    teen = 10 < number % 100 < 20
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def mutants_of(kept: Mapping[str, Rulings]) -> dict[str, list[str]]:
    """Return for each testcase the mutants that turn red what conforms on the model without one.

    `kept` are the verdicts on each mutant, and on the model by its own name.
    """
    model = next((name for name in kept if name.startswith(_MODEL)), "")
    before = Found(before=kept.get(model, {}))
    found: dict[str, list[str]] = {}
    for mutant, after in kept.items():
        for testcase in {key[0] for key in after if before.turned(key, after[key], bound=False)}:
            found.setdefault(testcase, []).append(mutant)
    return found


def _reason(
    found: Found,
    testcase: str,
    measures: Mapping[str, Sequence[str]],
    mutants: Mapping[str, Sequence[str]],
) -> str:
    """Say why nothing has turned a testcase red, and which mutants do, if any."""
    reason = _without(found, testcase, measures)
    names = sorted(mutants.get(testcase, ()))[:_FEW]
    return f"{reason} (red on the model with {', '.join(names)})" if names else reason


def _without(found: Found, testcase: str, measures: Mapping[str, Sequence[str]]) -> str:
    verdicts = {str(of.verdict) for key, of in found.before.items() if key[0] == testcase}
    observed = ", ".join(measures.get(testcase, ()))
    if not verdicts:
        return "it does not run on this target"
    if "conforms" not in verdicts:
        return f"nothing conforms that could be spoiled ({', '.join(sorted(verdicts))}): {observed}"
    return f"no means of the list reaches what it observes: {observed}"
