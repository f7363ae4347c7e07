"""Finding: whether one observation fits one expectation, and how to say it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of comparing.

    `fits` is None where the observation is not good enough to tell; `reason` says why. `details`
    are lines for a failure's text, `values` is the observation as JSON. `wrong` names the cells of
    a matrix that do not fit.
    """

    fits: bool | None
    documented: str
    observed: str
    values: Any
    reason: str | None = None
    details: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
