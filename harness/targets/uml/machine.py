"""Machine: one guest that runs: its process, its lines, and what it printed.

Each line is a stream socket of ours that user-mode-linux has as a serial line (`ssl`). Of what it
offers this is the quickest (a call to the agent takes 0.1 to 0.5 ms), it says at once when the
guest has ended, and it needs nothing of the network under test. Consoles (`con`) are the same, but
carry what the kernel prints.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, Inconclusive
from harness.targets.channel import AgentReply, StreamChannel, answered
from harness.targets.kernels import Kernel
from harness.targets.namespace import Namespace
from harness.wire.real import RealClock

MEMORY = "1G"
"""What a guest believes it has: defaults depend on it. It takes up what it uses, some 70 MB."""

LINES = 3
"""Lines of a guest: one to its first program, one for each of two stacks."""

_HERE = Path(__file__).parent
_PACKAGE = _HERE.parent.parent
_LAUNCHER = _HERE / "launcher.py"
# Python's own way would bring the whole harness, which a guest does not need.
_PROGRAM = """
import sys, types
package = types.ModuleType("harness")
package.__path__ = [sys.argv[1]]
sys.modules["harness"] = package
from harness.targets.uml import guest
guest.main(sys.argv[2])
"""
_BOOTED_WITHIN = 60.0
_ENDED_WITHIN = 5.0
_BUFFER = 1 << 22
_CONSOLE = 4000
_LAST_LINES = 3
# What a kernel prints of itself when it fails, beside the reason.
_TRACE = re.compile(
    r"\[<|[0-9a-f]{8}|\?|R[A-Z0-9]{1,2}:|Call Trace|Stack:|CPU:|Modules linked|Pid:"
)
# As in guest.py: a longer burst would silence a line.
_LIMIT = 2000


class Machine:
    """A guest, from its start on; `taps` are its interfaces' names in `bench`, first `vec0`."""

    def __init__(self, kernel: Kernel, bench: Namespace, taps: Sequence[str]) -> None:
        """Start it; `wait` waits until it is up. OSError if no process can be started."""
        self.kernel = kernel
        self._last_words = ""
        self._printed = os.memfd_create("console", os.MFD_CLOEXEC)
        self._folder = Path(tempfile.mkdtemp(prefix="tcpspec-uml-"))
        pairs = [socket.socketpair() for _ in range(LINES)]
        self._lines = [ours for ours, _ in pairs]
        theirs = [line for _, line in pairs]
        for line in theirs:
            # What the guest says while nobody listens must find room: it waits badly.
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        _write_init(self._folder, kernel)
        try:
            with bench.entered():
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-I", "-S", str(_LAUNCHER), str(self._folder)),
                        *command(kernel, self._folder, taps, [line.fileno() for line in theirs]),
                    ],
                    pass_fds=[line.fileno() for line in theirs],
                    stdin=subprocess.PIPE,
                    stdout=self._printed,
                    stderr=self._printed,
                    # What a terminal sends to the run's process group must not reach it.
                    start_new_session=True,
                )
        finally:
            for line in theirs:
                line.close()

    def wait(self) -> None:
        """Wait until its first program serves; HarnessError if that does not come about."""
        deadline = time.monotonic() + _BOOTED_WITHIN
        line = self._lines[0]
        said = b""
        while b'{"up"' not in said or not said.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([line], [], [], left)[0]:
                raise HarnessError(f"the guest of {self.kernel.name} does not boot: {self.why()}")
            octets = line.recv(4096)
            if not octets:
                raise HarnessError(f"the guest of {self.kernel.name} ended: {self.why()}")
            said += octets

    def line(self, number: int, clock: RealClock) -> "Line":
        """Return a way to one of its programs, for one testcase."""
        stream = StreamChannel(
            os.dup(self._lines[number].fileno()),
            os.dup(self._lines[number].fileno()),
            clock,
            name=self.kernel.name,
            lost=lambda why: Inconclusive(f"{why}: {self.why()}"),
        )
        return Line(stream, clock, self.kernel.name)

    def drain(self) -> None:
        """Forget what programs that have ended have still said."""
        for line in self._lines[1:]:
            with contextlib.suppress(BlockingIOError):
                while line.recv(1 << 16, socket.MSG_DONTWAIT):
                    pass

    def console(self) -> str:
        """Return the last that it printed."""
        if self._printed < 0:
            return self._last_words
        size = os.fstat(self._printed).st_size
        octets = os.pread(self._printed, _CONSOLE, max(0, size - _CONSOLE))
        return octets.decode(errors="replace").replace("\r", "").strip()

    def why(self) -> str:
        """Return the last lines that it printed, in one; it may still be at it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=0.5)
        said = (line.strip() for line in self.console().splitlines())
        lines = [line for line in said if line and not _TRACE.match(line)]
        return " | ".join(lines[-_LAST_LINES:]) or "it printed nothing"

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it with all its processes; a second call does nothing."""
        if self._printed < 0:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        for line in self._lines:
            line.close()
        # The launcher does this, unless somebody has killed it.
        shutil.rmtree(self._folder, ignore_errors=True)
        self._last_words = self.console()
        os.close(self._printed)
        self._printed = -1


class Line:
    """Requests over one line: never more at once than a line can take."""

    def __init__(self, stream: StreamChannel, clock: RealClock, name: str) -> None:
        self._stream = stream
        self._clock = clock
        self._name = name
        self._unheard = 0
        self.synchronise = stream.synchronise
        self.close = stream.close

    def request(self, operation: str, **arguments: Any) -> AgentReply:
        """Ask for an operation; Inconclusive if the guest has ended."""
        text = json.dumps({**arguments, "op": operation})
        if len(text) <= _LIMIT - 100:
            self._make_room(len(text) + 100)
            return self._stream.request(operation, **arguments)
        for at in range(0, len(text), _LIMIT // 2):
            self.ask("part", text=text[at : at + _LIMIT // 2])
        self._unheard = 0
        return self._stream.request("whole")

    def ask(self, operation: str, within: float = 10.0, **arguments: Any) -> Any:
        """Ask and wait for what it returns; HarnessError if it is refused."""
        reply = self.request(operation, **arguments)
        answered(reply, self._clock, name=self._name, within=within)
        if reply.error is not None:
            raise HarnessError(f"the guest of {self._name}: {reply.value or reply.error}")
        return reply.value

    def _make_room(self, size: int) -> None:
        """See that all earlier requests were read before there is too much of them."""
        self._unheard += size
        if self._unheard > _LIMIT:
            self._unheard = size
            answered(self._stream.request("hello"), self._clock, name=self._name)


def command(kernel: Kernel, folder: Path, taps: Sequence[str], lines: Sequence[int]) -> list[str]:
    """Return the command line of a guest whose first program lies in a folder."""
    return [
        str(kernel.image),
        f"mem={MEMORY}",
        # The host's files, to be read.
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        f"init={folder / 'init'}",
        *(f"uml_dir={folder}", "umid=guest"),
        *(
            f"vec{number}:transport=tap,ifname={tap},depth=128,gro=0"
            for number, tap in enumerate(taps)
        ),
        *("con=null", "con0=null,fd:1", "ssl=null"),
        *(f"ssl{number}=fd:{line}" for number, line in enumerate(lines)),
        *("random.trust_cpu=on", "panic=-1", "noreboot", "quiet"),
    ]


def _write_init(folder: Path, kernel: Kernel) -> None:
    """Write the first program, which finds all else; a kernel's command line has no quotes."""
    config: Mapping[str, Any] = {"modules": str(kernel.modules) if kernel.modules else None}
    card = folder / "guest.json"
    card.write_text(json.dumps(config), "utf-8")
    python = os.path.realpath(sys.executable)
    words = (python, "-I", "-S", "-c", _PROGRAM, str(_PACKAGE), str(card))
    quoted = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    init = folder / "init"
    init.write_text(f"#!/bin/sh\nexec {quoted}\n", "utf-8")
    init.chmod(0o700)
