"""Mailbox: memory that harness and guest share, and what stands in it.

The first half holds what the harness wishes, the second what the guest answers: JSON behind its
length. Needs the standard library only, because the guest uses it too.
"""

import json
import struct
from mmap import mmap
from typing import Any

SIZE = 1 << 24
"""Octets of the mailbox."""

WHERE = 1 << 32
"""The mailbox's address in the machine: where memory begins that is not the kernel's."""

_LENGTH = struct.Struct("<I")
_HALF = SIZE // 2


def write(mailbox: mmap, what: Any, *, answer: bool = False) -> None:
    """Put a wish there, or an answer; ValueError for one that is too long."""
    octets = json.dumps(what).encode()
    if len(octets) > _HALF - _LENGTH.size:
        raise ValueError(f"{len(octets)} octets do not fit into the mailbox")
    at = _HALF * answer
    mailbox[at : at + _LENGTH.size] = _LENGTH.pack(len(octets))
    mailbox[at + _LENGTH.size : at + _LENGTH.size + len(octets)] = octets


def read(mailbox: mmap, *, answer: bool = True) -> Any:
    """Take an answer, or a wish; None if what stands there is neither."""
    at = _HALF * answer
    (length,) = _LENGTH.unpack(mailbox[at : at + _LENGTH.size])
    octets = mailbox[at + _LENGTH.size : at + _LENGTH.size + length]
    try:
        return json.loads(octets)
    except ValueError:
        return None
