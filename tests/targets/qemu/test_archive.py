"""Archive: what a kernel unpacks."""

import stat

import pytest

from harness.targets.qemu import archive


def unpacked(octets):
    """Read an archive as cpio(5) describes it: names, and mode, octets and device of each."""
    at, found = 0, []
    while True:
        assert octets[at : at + 6] == b"070701"
        numbers = [int(octets[start : start + 8], 16) for start in range(at + 6, at + 110, 8)]
        size, length = numbers[6], numbers[11]
        name = octets[at + 110 : at + 109 + length].decode()
        start = at + 110 + length + -(110 + length) % 4
        at = start + size + -size % 4
        if name == "TRAILER!!!":
            assert at == len(octets)
            return dict(found)
        found.append((name, (numbers[1], octets[start : start + size], tuple(numbers[9:11]))))


def test_what_is_packed_can_be_unpacked():
    """Every kind of entry comes out as it went in."""
    octets = archive.pack(
        {
            "/init": archive.file(b"#!/bin/true\n", executable=True),
            "/etc/motd": archive.file(b"odd"),
            "/bin/sh": archive.link("busybox"),
            "/dev/console": archive.character_device(5, 1),
        }
    )
    found = unpacked(octets)
    assert found["init"] == (stat.S_IFREG | 0o755, b"#!/bin/true\n", (0, 0))
    assert found["etc/motd"][:2] == (stat.S_IFREG | 0o644, b"odd")
    assert found["bin/sh"][:2] == (stat.S_IFLNK | 0o777, b"busybox")
    assert found["dev/console"] == (stat.S_IFCHR | 0o600, b"", (5, 1))


def test_folders_on_the_way_come_first():
    """The kernel makes entries in their order, and no folder by itself."""
    names = list(unpacked(archive.pack({"/a/b/c": archive.file(b""), "/a-b": archive.folder()})))
    assert names.index("a") < names.index("a/b") < names.index("a/b/c")
    assert len(names) == 4


def test_the_same_entries_give_the_same_octets():
    """Neither the order in which they are named nor the time of day shows."""
    one = {"/x": archive.file(b"1"), "/y": archive.file(b"2")}
    other = dict(reversed(one.items()))
    assert archive.pack(one) == archive.pack(other)


@pytest.mark.parametrize("size", range(5))
def test_everything_begins_at_a_multiple_of_four(size):
    """Whatever the lengths of name and file, the next entry is found."""
    name = "/" + "n" * (size + 1)
    entries = {name: archive.file(b"x" * size), "/z": archive.file(b"last")}
    assert unpacked(archive.pack(entries))["z"][1] == b"last"
