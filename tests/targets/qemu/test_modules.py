"""Modules: which are needed, and in what order."""

import gzip
import lzma
import struct

import pytest

from harness.errors import UsageError
from harness.targets.qemu import modules


def module(*depends):
    """Make a 64-bit ELF file with a `.modinfo` and nothing else."""
    info = b"license=GPL\0depends=" + ",".join(depends).encode() + b"\0vermagic=6.1\0"
    names = b"\0.modinfo\0.shstrtab\0"
    sections = [(0, 0, 0), (1, 64, len(info)), (10, 64 + len(info), len(names))]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", n, 1, 0, 0, o, s, 0, 0, 1, 0) for n, o, s in sections
    )
    header = b"\x7fELF\x02\x01".ljust(40, b"\0")
    header += struct.pack("<QIHHHHHH", 64 + len(info) + len(names), 0, 64, 0, 0, 64, 3, 2)
    return header + info + names + table


def lay(folder, **files):
    """Put modules into folders of their own, as a kernel's package does."""
    for name, octets in files.items():
        path = folder / "kernel" / name[0] / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)


def test_a_module_says_what_it_depends_on():
    """Names are spelt with an underscore, whatever the file's name has."""
    assert modules.depends(module("nf-tables", "x_tables")) == ["nf_tables", "x_tables"]
    assert modules.depends(module()) == []
    assert modules.depends(b"no module") == []


def test_what_a_module_depends_on_comes_before_it(tmp_path):
    """Each is loaded once, the deepest first."""
    lay(tmp_path, top__ko=module("left", "right"), left__ko=module("base"))
    lay(tmp_path, right__ko=module("base"), base__ko=module())
    found = [one.name for one in modules.needed(tmp_path, ("top", "left"))]
    assert found == ["base", "left", "right", "top"]


@pytest.mark.parametrize(("suffix", "pack"), [("xz", lzma.compress), ("gz", gzip.compress)])
def test_modules_may_be_compressed(tmp_path, suffix, pack):
    """The guest gets them as they are loaded."""
    lay(tmp_path, **{f"tun__ko__{suffix}": pack(module())})
    assert modules.needed(tmp_path, ("tun",))[0].octets == module()


def test_what_is_not_there_is_left_out(tmp_path):
    """It may be built in; and a kernel may have no modules at all."""
    lay(tmp_path, tun__ko=module("built_in"))
    assert [one.name for one in modules.needed(tmp_path, ("tun", "veth"))] == ["tun"]
    assert modules.needed(None, ("tun",)) == []


def test_a_module_that_cannot_be_read_is_the_user_s_mistake(tmp_path):
    """It is named."""
    lay(tmp_path, tun__ko__xz=b"not compressed")
    with pytest.raises(UsageError, match=r"tun\.ko\.xz cannot be read"):
        modules.needed(tmp_path, ("tun",))
