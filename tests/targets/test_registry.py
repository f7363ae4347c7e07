"""Registry: targets by name."""

import pytest

from harness.errors import UsageError
from harness.targets.registry import DRIVERS, driver


def test_a_known_name_gives_a_driver():
    """The default target can always be imported, whether or not it can run."""
    assert driver("netns").__name__ == "NetnsDriver"


def test_an_unknown_name_is_answered_with_those_that_are_known():
    """The user learns what to write instead."""
    with pytest.raises(UsageError, match="did you mean netns") as caught:
        driver("netn")
    assert all(name in str(caught.value) for name in DRIVERS)
