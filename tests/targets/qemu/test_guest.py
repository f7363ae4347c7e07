"""Guest: how the first program of a machine lets time pass."""

import os
import select
import time
from types import SimpleNamespace

import pytest

from harness.targets.qemu.guest import Guest


class FakeStack:
    """A wire of pipes: what is put into one has been sent, or captured, by a stack."""

    def __init__(self):
        self.arrived = []
        self.frames = []
        self.passing = []
        self.calls = []
        self.out, self.tap_bell = os.pipe()
        self.seen, self.capture_bell = os.pipe()
        self.epoll = select.epoll()
        self.tap = SimpleNamespace(
            descriptor=self.out, take_in=self.arrived.append, sent=self._sent
        )
        self.capture = SimpleNamespace(
            fileno=lambda: self.seen, passed=self._passed, count_lost=lambda: 7
        )
        self.agent = SimpleNamespace(
            fileno=self.epoll.fileno, poll=list, handle=lambda request: [{"id": request["id"]}]
        )

    def send(self, octets):
        self.frames.append(octets)
        self.passing.append((5.0, False, octets))
        os.write(self.tap_bell, b"!")
        os.write(self.capture_bell, b"!")

    def _sent(self):
        while self.frames:
            os.read(self.out, 1)
            yield self.frames.pop(0)

    def _passed(self):
        while self.passing:
            if self.passing[0][1] is False:
                os.read(self.seen, 1)
            yield self.passing.pop(0)

    def close(self):
        self.epoll.close()
        for descriptor in (self.out, self.tap_bell, self.seen, self.capture_bell):
            os.close(descriptor)


@pytest.fixture
def stacks():
    """Return two stacks, which a test may use."""
    made = [FakeStack(), FakeStack()]
    yield made
    for stack in made:
        stack.close()


def guest(*stacks):
    made = Guest()
    made._stacks = list(stacks)
    return made


def test_time_passes_to_the_deadline(stacks):
    """Nothing happens, and the answer says what time it is."""
    until = time.monotonic() + 0.05
    answer = guest(stacks[0]).serve({"until": until})
    assert until <= answer["now"] < until + 1.0
    assert (answer["captured"], answer["replies"], answer["error"]) == ([], [], None)
    assert answer["lost"] == 7


def test_a_frame_of_the_stack_s_stops_the_time(stacks):
    """The rest of the wait is not waited for."""
    stacks[0].send(b"frame")
    began = time.monotonic()
    answer = guest(stacks[0]).serve({"until": began + 60.0})
    assert answer["captured"] == [[5.0, False, "ZnJhbWU="]]
    assert answer["now"] < began + 30.0


def test_a_frame_of_the_harness_s_own_does_not(stacks):
    """It is captured, and the time goes on."""
    stacks[0].passing.append((4.0, True, b"ours"))
    until = time.monotonic() + 0.05
    answer = guest(stacks[0]).serve({"frames": ["b3Vycw=="], "until": until})
    assert stacks[0].arrived == [b"ours"]
    assert answer["captured"] == [[4.0, True, "b3Vycw=="]]
    assert answer["now"] >= until


def test_a_question_is_answered_at_once(stacks):
    """No time is asked for."""
    answer = guest(stacks[0]).serve({"requests": [[0, {"id": 9, "op": "hello"}]], "until": None})
    assert answer["replies"] == [[0, {"id": 9}]]


def test_between_two_stacks_frames_are_handed_on(stacks):
    """What one sends arrives at the other, and is captured once."""
    stacks[1].send(b"hello")
    stacks[0].passing.append((6.0, True, b"hello"))
    answer = guest(*stacks).serve({"until": time.monotonic() + 60.0})
    assert stacks[0].arrived == [b"hello"]
    assert [found[1] for found in answer["captured"]] == [False]


def test_what_fails_is_told(stacks):
    """The harness decides what that means."""
    answer = guest(stacks[0]).serve({"requests": [[3, {}]]})
    assert answer["error"].startswith("IndexError")
