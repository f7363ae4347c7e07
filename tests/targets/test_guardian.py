"""Guardian: what it holds for a run, and what it never touches."""

import os
import socket

from harness.targets import guardian


def orders():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end, word, number, *descriptors):
    socket.send_fds(end, [guardian._ORDER.pack(word, number)], list(descriptors))


def test_what_was_released_is_closed_and_the_rest_is_held():
    """When the run's end closes, exactly the unreleased descriptors are left."""
    ours, theirs = orders()
    kept, released = os.pipe()
    send(ours, b"+", 1, kept)
    send(ours, b"+", 2, released)
    send(ours, b"-", 2)
    send(ours, b"-", 7)
    os.close(released)
    ours.close()

    held = guardian._keep(theirs)

    assert list(held) == [1]
    # The only other descriptor of the writing end was released, so the reading end is at its end.
    assert os.read(held[1], 1) == b""
    for descriptor in (kept, held[1]):
        os.close(descriptor)
    theirs.close()


def test_the_namespace_it_was_started_in_is_told_from_others(tmp_path):
    """The host's connections are never destroyed, whatever was handed over."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(tmp_path, os.O_RDONLY)

    assert guardian.is_home(own)
    assert not guardian.is_home(other)
    os.close(own)
    os.close(other)


def test_the_process_starts_and_ends_with_the_run():
    """It needs nothing but the interpreter, and ends when nobody needs it."""
    watch = guardian.Guardian()
    process = watch._process
    reading, writing = os.pipe()
    number = watch.hold(reading)
    watch.release(number)
    watch.close()
    watch.close()
    os.close(reading)
    os.close(writing)

    assert process.returncode == 0


def test_a_guardian_that_was_killed_stops_nobody():
    """A run goes on without protection rather than not at all."""
    watch = guardian.Guardian()
    watch._process.kill()
    watch._process.wait()
    reading, writing = os.pipe()
    watch.release(watch.hold(reading))
    watch.close()
    os.close(reading)
    os.close(writing)
