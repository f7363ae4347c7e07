"""Machine: an emulated computer that stands still except while it is asked something.

QEMU counts instructions, one a nanosecond, and that count is the machine's clock (`-icount` with a
fixed shift); while the machine idles, its clock jumps to its next timer (`sleep=off`). So its time
does not depend on the host's. Between two wishes the machine is stopped, by the guest itself and at
one instruction (see `guest`), and its clock with it.
"""

import functools
import json
import mmap
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import HarnessError, Inconclusive
from harness.targets.qemu import mailbox

PROGRAM = "qemu-system-x86_64"

MEMORY = 256
"""MiB of memory of a machine; of a saved one only what it changes is taken from the host."""

BOOT_LIMIT = 180.0
"""Seconds of wall time within which a kernel must have booted and started the agent."""

LIMIT = 60.0
"""Seconds of wall time that one wish may take, beside what its own time may cost."""

VIRTUAL_PER_WALL = 40.0
"""Virtual seconds that an idle machine gets through in a second of wall time at the very least."""

_SHOWN = 12

# The clock that the kernel gets its ticks from must be one that can be set far ahead, or a guest
# that idles for two hours wakes up every 0.1 s: the HPET, not the processor's own.
COMMAND_LINE = (
    "console=ttyS0 quiet panic=-1 tsc=reliable nolapic_timer nokaslr norandmaps mitigations=off "
    "random.trust_cpu=on"
)


@dataclass(frozen=True, slots=True)
class Boot:
    """What a machine is started from: a kernel's image and an initial file system, both files."""

    image: Path
    initramfs: Path


@dataclass(frozen=True, slots=True)
class Saved:
    """A machine at one instant: its memory, the rest of its state, and its last answer."""

    boot: Boot
    memory: Path
    state: Path
    answer: Mapping[str, Any]


@functools.cache
def installed() -> bool:
    """Tell whether QEMU is on the path."""
    return shutil.which(PROGRAM) is not None


@functools.cache
def version() -> str:
    """Return what QEMU says of its version."""
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, check=False, text=True)
    return done.stdout.partition("\n")[0]


class Machine:
    """One QEMU process. `private` memory is the machine's own copy of the file's."""

    def __init__(self, boot: Boot, memory: Path, *, private: bool, incoming: bool) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor, theirs = socket.socketpair()
        self._rest = b""
        self._said: list[BinaryIO] = []
        self._last_words = ""
        folder = Path(tempfile.mkdtemp(prefix="tcpspec-qemu-"))
        try:
            with (folder / "mailbox").open("w+b") as file:
                file.truncate(mailbox.SIZE)
                self._mailbox = mmap.mmap(file.fileno(), mailbox.SIZE)
            for name in ("complaints", "console"):
                self._said.append((folder / name).open("w+b"))
            words = _words(boot, folder, memory, private=private, monitor=theirs.fileno())
            if incoming:
                words += ["-incoming", "defer"]
            self._process = subprocess.Popen(
                words,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said[0],
                # What a terminal sends to the run's process group must not reach it.
                start_new_session=True,
            )
            theirs.close()
            deadline = time.monotonic() + LIMIT
            self._until(lambda said: "QMP" in said, deadline)
            self._command("qmp_capabilities")
        except BaseException:
            theirs.close()
            self.close()
            raise
        finally:
            # QEMU has opened what is in there, and what is left behind by nobody needs no tidying.
            shutil.rmtree(folder, ignore_errors=True)

    @classmethod
    def boot(cls, boot: Boot, memory: Path) -> tuple["Machine", dict[str, Any]]:
        """Start a machine, its memory in a file that is made; return it with its first answer.

        Inconclusive, with the console's last lines, if it does not get there.
        """
        with memory.open("wb") as file:
            file.truncate(MEMORY << 20)
        machine = cls(boot, memory, private=False, incoming=False)
        try:
            return machine, machine.parked(BOOT_LIMIT)
        except BaseException:
            machine.close()
            raise

    @classmethod
    def restore(cls, saved: Saved, *, memory: Path | None = None) -> "Machine":
        """Start a machine at a saved instant; its memory is private, or a copy in a file."""
        if memory is not None:
            copy_sparsely(saved.memory, memory)
        where = memory or saved.memory
        machine = cls(saved.boot, where, private=memory is None, incoming=True)
        try:
            machine.load(saved.state)
        except BaseException:
            machine.close()
            raise
        return machine

    def load(self, state: Path) -> None:
        """Take over a saved state."""
        self._ignore_memory()
        self._command("migrate-incoming", uri=f"exec:exec cat '{state}'")
        deadline = time.monotonic() + LIMIT
        while self._command("query-status")["status"] == "inmigrate":
            if time.monotonic() > deadline:
                raise self._lost("did not load its state")
            time.sleep(0.002)

    def save(self, state: Path) -> None:
        """Save the state of the machine, all but its memory, which is in its file."""
        self._ignore_memory()
        self._command("migrate", uri=f"exec:exec cat > '{state}'")
        deadline = time.monotonic() + LIMIT
        while (status := self._command("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise HarnessError("the state of a machine could not be saved")
            time.sleep(0.005)

    def exchange(self, wish: Mapping[str, Any], *, lasting: float = 0.0) -> dict[str, Any]:
        """Let the machine do something, for `lasting` seconds of its time at most.

        HarnessError if it could not, Inconclusive if it does not come back.
        """
        mailbox.write(self._mailbox, wish)
        self._monitor_send("cont")
        answer = self.parked(LIMIT + lasting / VIRTUAL_PER_WALL)
        if answer.get("error"):
            raise HarnessError(f"in the guest: {answer['error']}")
        return answer

    def parked(self, limit: float) -> dict[str, Any]:
        """Wait until the machine stands still again; return its answer."""
        self._until(lambda said: said.get("event") == "STOP", time.monotonic() + limit)
        answer = mailbox.read(self._mailbox)
        if not isinstance(answer, dict):
            raise self._lost("answers what is no answer")
        return answer

    def console(self) -> str:
        """Return the last lines that the kernel printed, and what QEMU complained of."""
        found: list[str] = [] if self._said else [self._last_words]
        for file in self._said:
            text = _last_octets(file).decode("utf-8", errors="replace")
            found += [line.rstrip() for line in text.splitlines() if line.strip()][-_SHOWN:]
        return "\n".join(found)

    def close(self) -> None:
        """End the machine at once; a second call does nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        self._monitor.close()
        self._last_words = self.console()
        while self._said:
            self._said.pop().close()

    def _ignore_memory(self) -> None:
        # The memory is a file already: it need not be written into the state once more.
        capability = {"capability": "x-ignore-shared", "state": True}
        self._command("migrate-set-capabilities", capabilities=[capability])

    def _command(self, name: str, **arguments: Any) -> dict[str, Any]:
        self._monitor_send(name, **arguments)
        said = self._until(
            lambda said: "return" in said or "error" in said, time.monotonic() + LIMIT
        )
        if "error" in said:
            raise HarnessError(f"QEMU refuses {name}: {said['error'].get('desc')}")
        found: dict[str, Any] = said["return"]
        return found

    def _monitor_send(self, name: str, **arguments: Any) -> None:
        order = json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n"
        try:
            self._monitor.sendall(order)
        except OSError:
            raise self._lost("has ended") from None

    def _until(self, wanted: Callable[[dict[str, Any]], bool], deadline: float) -> dict[str, Any]:
        """Read what QEMU says until something is wanted; Inconclusive if it never comes."""
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                said: dict[str, Any] = json.loads(line)
                if wanted(said):
                    return said
                continue
            self._monitor.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                octets = self._monitor.recv(1 << 16)
            except TimeoutError:
                raise self._lost("hangs") from None
            except OSError:
                octets = b""
            if not octets:
                raise self._lost("has ended")
            self._rest += octets

    def _lost(self, what: str) -> Inconclusive:
        """Return what to raise of a machine that is lost, and end it."""
        console = self.console()
        self.close()
        last = console.splitlines()[-1] if console else "its console is empty"
        return Inconclusive(f"the virtual machine {what}: {last}\n\nconsole:\n{console}")


def _last_octets(file: BinaryIO) -> bytes:
    end = os.fstat(file.fileno()).st_size
    return os.pread(file.fileno(), 1 << 16, max(0, end - (1 << 16)))


def recipe() -> bytes:
    """Return what of this file a saved machine depends on."""
    return f"{MEMORY} {mailbox.SIZE} {mailbox.WHERE} {COMMAND_LINE}".encode()


def copy_sparsely(source: Path, target: Path) -> None:
    """Copy a file without the pages that hold nothing but zeros."""
    size = 1 << 16
    nothing = bytes(size)
    with source.open("rb") as octets, target.open("wb") as copy:
        while piece := octets.read(size):
            if piece == nothing[: len(piece)]:
                copy.seek(len(piece), os.SEEK_CUR)
            else:
                copy.write(piece)
        copy.truncate(octets.tell())


def _words(boot: Boot, folder: Path, memory: Path, *, private: bool, monitor: int) -> list[str]:
    """Return the command that starts a machine, with devices that need no driver of the kernel's.

    The kernel of the host ends it when the harness ends, however that happens.
    """
    share = "off" if private else "on"
    pairs = (
        ("accel", "tcg"),
        ("icount", "shift=0,sleep=off,align=off"),
        ("machine", "pc,memory-backend=memory,nvdimm=on,usb=off,vmport=off"),
        ("cpu", "max"),
        ("smp", "1"),
        ("m", f"{MEMORY}M,slots=1,maxmem=1G"),
        ("object", f"memory-backend-file,id=memory,size={MEMORY}M,mem-path={memory},share={share}"),
        (
            "object",
            f"memory-backend-file,id=mailbox,size={mailbox.SIZE},mem-path={folder}/mailbox,share=on",
        ),
        ("device", "nvdimm,memdev=mailbox"),
        ("device", "pvpanic-pci"),
        ("device", "i6300esb"),
        ("action", "panic=pause,watchdog=none"),
        # What the guest takes for randomness, and the date, are the same in every run.
        ("seed", "1"),
        ("rtc", "base=2026-01-01,clock=vm"),
        ("display", "none"),
        ("vga", "none"),
        ("serial", f"file:{folder}/console"),
        ("chardev", f"socket,id=monitor,fd={monitor}"),
        ("mon", "chardev=monitor,mode=control"),
        ("kernel", str(boot.image)),
        ("initrd", str(boot.initramfs)),
        ("append", COMMAND_LINE),
    )
    words = ["setpriv", "--pdeathsig", "KILL", PROGRAM]
    words += ["-nodefaults", "-no-user-config", "-no-reboot"]
    return [*words, *(word for key, value in pairs for word in (f"-{key}", value))]
