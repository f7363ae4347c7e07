"""Text: octets on their way to the user, in order and acknowledged (RFC 9293 section 3.8.6.3)."""

from harness.segment.sequence import add, difference
from harness.targets.model import output
from harness.targets.model.connection import Connection


def deliver(c: Connection, text: bytes, seq: int) -> None:
    """Hold text, give the user what is in order, and acknowledge it, now or a little later."""
    if seq != c.rcv_nxt:
        c.reassembly.hold(seq, text)
        output.acknowledge(c)
        return
    filled = bool(c.reassembly.held)
    c.reassembly.hold(seq, text)
    ready = c.reassembly.take(c.rcv_nxt)
    c.received += b"" if c.read_shut else _without_urgent(c, ready)
    c.rcv_nxt = add(c.rcv_nxt, len(ready))
    c.unacknowledged += len(ready)
    if filled or c.unacknowledged >= 2 * c.stack.mss(c.local) or not c.parameters.delayed_ack:
        output.acknowledge(c)
    elif not c.timers.delayed_ack.running:
        c.timers.delayed_ack.start(c.parameters.delayed_ack)


def _without_urgent(c: Connection, text: bytes) -> bytes:
    """Keep the last urgent octet apart from the text that begins at RCV.NXT."""
    at = -1 if c.rcv_up is None else difference(c.rcv_up, c.rcv_nxt)
    if not 0 <= at < len(text):
        return text
    c.rcv_up = None
    if c.options.get("SO_OOBINLINE"):
        return text
    c.urgent = text[at : at + 1]
    return text[:at] + text[at + 1 :]
