"""Relay: what xdist starts in place of an interpreter; it has the nursery fork one on its streams.

A program of its own, with little to import: it is started once for each worker.
"""

import os
import signal
import socket
import sys

_STREAMS = (0, 1, 2)
_LOST = 1


def main(nursery: str) -> int:
    """Hand the standard streams to a nursery, by its name; return the worker's exit status."""
    # What a terminal sends to all is the controlling process's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(f"\0{nursery}")
        socket.send_fds(connection, [b"fork"], _STREAMS)
        for stream in _STREAMS[:2]:
            # That the worker has ended is seen by its streams.
            os.close(stream)
        status = connection.recv(1)
    return status[0] if status else _LOST


if __name__ == "__main__":
    os._exit(main(sys.argv[1]))
