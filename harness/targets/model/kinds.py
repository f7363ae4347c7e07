"""Kinds: the models that a user can name, each a driver class."""

from collections.abc import Mapping
from typing import ClassVar

from harness.targets.driver import Driver, Facts, Settings, World
from harness.targets.model.driver import ModelDriver
from harness.targets.model.parameters import Kind, load


def numbers(name: str) -> Kind:
    """Return what stands in the file of a model."""
    return load(name.removeprefix("model-"))


def model(name: str, *, kind: Kind | None = None) -> type[Driver]:
    """Return the driver class of a model; its numbers are those of its file if none are given."""

    class NamedModelDriver:
        privileged: ClassVar[bool] = False

        def __init__(self) -> None:
            self._driver = ModelDriver(name, kind or numbers(name))

        @staticmethod
        def missing() -> str | None:
            return ModelDriver.missing()

        def start(self, settings: Settings) -> Facts:
            return self._driver.start(settings)

        def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> World:
            return self._driver.world(pair=pair, knobs=knobs)

        def stop(self) -> None:
            self._driver.stop()

    return NamedModelDriver


RFC9293 = model("model-rfc9293")
RFC9293.__doc__ = "A model of RFC 9293, in virtual time; no real stack."

LINUX = model("model-linux")
LINUX.__doc__ = "A model of what Linux's own documentation says, in virtual time; no real stack."

WINDOWS_2003 = model("model-windows-2003")
WINDOWS_2003.__doc__ = "A model of the notes on Windows 2003, in virtual time; no real stack."

BERKELEY = model("model-berkeley")
BERKELEY.__doc__ = "A model of the notes on Berkeley's TCP, in virtual time; no real stack."
