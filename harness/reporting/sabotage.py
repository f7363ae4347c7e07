"""Sabotage: for each testcase, something that turns it red on a stack that conforms.

A mutant shows that a testcase can fail on a model. A real stack cannot be mutated, but what it
sends can be spoiled, and its firewall and its sysctls can be set wrong: each of a fixed list of
means is tried on the testcases that nothing has turned red so far. What is left over is named, with
what it observes.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.reporting.mutation import Fault, Rulings, as_rows, judged, of_rows, rulings

_ESTABLISHED = "-p tcp -m connbytes --connbytes-dir both --connbytes-mode packets --connbytes 4:"
"""What a firewall sees of a connection after three segments of both sides, its handshake."""

MEANS: tuple[tuple[str, str], ...] = (
    ("--sabotage", "drop from 2nd any"),
    ("--sabotage", "alter from 2nd any seq+1"),
    ("--sabotage", "alter from 2nd any ack+1"),
    ("--firewall", f"-A INPUT {_ESTABLISHED} -j DROP"),
    ("--firewall", f"-A INPUT {_ESTABLISHED} -j REJECT --reject-with tcp-reset"),
    ("--sabotage", "drop any"),
    ("--sabotage", "alter any seq+1"),
    ("--sabotage", "alter any ack+1"),
    ("--sabotage", "duplicate any"),
    ("--sabotage", "drop from 3rd any"),
    ("--sabotage", "alter from 3rd any seq+1"),
    ("--sabotage", "alter from 3rd any ack+1"),
    ("--sabotage", "delay from 2nd any 0.7"),
    ("--sabotage", "delay from 3rd any 5"),
    ("--sabotage", "alter from 2nd any win+1000"),
    ("--sabotage", "alter from 2nd any win=0"),
    ("--sabotage", "alter from 2nd any win=1"),
    ("--sabotage", "alter from 2nd any urg+1"),
    ("--sabotage", "drop 2nd any"),
    ("--sabotage", "drop 3rd any"),
    ("--sabotage", "delay 2nd any 5"),
    ("--sabotage", "delay 3rd any 5"),
    ("--sabotage", "drop ."),
    ("--sabotage", "drop R."),
    ("--sabotage", "drop R"),
    ("--sabotage", "drop F."),
    ("--sabotage", "drop 2nd S"),
    ("--sabotage", "drop 2nd S."),
    ("--sabotage", "delay any 0.7"),
    ("--sabotage", "delay F. 5"),
    ("--sabotage", "alter any win=0"),
    ("--sabotage", "alter any win=1"),
    ("--sabotage", "alter any win+1000"),
    ("--firewall", "-A OUTPUT -p tcp --tcp-flags RST RST -j DROP"),
    ("--firewall", "-A OUTPUT -p tcp --tcp-flags FIN FIN -j DROP"),
    ("--firewall", "-A INPUT -p tcp --tcp-flags FIN FIN -j DROP"),
    ("--firewall", "-A INPUT -p tcp --tcp-flags RST RST -j DROP"),
    ("--firewall", "-A INPUT -p tcp --tcp-flags SYN,ACK ACK -j DROP"),
    ("--firewall", "-A OUTPUT -p tcp --tcp-flags SYN,ACK SYN,ACK -j DROP"),
    ("--firewall", f"-A OUTPUT {_ESTABLISHED} -j DROP"),
    ("--firewall", "-A INPUT -p tcp -j DROP"),
    ("--firewall", "-A INPUT -p tcp -j REJECT --reject-with tcp-reset"),
    ("--firewall", "-A INPUT -p icmp -j DROP"),
    ("--firewall", "-A OUTPUT -p tcp -j DROP"),
    ("--sysctl", "net.ipv4.tcp_abort_on_overflow=1"),
    ("--sysctl", "net.ipv4.tcp_syncookies=2"),
    ("--sysctl", "net.ipv4.tcp_timestamps=0"),
    ("--sysctl", "net.ipv4.tcp_sack=0"),
    ("--sysctl", "net.ipv4.tcp_window_scaling=0"),
    ("--sysctl", "net.ipv4.tcp_retries2=1"),
    ("--sysctl", "net.ipv4.tcp_syn_retries=0"),
    ("--sysctl", "net.ipv4.tcp_synack_retries=0"),
    ("--sysctl", "net.ipv4.tcp_fin_timeout=1"),
    ("--sysctl", "net.ipv4.tcp_max_tw_buckets=0"),
    ("--sysctl", "net.ipv4.tcp_rfc1337=1"),
    ("--sysctl", "net.ipv4.ip_default_ttl=1"),
    ("--sysctl", "net.core.somaxconn=1"),
)
"""Words to pytest; those that harm the most testcases come first."""

MATERIAL = "BASELINE"


@dataclass(frozen=True, slots=True)
class Search:
    """A search on a target: all testcases, how many at a time, how many workers, where it is kept.

    `words` go to pytest with every run; `kept` is a file that a search goes on from.
    """

    target: str
    testcases: Sequence[str]
    folder: Path
    kept: Path
    words: Sequence[str] = ()
    piece: int = 60
    family: str = ""
    means: Sequence[tuple[str, str]] = MEANS

    def run(self, told: Callable[[str], None]) -> "Found":
        """Try means until each testcase has one; HarnessError if the target cannot be tried."""
        found = read(self.kept)
        for piece in self._pieces([one for one in self.testcases if one not in found.tried(None)]):
            told(f"without harm: {len(piece)} testcases")
            after = self._rulings(piece, ())
            if isinstance(after, str):
                raise HarnessError(f"the catalogue cannot run on {self.target}: {after}")
            found.before |= after
            found.note(None, piece, ())
            self._keep(found)
        for means in self.means:
            self._try(means, found, told)
        return found

    def _try(self, means: tuple[str, str], found: "Found", told: Callable[[str], None]) -> None:
        name = " ".join(means)
        done = found.tried(name)
        left = [one for one in self.testcases if one not in found.by and one not in done]
        for piece in self._pieces(left):
            after = self._rulings(piece, means)
            red: tuple[str, ...] = ()
            if not isinstance(after, str):
                outcome = judged(Fault(name, ()), found.before, after, {})
                red = tuple(dict.fromkeys(one.testcase for one in outcome.red))
            found.note(name, piece, red)
            self._keep(found)
            why = f", no run: {after}" if isinstance(after, str) else ""
            told(f"{name}: {len(red)} of {len(piece)} testcases are red{why}")

    def _pieces(self, testcases: Sequence[str]) -> Iterator[Sequence[str]]:
        for start in range(0, len(testcases), self.piece):
            yield testcases[start : start + self.piece]

    def _rulings(self, testcases: Sequence[str], means: Sequence[str]) -> Rulings | str:
        words = ["--target", self.target, *self.words]
        # Under harm most testcases cannot do what they mean to, and never will.
        words += ["--once", f"{means[0]}={means[1]}"] if means else []
        words += ["-k", self.family] if self.family else []
        return rulings(self.folder, testcases, words)

    def _keep(self, found: "Found") -> None:
        aside = self.kept.with_suffix(".new")
        aside.write_text(json.dumps(found.as_json()), "utf-8")
        aside.replace(self.kept)


@dataclass(slots=True)
class Found:
    """What turned each testcase red so far, what was tried on which, and the verdicts before."""

    by: dict[str, str] = field(default_factory=dict)
    tries: dict[str, list[str]] = field(default_factory=dict)
    before: Rulings = field(default_factory=dict)

    def tried(self, means: str | None) -> frozenset[str]:
        """Return the testcases that means were tried on; None stands for no harm at all."""
        return frozenset(self.tries.get(means or MATERIAL, ()))

    def note(self, means: str | None, testcases: Sequence[str], red: Sequence[str]) -> None:
        """Take note of what was tried on which testcases, and which of them it turned red."""
        self.tries.setdefault(means or MATERIAL, []).extend(testcases)
        for testcase in red:
            self.by.setdefault(testcase, means or MATERIAL)

    def as_json(self) -> dict[str, object]:
        """Return what `read` reads."""
        return {"by": self.by, "tries": self.tries, "before": as_rows(self.before)}


def read(path: Path) -> Found:
    """Return what a file keeps of a search, nothing if there is none; UsageError for another."""
    if not path.exists():
        return Found()
    try:
        kept = json.loads(path.read_text("utf-8"))
        before = of_rows(kept["before"])
        tries = {name: list(of) for name, of in kept["tries"].items()}
        return Found(dict(kept["by"]), tries, before)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} keeps no search for sabotage: {error!r}") from None


def lines(
    found: Found, testcases: Sequence[str], measures: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """Write TOML: what turned each testcase red, and of what is left over what it observes."""
    yield "[red]"
    for testcase in testcases:
        if testcase in found.by:
            yield f'"{testcase}" = {json.dumps(found.by[testcase])}'
    yield ""
    yield "[none]"
    for testcase in testcases:
        if testcase not in found.by:
            yield f'"{testcase}" = {json.dumps(_reason(found, testcase, measures))}'
    count = sum(testcase in found.by for testcase in testcases)
    yield ""
    yield f"# {count} of {len(testcases)} testcases can be turned red"


def _reason(found: Found, testcase: str, measures: Mapping[str, Sequence[str]]) -> str:
    """Say why nothing has turned a testcase red."""
    verdicts = {str(of.verdict) for key, of in found.before.items() if key[0] == testcase}
    observed = ", ".join(measures.get(testcase, ()))
    if not verdicts:
        return "it does not run on this target"
    if "conforms" not in verdicts:
        return f"nothing conforms that could be spoiled ({', '.join(sorted(verdicts))}): {observed}"
    binding = any(of.binding for key, of in found.before.items() if key[0] == testcase)
    if not binding:
        return f"no claim about it binds on this target: {observed}"
    return f"no means of the list reaches what it observes: {observed}"
