"""Agent: what is left of a testcase's sockets, processes and calls when it has been reset."""

from pathlib import Path
from typing import Any

from tests.targets.agents import agent


def _ask(asked: Any, name: int, operation: str, **arguments: Any) -> list[dict[str, Any]]:
    replies: list[dict[str, Any]] = asked.handle({"id": name, "op": operation, **arguments})
    return replies


def test_reset_ends_sockets_and_forgets_calls(tmp_path: Path) -> None:
    """After a reset nothing is held, no call answers any more, and numbers begin anew."""
    asked = agent(tmp_path)
    first = _ask(asked, 1, "socket", family="ipv4")[0]["value"]
    other = _ask(asked, 2, "socket", family="ipv4")[0]["value"]
    assert _ask(asked, 3, "receive", socket=first) == []

    (reply,) = _ask(asked, 4, "reset")

    assert (reply["id"], reply["error"]) == (4, None)
    assert asked.poll() == []
    assert _ask(asked, 5, "close", socket=first)[0]["error"] == "EBADF"
    assert _ask(asked, 6, "close", socket=other)[0]["error"] == "EBADF"
    assert _ask(asked, 7, "socket", family="ipv4")[0]["value"] == first
    _ask(asked, 8, "socket", family="ipv4")
    asked.close()


def test_reset_ends_processes(tmp_path: Path) -> None:
    """A process that holds a socket is gone after a reset."""
    asked = agent(tmp_path)
    number = _ask(asked, 1, "socket", family="ipv4")[0]["value"]
    _ask(asked, 5, "socket", family="ipv4")
    process = _ask(asked, 2, "spawn", socket=number)[0]["value"]

    assert _ask(asked, 3, "reset")[0]["error"] is None

    assert not Path("/proc", str(process)).exists()
    assert _ask(asked, 4, "kill", process=process)[0]["error"] == "ESRCH"
    asked.close()


def test_reset_is_refused_while_a_close_lingers(tmp_path: Path) -> None:
    """A close() that still waits cannot be forgotten: whoever asks must know it."""
    asked = agent(tmp_path)
    asked._lingering = 1

    (reply,) = _ask(asked, 1, "reset")

    assert reply["error"] == "EBUSY"
    asked._lingering = 0
    asked.close()
