"""Timestamps: TS.Recent, and protection against wrapped numbers (RFC 7323 sections 4.3 and 5)."""

from harness.segment.segment import Segment, Timestamps
from harness.segment.sequence import less, less_or_equal
from harness.targets.model.connection import Connection

OUTDATED = 24 * 86400.0
"""Seconds after which TS.Recent is not believed any more (section 5.5)."""


def acceptable(c: Connection, segment: Segment) -> bool:
    """PAWS: a segment whose timestamp is older than the last is a duplicate (RFC 7323 R1)."""
    if not c.timestamps or segment.rst:
        return True
    stamp = next((o for o in segment.options if isinstance(o, Timestamps)), None)
    if stamp is None:
        return True
    return not less(stamp.value, c.ts_recent) or outdated(c)


def outdated(c: Connection) -> bool:
    """Tell whether TS.Recent says nothing any more (section 5.5)."""
    return c.now - c.ts_recent_at > OUTDATED


def update(c: Connection, segment: Segment) -> None:
    """Take a timestamp from the segment that spans the last acknowledgement (RFC 7323 R3)."""
    stamp = next((o for o in segment.options if isinstance(o, Timestamps)), None)
    if stamp is None or not c.timestamps or segment.rst:
        return
    newer = less_or_equal(c.ts_recent, stamp.value) or outdated(c)
    if newer and less_or_equal(segment.seq, c.last_ack_sent):
        c.ts_recent, c.ts_recent_at = stamp.value, c.now
