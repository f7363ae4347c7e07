"""Kinds: the user-mode-linux kernels that a user can name, each a driver class."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from harness.errors import UsageError
from harness.targets import kernels
from harness.targets.driver import Driver, Facts, Settings, World
from harness.targets.kernels import Kernel
from harness.targets.uml.driver import UmlDriver, missing_here

# Where Debian's package user-mode-linux has the modules of its kernel.
_SYSTEM = Path("/usr/lib/uml/modules")


def kernel(
    name: str, missing: Callable[[], str | None], find: Callable[[], Kernel]
) -> type[Driver]:
    """Return the driver class of a kernel that `find` finds when `missing` says nothing."""

    class NamedUmlDriver:
        privileged: ClassVar[bool] = True

        def __init__(self) -> None:
            self._driver = UmlDriver(name, find())

        @staticmethod
        def missing() -> str | None:
            return missing() or missing_here()

        def start(self, settings: Settings) -> Facts:
            return self._driver.start(settings)

        def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> World:
            return self._driver.world(pair=pair, knobs=knobs)

        def stop(self) -> None:
            self._driver.stop()

    return NamedUmlDriver


def at(path: str) -> type[Driver]:
    """Return the driver class of a kernel of the user's own: an executable linux.uml."""
    image = Path(path).expanduser().absolute()

    def missing() -> str | None:
        try:
            kernels.release_of(image)
        except UsageError as error:
            return str(error)
        return None

    def find() -> Kernel:
        release = kernels.release_of(image)
        places = (image.parent / "modules" / release, _SYSTEM / release)
        modules = next((place for place in places if place.is_dir()), None)
        return Kernel(f"uml:{path}", image, modules, release, release)

    made = kernel(f"uml:{path}", missing, find)
    made.__doc__ = f"The kernel in {path}, as a process of user-mode-linux."
    return made


def of_debian(version: str) -> type[Driver]:
    """Return the driver class of a kernel that is fetched."""
    name = f"uml-{version}"

    def find() -> Kernel:
        found = kernels.find(name)
        if found is None:
            raise UsageError(kernels.missing(name))
        return found

    made = kernel(name, lambda: kernels.missing(name), find)
    made.__doc__ = f"Debian's Linux {version}, as a process of user-mode-linux."
    return made


LINUX_5_10 = of_debian("5.10")
LINUX_6_1 = of_debian("6.1")
LINUX_6_12 = of_debian("6.12")
LINUX_7_2 = of_debian("7.2")
