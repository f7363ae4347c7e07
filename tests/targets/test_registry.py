"""Registry: targets by name."""

import pytest

from harness.errors import UsageError
from harness.targets import registry
from harness.targets.registry import DRIVERS, driver


def test_a_known_name_gives_a_driver():
    """The default target can always be imported, whether or not it can run."""
    assert driver("netns").__name__ == "NetnsDriver"


def test_an_unknown_name_is_answered_with_those_that_are_known():
    """The user learns what to write instead."""
    with pytest.raises(UsageError, match="did you mean netns") as caught:
        driver("netn")
    assert all(name in str(caught.value) for name in DRIVERS)


def made(argument):
    """Stand in for what makes a driver class of an argument."""
    return f"driver of {argument}"


def test_a_name_with_an_argument_is_made_of_it(monkeypatch):
    """What follows the colon may hold further colons."""
    place = f"{__name__}:made"
    monkeypatch.setattr(registry, "MADE_OF", {"kind": place})
    assert driver("kind:/some/path:2") == "driver of /some/path:2"


@pytest.mark.parametrize("name", ["kind", "kind:", "other:/path", "netns:/path"])
def test_a_name_without_its_argument_or_with_one_too_many_is_unknown(name, monkeypatch):
    """The user is told which kinds take one."""
    monkeypatch.setattr(registry, "MADE_OF", {"kind": f"{__name__}:made"})
    with pytest.raises(UsageError, match=r"no target is called .*kind:PATH"):
        driver(name)
