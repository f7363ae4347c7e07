"""Own route: whether a stack takes its own IPv6 address for its own.

Linux installs the local route of an IPv6 address a little later than the address, from a work queue
that waits for a lock of all namespaces: where many of them come and go that takes tens of
milliseconds, in which what is sent to the address is lost. Runs in guests, too.
"""

import socket
import time
from pathlib import Path

_ROUTES = Path("/proc/thread-self/net/ipv6_route")
_RTF_LOCAL = 0x80000000
_WHOLE = "80"
_FLAGS = 8
_WITHIN = 10.0


def await_own(address: str) -> None:
    """Wait until the calling thread's namespace has the local route; OSError after 10 s."""
    deadline = time.monotonic() + _WITHIN
    while not is_own(_ROUTES.read_text("ascii"), address):
        if time.monotonic() > deadline:
            raise OSError(f"{address} is not taken for the stack's own")
        time.sleep(0.001)


def is_own(routes: str, address: str) -> bool:
    """Tell whether an address has a local route in a table such as /proc/net/ipv6_route."""
    wanted = [socket.inet_pton(socket.AF_INET6, address).hex(), _WHOLE]
    rows = map(str.split, routes.splitlines())
    return any(row[:2] == wanted and int(row[_FLAGS], 16) & _RTF_LOCAL for row in rows)
