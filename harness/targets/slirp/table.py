"""Table: the connections of libslirp, from the text in which it tells of them.

The text names a connection by its host socket and by ports; of IPv6 it shows no right address.
"""

import contextlib
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LINE = re.compile(
    r"TCP\[(?P<state>\w+)\]\s+(?P<fd>-?\d+)\s+(?P<source>\S+)\s+(?P<source_port>\d+)\s+"
    r"(?P<far>\S+)\s+(?P<far_port>\d+)\s+(?P<receive>\d+)\s+(?P<send>\d+)"
)
_STATES = {
    "SYN_SENT": "SYN-SENT",
    "SYN_RCVD": "SYN-RECEIVED",
    "ESTABLISHED": "ESTABLISHED",
    "FIN_WAIT_1": "FIN-WAIT-1",
    "FIN_WAIT_2": "FIN-WAIT-2",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "CLOSING": "CLOSING",
    "LAST_ACK": "LAST-ACK",
    "TIME_WAIT": "TIME-WAIT",
}


@dataclass(slots=True)
class Connections:
    """Reads rows. `places` are those of the stack; `forwards` are ports of the host to peers'."""

    places: Mapping[str, str]
    forwards: dict[int, tuple[str, int]]
    _ports: dict[int, int] = field(default_factory=dict)

    def rows(self, text: str) -> list[tuple[dict[str, Any], int]]:
        """Return the rows, with the fields of `sock_diag.Row`, and each one's host socket."""
        found = []
        for line in text.splitlines():
            match = _LINE.search(line)
            if match is not None and match["state"] in _STATES:
                found.append((self._row(match), int(match["fd"])))
        return found

    def _row(self, match: re.Match[str]) -> dict[str, Any]:
        descriptor = int(match["fd"])
        own, far = ends(descriptor)
        family = "ipv6" if own is not None and ":" in own[0] else "ipv4"
        forwarded = self.forwards.get(int(match["source_port"]))
        if forwarded is not None:
            if far is not None:
                self._ports[descriptor] = far[1]
            remote, local_port = forwarded, self._ports.get(descriptor, 0)
        else:
            address = self.places["guest6"]
            if family == "ipv4":
                # A star stands for an address without bits.
                address = match["source"].replace("*", "0.0.0.0")  # noqa: S104
            remote, local_port = (address, int(match["source_port"])), int(match["far_port"])
        return row(
            family,
            _STATES[match["state"]],
            (self.places[family], local_port),
            remote,
            receive_queue=int(match["receive"]),
            send_queue=int(match["send"]),
        )


def row(
    family: str, state: str, local: tuple[str, int], remote: tuple[str, int], **more: int
) -> dict[str, Any]:
    """Return the fields of `sock_diag.Row`; what is not known is 0."""
    return {
        "family": family,
        "state": state,
        "local_address": local[0],
        "local_port": local[1],
        "remote_address": remote[0],
        "remote_port": remote[1],
        "timer": "none",
        "expires": 0,
        "retransmits": 0,
        "receive_queue": 0,
        "send_queue": 0,
        "uid": 0,
        "inode": 0,
        **more,
    }


def ends(descriptor: int) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """Return both ends of a host socket, as far as it has them."""
    own = far = None
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as held:
        own = held.getsockname()[:2]
        far = held.getpeername()[:2]
    return own, far
