"""Table: the state table, as the agent gives it (the fields of sock_diag.Row)."""

from typing import Any

from harness.endpoint import Endpoint
from harness.states import State
from harness.targets.model.connection import Connection
from harness.targets.model.sockets import ANY
from harness.targets.model.stack import Stack


def rows(stack: Stack) -> list[dict[str, Any]]:
    """Return a row for every port in LISTEN and for every connection."""
    listening = [
        _row(
            each.family,
            State.LISTEN,
            Endpoint(each.address or ANY[each.family], each.port),
            Endpoint(ANY[each.family], 0),
            receive_queue=len(each.queue),
            send_queue=each.backlog,
        )
        for each in stack.listeners
    ]
    return listening + [_connection(c) for c in stack.connections.values()]


def _row(
    family: str, state: State, local: Endpoint, remote: Endpoint, **more: Any
) -> dict[str, Any]:
    return {
        "family": family,
        "state": str(state),
        "local_address": local.address,
        "local_port": local.port,
        "remote_address": remote.address,
        "remote_port": remote.port,
        "timer": "none",
        "expires": 0,
        "retransmits": 0,
        "receive_queue": 0,
        "send_queue": 0,
        "uid": 0,
        "inode": 0,
    } | more


def _connection(c: Connection) -> dict[str, Any]:
    names = {
        "retransmission": c.timers.retransmission,
        "keepalive": c.timers.keepalive,
        "time-wait": c.timers.time_wait,
        "window probe": c.timers.persist,
    }
    timer = next((name for name, timer in names.items() if timer.running), "none")
    return _row(
        c.stack.family(c.local),
        c.state,
        c.local,
        c.remote,
        timer=timer,
        expires=int(names[timer].left * 1000) if timer in names else 0,
        retransmits=c.retransmits,
        receive_queue=len(c.received),
        send_queue=len(c.buffer) + (c.fin_queued and not c.fin_acknowledged),
    )
