"""Verdict: one claim, one observation, one of five words."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class Verdict(enum.StrEnum):
    """What an observation says about a claim."""

    CONFORMS = "conforms"
    PERMITTED = "permitted"
    DEVIATES = "deviates"
    UNSUPPORTED = "unsupported"
    INCONCLUSIVE = "inconclusive"


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """One line of `verdicts.json`; the fields are those of its schema, in its order.

    `binding` says that a deviation would fail the run, `known` that the ledger has it. `documented`
    and `observed` are for reading, `values` is the observation as JSON. `noise_s` is seconds.
    `knobs` are those in force that the documents, or the testcase, relate to the measure.
    """

    testcase: str
    claim: str
    document: str
    measure: str
    target: str
    verdict: Verdict
    reason: str | None
    binding: bool
    known: bool
    documented: str
    observed: str
    values: Any
    family: str | None
    attempt: int
    noise_s: float | None
    pcap: str | None
    knobs: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `verdicts.json` holds."""
        return dataclasses.asdict(self) | {"verdict": str(self.verdict)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Judgement":
        """Read what `as_json` wrote; KeyError or ValueError for anything else."""
        # Runs of before there were knobs in them are still read.
        whole = {"knobs": {}} | value
        known = {name: whole[name] for name in (field.name for field in dataclasses.fields(cls))}
        return cls(**known | {"verdict": Verdict(known["verdict"])})
