"""Run: what the user asked for, and the targets that were started for it."""

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.documents.library import Library
from harness.errors import UsageError
from harness.judgement.ledger import Ledger
from harness.sabotage import Sabotage, parse, read
from harness.targets.driver import Driver, Facts, Settings
from harness.targets.profile import LeftOut, Profile
from harness.targets.registry import driver
from harness.targets.sysctls import canonical


@dataclass(slots=True)
class Run:
    """One process's part of a run: settings, documents, and drivers, started when first needed."""

    targets: Sequence[str]
    settings: Settings
    library: Library
    ledger: Ledger
    bind: frozenset[str]
    patience: float
    reports: Path
    sabotage: Sequence[Sabotage] = ()
    own_sabotage: Mapping[str, Sabotage] = field(default_factory=dict)
    _drivers: dict[str, Driver] = field(default_factory=dict)
    _facts: dict[str, Facts] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls,
        *,
        targets: Sequence[str],
        settings: Settings,
        documents: Iterable[Path],
        bind: Iterable[str],
        patience: float,
        reports: Path,
        sabotage: Iterable[str],
        own_sabotage: Path | None = None,
    ) -> "Run":
        """Check what the user said as far as that goes without a target; UsageError if bad."""
        library = Library.load(*documents)
        bound = frozenset(library.document(name).id for name in bind)
        if patience <= 0:
            raise UsageError(f"--patience {patience:g}: give a positive number of seconds")
        for name in targets:
            driver(name)
        return cls(
            targets=tuple(dict.fromkeys(targets)),
            settings=settings,
            library=library,
            ledger=Ledger.load(library),
            bind=bound,
            patience=patience,
            reports=reports,
            sabotage=tuple(parse(text) for text in sabotage),
            own_sabotage=read(own_sabotage) if own_sabotage else {},
        )

    def at(self, settings: Settings) -> "Run":
        """Return this run at other settings, with nothing started."""
        return replace(self, settings=settings, _drivers={}, _facts={})

    def start(self, name: str) -> Facts:
        """Return a target's facts; its driver is started unless they are known already."""
        if name not in self._facts:
            self.driver(name)
        return self._facts[name]

    def driver(self, name: str) -> Driver:
        """Return a target's driver, started."""
        if name not in self._drivers:
            kind = driver(name)
            missing = kind.missing()
            if missing is not None:
                raise UsageError(f"target {name} cannot run here: {missing}")
            started = kind()
            self._facts[name] = _told(name, started.start(self.settings), self.settings.profile)
            self._drivers[name] = started
        return self._drivers[name]

    def handed_on(self) -> bytes:
        """Return this run with all that it knows, for another process: nothing starts to tell it.

        `take_over` makes a run of it there.
        """
        return pickle.dumps(replace(self, _drivers={}))

    @staticmethod
    def take_over(octets: bytes) -> "Run":
        """Return the run that another process of ours has handed on."""
        taken: Run = pickle.loads(octets)  # noqa: S301 - from our own controller
        return taken

    @property
    def facts(self) -> Mapping[str, Facts]:
        """The facts of all targets that were started, also of those that were stopped again."""
        return self._facts

    def nominal(
        self, name: str, measures: Iterable[str], knobs: Mapping[str, float]
    ) -> float | None:
        """Return the longest time, seconds, that the documents give these measures on a target.

        `knobs` are what a testcase tunes; the user's sysctls beat them.
        """
        facts = self.start(name)
        asked = {
            knob: value
            for knob, value in knobs.items()
            if facts.effective.get(knob) is not None and knob not in facts.fixed
        }
        effective = {**facts.effective, **asked}
        times = (self.library.nominal(one, facts, knobs=effective) for one in measures)
        return max((time for time in times if time is not None), default=None)

    def fixed(self, name: str) -> frozenset[str]:
        """Return the sysctls of a target that the user has set, here or by a profile."""
        asked = {canonical(one) for one in self.settings.sysctls}
        return frozenset(asked | self.start(name).profile.keys())

    def sabotage_of(self, testcase: str) -> Sequence[Sabotage]:
        """Return what harms a testcase: what harms all, and what is its own."""
        own = self.own_sabotage.get(testcase.partition("[")[0])
        return (*self.sabotage, *([own] if own else ()))

    def stop(self) -> None:
        """Stop every driver; a second call does nothing."""
        while self._drivers:
            _, started = self._drivers.popitem()
            started.stop()


def _told(name: str, facts: Facts, profile: Profile) -> Facts:
    """Say of a profile that a driver does not look at that it is left out."""
    if facts.left_out is not None or not profile:
        return facts
    sources = ", ".join(dict.fromkeys(one.source.partition(":")[0] for one in profile.settings))
    why = f"{name} takes its settings by --sysctl only"
    return replace(facts, left_out=(LeftOut("all settings", "", sources, why),))
