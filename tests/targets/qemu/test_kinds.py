"""Kinds: the kernels that a user may name."""

import pytest

from harness.errors import UsageError
from harness.targets.driver import Settings
from harness.targets.qemu import kinds, machine
from harness.targets.registry import driver


def image(folder, *, text=b"6.9.1-mine (someone@somewhere) #3 SMP", magic=b"HdrS"):
    """Make what begins as a bzImage does."""
    octets = bytearray(0x1200)
    octets[0x202:0x206] = magic
    octets[0x20E:0x210] = (0xC00).to_bytes(2, "little")
    octets[0xE00 : 0xE00 + len(text)] = text
    path = folder / "bzImage"
    path.write_bytes(octets)
    return path


def test_an_image_tells_its_version(tmp_path):
    """What uname -r will say stands in it, before anything has booted."""
    assert kinds.version_of(image(tmp_path)) == "6.9.1-mine"


def test_what_is_no_image_is_the_user_s_mistake(tmp_path, monkeypatch):
    """One line says what to give instead."""
    monkeypatch.setattr(machine, "installed", lambda: True)
    kind = driver(f"qemu:{image(tmp_path, magic=b'ELF.')}")
    assert "is no bzImage" in kind.missing()
    with pytest.raises(UsageError, match="cannot be read"):
        kinds.version_of(tmp_path / "nothing")


def test_an_image_needs_no_modules_but_may_have_some(tmp_path, monkeypatch):
    """A folder that is not there is refused before anything boots."""
    monkeypatch.setattr(machine, "installed", lambda: True)
    kind = driver(f"qemu:{image(tmp_path)}")
    assert kind.missing() is None
    with pytest.raises(UsageError, match="--modules /nowhere: no such folder"):
        kind().start(Settings(options={"modules": "/nowhere"}))


def test_a_machine_without_qemu_says_what_to_install(monkeypatch):
    """It needs neither root nor a namespace, but QEMU."""
    monkeypatch.setattr(machine, "installed", lambda: False)
    assert "apt-get install" in driver("qemu-6.12").missing()
    assert not driver("qemu-6.12").privileged
