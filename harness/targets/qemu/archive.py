"""Archive: an initial file system for a kernel, in the cpio format that it unpacks at boot.

The format is "newc" of cpio(5), as the kernel's own text on initramfs describes it: each entry is a
header of hexadecimal numbers, its name and its octets, each padded to four octets.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_MAGIC = b"070701"
_END = "TRAILER!!!"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder, symbolic link or device; `mode` holds kind and permissions as in stat(2).

    The octets of a link are where it points; `device` are the major and minor number.
    """

    mode: int
    octets: bytes = b""
    device: tuple[int, int] = (0, 0)


def file(octets: bytes, *, executable: bool = False) -> Entry:
    """Return a regular file."""
    return Entry(stat.S_IFREG | (0o755 if executable else 0o644), octets)


def link(where: str) -> Entry:
    """Return a symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, where.encode())


def folder() -> Entry:
    """Return a folder."""
    return Entry(stat.S_IFDIR | 0o755)


def character_device(major: int, minor: int) -> Entry:
    """Return a character device that its owner may use."""
    return Entry(stat.S_IFCHR | 0o600, device=(major, minor))


def pack(entries: Mapping[str, Entry]) -> bytes:
    """Return the archive of entries by absolute path; folders on the way are made.

    The same entries always give the same octets: no time and no owner of this machine is in them.
    """
    complete: dict[str, Entry] = {}
    for name, entry in entries.items():
        for above in reversed(PurePosixPath(name).parents[:-1]):
            complete.setdefault(str(above), folder())
        complete[name] = entry
    # A folder comes before what is in it, because the kernel makes them in this order.
    found = [
        _one(number, name.lstrip("/"), complete[name])
        for number, name in enumerate(sorted(complete), 1)
    ]
    return b"".join([*found, _one(0, _END, Entry(0))])


def _one(number: int, name: str, entry: Entry) -> bytes:
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (
        number,
        entry.mode,
        0,
        0,
        links,
        0,
        len(entry.octets),
        0,
        0,
        *entry.device,
        len(name.encode()) + 1,
        0,
    )
    header = _MAGIC + b"".join(b"%08X" % one for one in numbers)
    return _padded(header + name.encode() + b"\0") + _padded(entry.octets)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
