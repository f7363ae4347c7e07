"""Process: libslirp and its user, moved from outside step by step.

Each line of the stream is a JSON object. A step says what time it is, and may bring frames and a
request to the agent; the answer brings the frames and replies that this made, and the time at which
there is something to do again:

    {"now": 1000.25, "frames": ["…"], "request": {"id": 7, "op": "accept", "socket": 1}}
    {"frames": ["…"], "replies": [], "wake": 1000.749}

Frames are base64. The kernel's loopback takes no time: all that a step sets off is over before it
is answered, and no time goes by.
"""

import base64
import contextlib
import fcntl
import json
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

from harness.targets.namespace import write_sysctls
from harness.targets.slirp.library import Slirp
from harness.targets.slirp.user import User

_ROUNDS = 1000
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1
# A loaded machine may deliver on its loopback a moment after the call.
_PATIENCE = 2.0
_STIRRING = ("connect", "send", "shutdown", "close", "kill", "exit")


class Process:
    """One stack and its user. `now` is what the last step said, seconds."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self.now = 0.0
        self._frames: list[bytes] = []
        self._places = places
        self._user: User | None = None

    def step(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Do what a step says; return the answer."""
        self.now = float(said["now"])
        if self._user is None:
            # Not before the time is known: it looks at its clock when it begins.
            slirp = Slirp(self._places, lambda: self.now, self._frames.append)
            self._user = User(slirp, self._places, lambda: self.now)
        user = self._user
        for frame in said.get("frames", ()):
            user.slirp.input(base64.b64decode(frame))
        request = said.get("request")
        replies = [] if request is None else self._asked(request)
        stirred = request is not None and request["op"] in _STIRRING
        wake = self._settle(replies, stirred=stirred)
        frames = [base64.b64encode(octets).decode("ascii") for octets in self._frames]
        self._frames.clear()
        return {"frames": frames, "replies": replies, "wake": wake}

    def _asked(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        assert self._user is not None
        if request["op"] == "hello":
            value = {"protocol": 1, "pid": os.getpid(), "system": [self._user.slirp.version()]}
            times = {"began": self.now, "at": self.now}
            return [{"id": request["id"], "value": value, "error": None, **times}]
        return self._user.handle(request)

    def _settle(self, replies: list[dict[str, Any]], *, stirred: bool) -> float:
        """Go on until nothing happens any more at this instant; return when it does again."""
        assert self._user is not None
        wakes = []
        patience = _PATIENCE if stirred else 0.0
        for _ in range(_ROUNDS):
            ready, wake = self._user.slirp.step(patience)
            patience = 0.0
            wakes.append(wake)
            ended = self._user.poll()
            replies += ended
            if not ready and not ended:
                break
        return wakes[-1]


def load() -> None:
    """Load nothing: the library would do more than that."""


def serve(stream: int, settings: Mapping[str, Any]) -> None:
    """Answer steps until the stream closes."""
    _prepare()
    process = Process(settings["places"])
    with socket.socket(fileno=stream) as held, held.makefile("rwb") as lines:
        for line in lines:
            lines.write(json.dumps(process.step(json.loads(line))).encode() + b"\n")
            lines.flush()


def _prepare() -> None:
    """Bring the namespace's loopback up, and have nothing delay what goes over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("@16sH22x", b"lo", _IFF_UP))
    with contextlib.suppress(OSError):
        write_sysctls({"net.ipv4.tcp_congestion_control": "reno"})
