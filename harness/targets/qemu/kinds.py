"""Kinds: the kernels in machines that a user can name, each a driver class."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from harness.errors import UsageError
from harness.targets import kernels
from harness.targets.driver import Driver, Facts, Settings, World
from harness.targets.qemu import machine
from harness.targets.qemu.driver import MachineDriver, Source

_INSTALL = "apt-get install --no-install-recommends qemu-system-x86"
_OLDEST = (7, 0)

# In an image that the boot protocol describes (the kernel's own text x86/boot.rst): the magic, and
# where to find the text of the version, counted from the second sector.
_MAGIC_AT, _VERSION_AT, _SECTOR = 0x202, 0x20E, 0x200


def target(
    name: str, source: Callable[[Settings], Source], missing: Callable[[], str | None]
) -> type[Driver]:
    """Return the driver class of a kernel."""

    class NamedMachineDriver:
        privileged: ClassVar[bool] = False

        def __init__(self) -> None:
            self._driver = MachineDriver(name, source)

        @staticmethod
        def missing() -> str | None:
            return _lacks_qemu() or missing()

        def start(self, settings: Settings) -> Facts:
            return self._driver.start(settings)

        def world(self, *, pair: bool = False, knobs: Mapping[str, float] | None = None) -> World:
            return self._driver.world(pair=pair, knobs=knobs)

        def stop(self) -> None:
            self._driver.stop()

    return NamedMachineDriver


def of_debian(name: str) -> type[Driver]:
    """Return the driver class of a kernel of Debian's, which is fetched beforehand."""

    def source(_: Settings) -> Source:
        kernel = kernels.find(name)
        if kernel is None:
            raise UsageError(kernels.missing(name) or name)
        return Source(kernel.image, kernel.modules, kernel.version)

    kind = target(name, source, lambda: kernels.missing(name))
    version = name.removeprefix("qemu-")
    kind.__doc__ = f"Debian's Linux {version}, unmodified, in QEMU; two hours pass in seconds."
    return kind


def of_image(path: str) -> type[Driver]:
    """Return the driver class of a kernel's image of the user's (bzImage)."""
    image = Path(path).expanduser().absolute()

    def source(settings: Settings) -> Source:
        asked = settings.options.get("modules")
        folder = Path(asked).expanduser().absolute() if asked else None
        if folder is not None and not folder.is_dir():
            raise UsageError(f"--modules {asked}: no such folder")
        return Source(image, folder, version_of(image))

    def missing() -> str | None:
        try:
            version_of(image)
        except UsageError as error:
            return str(error)
        return None

    kind = target(f"qemu:{path}", source, missing)
    kind.__doc__ = "A kernel's image of your own, in QEMU."
    return kind


def version_of(image: Path) -> str:
    """Read the version out of a bzImage; UsageError if the file is none."""
    try:
        octets = image.read_bytes()
    except OSError as error:
        raise UsageError(f"{image} cannot be read: {error.strerror}") from None
    if octets[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        raise UsageError(f"{image} is no bzImage: give arch/x86/boot/bzImage of a built kernel")
    at = int.from_bytes(octets[_VERSION_AT : _VERSION_AT + 2], "little") + _SECTOR
    return octets[at : at + 256].partition(b"\0")[0].decode(errors="replace").partition(" ")[0]


def _lacks_qemu() -> str | None:
    if not machine.installed():
        return f"{machine.PROGRAM} is not installed: {_INSTALL}"
    return None


QEMU_5_10 = of_debian("qemu-5.10")
QEMU_6_1 = of_debian("qemu-6.1")
QEMU_6_12 = of_debian("qemu-6.12")
QEMU_7_2 = of_debian("qemu-7.2")
