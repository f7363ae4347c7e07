"""Launcher: starts a guest so that all of it ends when the run does.

A guest is several processes that trace each other, and those that are left when the first is killed
run on. So they live in a process namespace: its first process, a fork of this one, starts the guest
and waits, and when it ends, the kernel ends all others. This program watches its standard input,
which the run holds open, and takes the guest's folder away at the end.

Run as a program it needs the standard library only: `launcher.py FOLDER IMAGE ARGUMENT…`.
"""

import ctypes
import os
import select
import shutil
import signal
import sys
from collections.abc import Sequence

_CLONE_NEWPID = 0x20000000
_PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def main(folder: str, words: Sequence[str]) -> int:
    """Run the guest until it ends, or until standard input does; return its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # It ends with the run, and must outlive it by a moment.
        signal.signal(number, signal.SIG_IGN)
    try:
        if _libc.unshare(_CLONE_NEWPID) < 0:
            sys.stdout.write(f"no process namespace: {os.strerror(ctypes.get_errno())}\n")
            return 1
        first = os.fork()
        if first == 0:
            _be_first(words)
        return _watch(first)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch(first: int) -> int:
    watched = os.pidfd_open(first)
    poller = select.poll()
    poller.register(0, 0)
    poller.register(watched, select.POLLIN)
    if all(descriptor != watched for descriptor, _ in poller.poll()):
        os.kill(first, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _be_first(words: Sequence[str]) -> None:
    """Be the namespace's first process, which adopts and at its end takes all others along."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    guest = os.fork()
    if guest == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        try:
            os.execv(words[0], list(words))  # noqa: S606 - no shell is wanted
        except OSError as error:
            os.write(1, f"{words[0]}: {error.strerror}\n".encode())
        os._exit(127)
    while True:
        ended, status = os.wait()
        if ended == guest:
            code = os.waitstatus_to_exitcode(status)
            what = f"signal {-code}" if code < 0 else f"status {code}"
            os.write(1, f"the process of the guest ended with {what}\n".encode())
            os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
