"""Program: the command that the user gave, whose standard streams are an agent's."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Sequence

from harness.errors import Inconclusive, UsageError
from harness.targets.channel import StreamChannel
from harness.targets.guardian import die_with_parent
from harness.wire.real import RealClock

_CONSOLE = 4000
_ENDED_WITHIN = 3.0


class Program:
    """The command, running; started again for the next testcase when it has ended."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it; UsageError if there is no such program."""
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - held until the end
        try:
            self._run()
        except OSError as error:
            self._errors.close()
            raise UsageError(f"--remote-agent {self._command[0]}: {error.strerror}") from error

    def channel(self, clock: RealClock, name: str) -> StreamChannel:
        """Return the way to the agent, for one testcase."""
        process = self._process
        if process is None or process.poll() is not None:
            self.end()
            process = self._run()
        assert process.stdin is not None
        assert process.stdout is not None
        return StreamChannel(
            os.dup(process.stdout.fileno()),
            os.dup(process.stdin.fileno()),
            clock,
            name=name,
            lost=lambda why: Inconclusive(f"{why}: {self._last()}"),
        )

    def said(self) -> str:
        """Return the last that it wrote to its standard error."""
        descriptor = self._errors.fileno()
        size = os.fstat(descriptor).st_size
        octets = os.pread(descriptor, _CONSOLE, max(0, size - _CONSOLE))
        return octets.decode(errors="replace").strip()

    def close(self) -> None:
        """End it for good; a second call does nothing."""
        self.end()
        self._errors.close()

    def end(self) -> None:
        """Close its input and wait for its end, which comes; a second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        try:
            process.wait(timeout=_ENDED_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _run(self) -> subprocess.Popen[bytes]:
        parent = os.getpid()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            # What a terminal sends to the run's process group must not reach it.
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - between fork and exec it makes two calls
        )
        return self._process

    def _last(self) -> str:
        return self.said().rpartition("\n")[2] or "its command said nothing"
