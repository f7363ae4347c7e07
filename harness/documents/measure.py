"""Measure: what a testcase observes, by name."""

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What an observation of a measure is made of."""

    SEGMENT = "segment"
    DURATION = "duration"
    LADDER = "ladder"
    OUTCOME = "outcome"
    STATES = "states"
    COUNT = "count"
    FACT = "fact"
    WORD = "word"
    CELLS = "cells"


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that testcases observe; `topic` is the name of the file that defines it."""

    name: str
    kind: Kind
    topic: str
    observes: str
