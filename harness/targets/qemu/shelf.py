"""Shelf: machines that were booted once and saved, in a cache folder.

A kernel boots in 10 s of wall time and a saved machine is there in 0.1 s, so every testcase starts
from a saved one, at the same instant, with nothing left of an earlier testcase. Resetting a guest
in place would spare that 0.1 s and the translation of code that QEMU does anew, about as much
again; but what of a kernel's memory of earlier connections cannot be reset would make a testcase
depend on those before it.
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.targets import kernels
from harness.targets.qemu import archive, initramfs, machine, modules
from harness.targets.qemu.machine import Boot, Machine, Saved

_KEPT = 24 * 3600.0
_WANTED = (*modules.LINK, *modules.FIREWALL, *modules.CONGESTION)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The saved machines of one kernel, which lie in one folder."""

    boot: Boot
    folder: Path

    @classmethod
    def open(cls, name: str, image: Path, modules_folder: Path | None) -> "Shelf":
        """Return the shelf of a kernel, as this machine's Python, iptables and QEMU make it."""
        files = initramfs.build(modules.needed(modules_folder, _WANTED), initramfs.iptables())
        key = hashlib.sha256(archive.pack(initramfs.sources(files)))
        for part in (image.read_bytes(), machine.version().encode(), machine.recipe()):
            key.update(hashlib.sha256(part).digest())
        folder = kernels.folder() / "machines" / f"{name}-{key.hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        boot = Boot(image, folder / "initramfs")
        shelf = cls(boot, folder)
        with shelf.locked():
            _forget_old(folder.parent, name, folder)
            if not boot.initramfs.exists():
                draft = folder / "initramfs.new"
                draft.write_bytes(archive.pack(files))
                draft.rename(boot.initramfs)
        return shelf

    def bare(self) -> Saved:
        """Return a machine that has booted and has no link yet; Inconclusive if it does not."""
        with self.locked():
            return self._find("bare") or self._boot()

    def linked(self, hosts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Saved:
        """Return a machine with the stacks of these hosts; its answer has their named sysctls."""
        wish = {"hosts": hosts, "names": names}
        name = hashlib.sha256(json.dumps(wish).encode()).hexdigest()[:16]
        bare = self.bare()
        with self.locked():
            return self._find(name) or self._link(name, bare, wish)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Have one process make what is not there yet: another waits."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _find(self, name: str) -> Saved | None:
        try:
            answer = json.loads((self.folder / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return Saved(
            self.boot, self.folder / f"{name}.memory", self.folder / f"{name}.state", answer
        )

    def _boot(self) -> Saved:
        draft = self.folder / "draft"
        made, answer = Machine.boot(self.boot, draft)
        return self._keep("bare", made, draft, answer)

    def _link(self, name: str, bare: Saved, wish: Mapping[str, Any]) -> Saved:
        draft = self.folder / "draft"
        made = Machine.restore(bare, memory=draft)
        try:
            answer = {**bare.answer, **made.exchange(wish)}
        except BaseException:
            made.close()
            raise
        return self._keep(name, made, draft, answer)

    def _keep(self, name: str, made: Machine, draft: Path, answer: Mapping[str, Any]) -> Saved:
        """Save a machine and end it; complete is what has its card, which is written last."""
        try:
            made.save(self.folder / f"{name}.state")
        finally:
            made.close()
        machine.copy_sparsely(draft, self.folder / f"{name}.memory")
        draft.unlink()
        (self.folder / f"{name}.json").write_text(json.dumps(answer), "utf-8")
        found = self._find(name)
        assert found is not None
        return found


def _forget_old(parent: Path, name: str, present: Path) -> None:
    """Delete what was saved of an earlier kernel of this name and not used for a day."""
    present.touch()
    for other in parent.glob(f"{name}-*"):
        with contextlib.suppress(OSError):
            if other != present and other.stat().st_mtime < time.time() - _KEPT:
                shutil.rmtree(other)
