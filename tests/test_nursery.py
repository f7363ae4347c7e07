"""The nursery: workers that are forked, and what becomes of them."""

import os
import select
import signal
import sys

import execnet
import pytest

from harness.nursery import Nursery

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

TELL = """
import os, signal, sys
channel.send((os.getpid(), os.getppid(), "harness.targets.model.driver" in sys.modules))
channel.send(signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL)
"""


@pytest.fixture
def nursery():
    made = Nursery(["harness.nowhere", "harness.targets.model.driver"])
    yield made
    made.close()


@pytest.fixture
def group():
    made = execnet.Group()
    yield made
    made.terminate(timeout=5)


def worker(group, nursery):
    """Start a worker as xdist does."""
    return group.makegateway(f"popen//execmodel=main_thread_only//python={nursery.python}")


def test_workers_are_forked_from_one_process_that_has_imported_what_they_need(nursery, group):
    """Each is a process of its own, and begins with the signals that a fresh one has."""
    said = []
    for _ in range(2):
        channel = worker(group, nursery).remote_exec(TELL)
        said.append(channel.receive(5))
        assert channel.receive(5)
    pids, parents, imported = zip(*said, strict=True)
    assert len({*pids, os.getpid()}) == 3
    assert len(set(parents)) == 1
    assert all(imported)


def test_the_end_of_a_worker_is_seen_like_that_of_any_process(nursery, group):
    """Its streams close, what was started in its place ends, and others can be forked."""
    gateway = worker(group, nursery)
    pid = gateway.remote_exec(TELL).receive(5)[0]
    os.kill(pid, signal.SIGKILL)
    gateway.join(5)
    assert not gateway._receivepool.active_count()
    assert gateway._io.wait() == -signal.SIGKILL & 0xFF
    assert worker(group, nursery).remote_exec(TELL).receive(5)


def test_workers_end_with_the_nursery(nursery, group):
    """Whoever holds on to a worker is told."""
    gateway = worker(group, nursery)
    channel = gateway.remote_exec(TELL + "channel.receive()")
    pid = channel.receive(5)[0]
    watched = os.pidfd_open(pid)
    nursery.close()
    nursery.close()
    assert select.select([watched], [], [], 5)[0]
    os.close(watched)
