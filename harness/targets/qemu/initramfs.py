"""Initramfs: the guest's whole file system, made of this machine's own Python and iptables.

The agent in the guest is the same file as everywhere else, so that every operation works at once;
what Python costs in an emulator is told in `machine`.
"""

import importlib.util
import json
import py_compile
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.targets.qemu import archive
from harness.targets.qemu.archive import Entry
from harness.targets.qemu.modules import Module

_FILES = ("agent.py", "sock_diag.py", "qemu/guest.py", "qemu/mailbox.py")

# Run by the interpreter that shall run in the guest: what it needs is what it has loaded then.
_ASK = """
import json, sys
sys.path[:0] = sys.argv[1:]
import agent, guest, mailbox, sock_diag, subprocess, ctypes, encodings.idna, encodings.ascii
import encodings.latin_1
files = [getattr(module, "__file__", None) for module in sys.modules.values()]
print(json.dumps({
    "executable": sys._base_executable,
    "files": sorted({file for file in files if file}),
    "landmark": __import__("os").__file__,
}))
"""

# Of an ELF file's header: where the program headers are, how long each is, how many there are.
_PROGRAM_HEADERS = struct.Struct("<Q14xHH")

_IPTABLES = {"iptables": "iptables", "ip6tables": "ip6tables"}
_PLUGINS = ("/usr/lib/*/xtables", "/usr/lib/xtables", "/usr/lib64/xtables", "/lib/*/xtables")


def build(modules: Sequence[Module], programs: Mapping[str, Path]) -> dict[str, Entry]:
    """Return the files of a guest with these modules, and programs (by the path they have there).

    HarnessError if this machine's Python cannot be put in.
    """
    entries: dict[str, Entry] = {
        "/dev": archive.folder(),
        "/dev/console": archive.character_device(5, 1),
        "/tmp": archive.folder(),  # noqa: S108 - the guest's own
    }
    asked = _ask_python()
    interpreter = str(Path(asked["executable"]).resolve())
    entries[interpreter] = _copied(Path(interpreter), executable=True)
    _add_libraries(entries, interpreter, *(f for f in asked["files"] if ".so" in Path(f).name))
    _add_modules(entries, [*asked["files"], asked["landmark"]])
    entries["/init"] = archive.file(
        f"#!{interpreter} -IS\nimport sys\nsys.path.insert(0, '/tcpspec')\n"
        "import guest\nguest.main()\n".encode(),
        executable=True,
    )
    for number, module in enumerate(modules):
        entries[f"/modules/{number:03}-{module.name}.ko"] = archive.file(module.octets)
    _add_programs(entries, programs)
    return entries


def sources(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return all but what was translated from the rest: that is never twice the same."""
    return {name: entry for name, entry in entries.items() if not name.endswith(".pyc")}


def iptables() -> dict[str, Path]:
    """Return this machine's iptables programs by the path they get in a guest; empty if none."""
    path = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
    found = {f"/usr/sbin/{name}": shutil.which(name, path=path) for name in _IPTABLES}
    return {name: Path(place).resolve() for name, place in found.items() if place}


def _ask_python() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        _lay_out(Path(folder))
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _ASK, folder],
            capture_output=True,
            check=False,
            text=True,
        )
    if done.returncode:
        raise HarnessError(f"this Python cannot run in a guest: {done.stderr.strip()[-300:]}")
    asked: dict[str, Any] = json.loads(done.stdout)
    asked["files"] = [file for file in asked["files"] if not file.startswith(folder)]
    return asked


def _lay_out(folder: Path) -> list[Path]:
    """Copy our own files of the guest into one folder."""
    found = []
    for name in _FILES:
        source = resources.files("harness.targets").joinpath(name)
        found.append(folder / Path(name).name)
        found[-1].write_bytes(source.read_bytes())
    return found


def _add_modules(entries: dict[str, Entry], files: Iterable[str]) -> None:
    """Add Python's modules, translated: the guest should not spend its time on that."""
    with tempfile.TemporaryDirectory() as folder:
        own = [(path, f"/tcpspec/{path.name}") for path in _lay_out(Path(folder))]
        others = [(Path(file), file) for file in files if file.endswith(".py")]
        for source, name in (*own, *others):
            entries[name] = _copied(source)
            target = Path(folder, "translated")
            py_compile.compile(
                str(source),
                str(target),
                dfile=name,
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            entries[importlib.util.cache_from_source(name)] = _copied(target)


def _add_libraries(entries: dict[str, Entry], *files: str) -> None:
    """Add files and all shared libraries that they are linked with."""
    for file in files:
        entries.setdefault(file, _copied(Path(file), executable=True))
        for name in _libraries(file):
            entries.setdefault(name, _copied(Path(name), executable=True))


def _libraries(file: str) -> list[str]:
    """Return the paths at which the dynamic linker finds a file's libraries, and its own."""
    done = subprocess.run(["ldd", file], capture_output=True, check=False, text=True)
    words = (line.split() for line in done.stdout.splitlines())
    return [
        place
        for line in words
        if (place := next((word for word in line if word.startswith("/")), None)) is not None
    ]


def _add_programs(entries: dict[str, Entry], programs: Mapping[str, Path]) -> None:
    for name, source in programs.items():
        entries[name] = _copied(source, executable=True)
        for library in _libraries(str(source)):
            entries.setdefault(library, _copied(Path(library), executable=True))
    if not programs:
        return
    for pattern in _PLUGINS:
        for plugin in Path("/").glob(pattern.lstrip("/") + "/*.so"):
            entries[str(plugin)] = _copied(plugin, executable=True)


def _copied(path: Path, *, executable: bool = False) -> Entry:
    return archive.file(loaded(path.read_bytes()), executable=executable)


def loaded(octets: bytes) -> bytes:
    """Return of a 64-bit ELF file what is loaded to run it; any other file as it is.

    What follows the last segment is for debuggers and may be larger than all the rest.
    """
    if octets[:6] != b"\x7fELF\x02\x01":
        return octets
    offset, size, count = _PROGRAM_HEADERS.unpack_from(octets, 32)
    segments = [struct.unpack_from("<QQQQQ", octets, offset + at * size) for at in range(count)]
    end = max(start + length for _, start, _, _, length in segments)
    # Neither offset nor number of sections: there are none any more.
    header = octets[:40] + bytes(8) + octets[48:60] + bytes(4)
    return header + octets[64:end]
