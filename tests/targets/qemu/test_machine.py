"""Machine: what becomes of one that boots, hangs, panics or never was there."""

import os
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError, Inconclusive
from harness.targets.qemu import machine
from harness.targets.qemu.machine import Boot, Machine, copy_sparsely

# Stands in for QEMU: a monitor, a console, and a guest that answers from the mailbox, or not.
FAKE = """#!{python} -IS
import json, mmap, os, re, socket, struct, sys, time
words = " ".join(sys.argv)
folder = re.search(r"file:(\\S+)/console", words).group(1)
monitor = socket.socket(fileno=int(re.search(r"fd=(\\d+)", words).group(1)))
console = open(folder + "/console", "w", buffering=1)
size = os.path.getsize(folder + "/mailbox")
memory = mmap.mmap(os.open(folder + "/mailbox", os.O_RDWR), size)
def say(**what):
    monitor.sendall(json.dumps(what).encode() + b"\\r\\n")
def answer(what):
    octets = json.dumps(what).encode()
    memory[size // 2 : size // 2 + 4 + len(octets)] = struct.pack("<I", len(octets)) + octets
    say(event="STOP")
say(QMP={{}})
behaviour = {behaviour!r}
for line in monitor.makefile("rb"):
    order = json.loads(line)["execute"]
    if order == "qmp_capabilities":
        say(**{{"return": {{}}}})
        console.write("booting\\nthe last words of a kernel\\n")
        if behaviour == "panics":
            sys.exit(1)
        if behaviour != "hangs":
            answer({{"now": 1.5, "error": None}})
    elif order == "cont":
        say(**{{"return": {{}}}})
        (length,) = struct.unpack("<I", memory[:4])
        wish = json.loads(memory[4 : 4 + length])
        if "until" in wish:
            answer({{"now": wish["until"], "error": wish.get("trouble")}})
"""


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """Return what starts a machine that behaves as it is told."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(machine, "BOOT_LIMIT", 1.0)
    monkeypatch.setattr(machine, "LIMIT", 2.0)
    monkeypatch.setattr(machine, "VIRTUAL_PER_WALL", 10_000.0)
    before = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}

    def start(behaviour):
        program = tmp_path / machine.PROGRAM
        program.write_text(FAKE.format(python=sys.executable, behaviour=behaviour))
        program.chmod(0o755)
        boot = Boot(tmp_path / "image", tmp_path / "initramfs")
        return Machine.boot(boot, tmp_path / "memory")

    yield start
    assert not left(str(tmp_path), before)


def left(where, before):
    """Return the processes that are there still, of those that name a place."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and path.name not in before:
            try:
                found += [path.name] * (where in (path / "cmdline").read_text())
            except OSError:
                continue
    return found


def test_a_machine_answers_and_stands_still(boot):
    """Its first answer is there when it is; each wish gets one."""
    made, answer = boot("answers")
    assert answer["now"] == 1.5
    assert made.exchange({"until": 8.5})["now"] == 8.5
    assert made.console().splitlines() == ["booting", "the last words of a kernel"]
    made.close()
    made.close()


@pytest.mark.parametrize(("behaviour", "said"), [("hangs", "hangs"), ("panics", "has ended")])
def test_a_machine_that_never_boots_is_inconclusive_with_its_console(boot, behaviour, said):
    """Within a limit of wall time, and nothing is left of it."""
    with pytest.raises(Inconclusive, match=f"{said}: the last words of a kernel"):
        boot(behaviour)


def test_a_machine_that_does_not_come_back_is_inconclusive(boot):
    """Its last words are told, and it is ended."""
    made, _ = boot("answers")
    machine.LIMIT = 0.3
    with pytest.raises(Inconclusive, match="hangs: the last words"):
        made.exchange({})
    with pytest.raises(Inconclusive, match="has ended"):
        made.exchange({"until": 9.0})


def test_a_guest_s_trouble_is_our_fault(boot):
    """It never becomes a verdict on the target."""
    made, _ = boot("answers")
    with pytest.raises(HarnessError, match="in the guest: OSError"):
        made.exchange({"until": 2.0, "trouble": "OSError: no such device"})
    made.close()


def test_empty_memory_takes_no_room(tmp_path):
    """A copy is the same, but for holes where the original holds zeros."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(1 << 20) + b"state" + bytes(1 << 20))
    copy_sparsely(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks < source.stat().st_blocks
