"""Agent: the operations of the agent on lwIP's sockets, in the process of the stack.

The protocol is that of `harness.targets.agent`. What lwIP has no call for is ENOSYS.
"""

import functools
import os
import time
from collections.abc import Mapping
from typing import Any

from harness.targets.agent import Agent, Program
from harness.targets.lwip import table
from harness.targets.lwip.library import Library
from harness.targets.lwip.sockets import LwipSocket

# What it does is Reno's congestion control, and there is no other.
CONGESTION_CONTROL = "reno"

_ABSENT = (
    *("spawn", "kill", "exit", "sysctl", "sysctls", "counters", "iptables", "link", "ioctl"),
    "reset",
)


class LwipAgent:
    """An agent that refuses what the library cannot, and knows its state table."""

    def __init__(self, library: Library, *, readable: bool) -> None:
        """Take a library that has been started; `readable` says that its table can be read."""
        self._library = library
        self._table = readable
        self._agent = Agent(
            make=functools.partial(LwipSocket, library),
            look=lambda held, events: int(held.events(events)),
        )

    def fileno(self) -> int:
        """Return a descriptor that is readable when a call under way can make progress."""
        return self._agent.fileno()

    def handle(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Do what is asked; return the replies that are there now, its own or others'."""
        operation = request.get("op")
        ours = operation in (*_ABSENT, "table", "hello") or _about_congestion(request)
        if type(request.get("id")) is not int or not ours:
            return self._agent.handle(request)
        began = time.monotonic()
        reply = {"id": request["id"], "value": None, "error": None, "began": began}
        if operation == "get":
            reply["value"] = CONGESTION_CONTROL
        elif operation == "set":
            reply["error"] = None if request.get("value") == CONGESTION_CONTROL else "ENOENT"
        elif operation == "hello":
            reply["value"] = {
                "protocol": 1,
                "pid": os.getpid(),
                "system": [self._library.path(), self._table],
            }
        elif operation == "table" and self._table:
            reply["value"] = table.rows(self._library)
        else:
            reply.update(value=f"lwIP has no {operation}", error="ENOSYS")
        return [{**reply, "at": time.monotonic()}]

    def poll(self) -> list[dict[str, Any]]:
        """Return the replies of the calls that are over by now."""
        return self._agent.poll()

    def refuse(self, why: str) -> dict[str, Any]:
        """Return the reply to what is no request."""
        return self._agent.refuse(why)


def _about_congestion(request: Mapping[str, Any]) -> bool:
    return request.get("op") in ("get", "set") and request.get("option") == "TCP_CONGESTION"


def load() -> None:
    """Load what every child needs."""
    Library()


def serve(stream: int, settings: Mapping[str, Any]) -> None:
    """Start the stack at the end of a tap, and serve its agent until the stream closes."""
    library = Library()
    library.start(settings["tap"], settings["ipv4"], settings["gateway"], settings["ipv6"])
    agent = LwipAgent(library, readable=table.readable(library))
    Program(stream, stream, agent).run()
