"""Uml: what a guest is started with, what is read of its console, and how its lines are used."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import HarnessError, UsageError
from harness.targets import registry
from harness.targets.channel import AgentReply
from harness.targets.kernels import Kernel
from harness.targets.uml import barrier, guest, inside, launcher, machine
from harness.targets.uml.driver import _complaint

KERNEL = Kernel("uml-6.1", Path("/cache/linux.uml"), Path("/cache/modules/6.1.9"), "6.1.9", "6.1.9")

PANIC = """\
OSError: [Errno 16] Device or resource busy
Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
CPU: 0 PID: 1 Comm: python3.11 Not tainted 6.1.176 #1
Stack:
 606944ba 607e7fcd 6688bc60 6067bb96
Call Trace:
 [<606944ba>] ? _printk+0x0/0x94
 [<6002d37a>] show_stack+0x184/0x193
the process of the guest ended with signal 6
"""


@pytest.fixture
def silent():
    """A machine that was never started, for what needs no process."""
    made = object.__new__(machine.Machine)
    made.kernel = KERNEL
    made._printed = -1
    made._last_words = ""
    made._process = subprocess.Popen(["true"])
    made._process.wait()
    return made


def test_a_command_line_has_the_hosts_files_two_taps_and_a_line_for_each_program(tmp_path):
    """All that a guest is given stands on its command line."""
    words = machine.command(KERNEL, tmp_path, ("client", "server"), (7, 8, 9))
    assert words[0] == "/cache/linux.uml"
    assert {"rootfstype=hostfs", "ro", f"init={tmp_path}/init", "con0=null,fd:1"} <= {*words}
    assert [word for word in words if word.startswith("ssl")] == [
        *("ssl=null", "ssl0=fd:7", "ssl1=fd:8", "ssl2=fd:9")
    ]
    assert [word for word in words if word.startswith("vec")] == [
        "vec0:transport=tap,ifname=client,depth=128,gro=0",
        "vec1:transport=tap,ifname=server,depth=128,gro=0",
    ]


def test_the_first_program_is_found_whatever_its_path_is_like(tmp_path, monkeypatch):
    """Quotes and spaces in paths reach the first program as they are."""
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    monkeypatch.setattr(machine, "_PROGRAM", "import sys; print(sys.argv[2])")
    machine._write_init(folder, KERNEL)
    done = subprocess.run([folder / "init"], capture_output=True, text=True, check=True)
    card = Path(done.stdout.strip())
    assert card == folder / "guest.json"
    assert json.loads(card.read_text()) == {"modules": "/cache/modules/6.1.9"}


def test_a_reason_is_the_last_lines_of_a_console_without_its_traces(silent):
    """A panic is told by what the kernel said, not by where it stood."""
    silent._last_words = PANIC
    assert silent.why() == (
        "OSError: [Errno 16] Device or resource busy"
        " | Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100"
        " | the process of the guest ended with signal 6"
    )
    silent._last_words = ""
    assert silent.why() == "it printed nothing"


class Stream:
    """Stands in for a channel: answers at once, and keeps what was asked."""

    def __init__(self):
        self.asked = []

    def request(self, operation, **arguments):
        self.asked.append({"op": operation, **arguments})
        return AgentReply(operation, 0.0, 0.0)

    def synchronise(self):
        """Do nothing."""

    def close(self):
        """Do nothing."""


def test_no_burst_is_longer_than_a_line_takes():
    """What is long comes in parts that together are the request; many short ones are counted."""
    stream = Stream()
    line = machine.Line(stream, clock=Clock(), name="uml-6.1")
    line.request("send", socket=1, data="x" * 5000)
    *parts, whole = (asked for asked in stream.asked if asked["op"] != "hello")
    assert all(part["op"] == "part" and len(part["text"]) <= guest.LIMIT for part in parts)
    assert whole == {"op": "whole"}
    served = []
    handle = guest.Parts(served.append)
    for number, request in enumerate((*parts, whole)):
        handle({**request, "id": number})
    assert served == [{"op": "send", "socket": 1, "data": "x" * 5000, "id": len(parts)}]
    stream.asked.clear()
    for _ in range(40):
        line.request("receive", socket=1)
    sizes = 0
    for asked in stream.asked:
        sizes = 0 if asked["op"] == "hello" else sizes + len(json.dumps(asked))
        assert sizes <= guest.LIMIT


class Clock:
    """Stands still."""

    def now(self):
        """Return zero."""
        return 0.0


def test_a_refusal_of_the_guest_is_ours():
    """What a guest's first program refuses is an error of the harness, with its words."""

    class Refusing(Stream):
        def request(self, operation):
            return AgentReply(operation, 0.0, 0.0, "a stack does not end", "EIO")

    line = machine.Line(Refusing(), clock=Clock(), name="uml-6.1")
    with pytest.raises(HarnessError, match=r"guest of uml-6\.1: a stack does not end"):
        line.ask("shut")


def test_modules_are_loaded_with_what_they_need_before_them(tmp_path, monkeypatch):
    """The order is that of modules.dep, from behind; each is loaded once."""
    (tmp_path / "modules.dep").write_text(
        "kernel/net/xt_a-b.ko: kernel/net/x_tables.ko\n"
        "kernel/net/nf.ko: kernel/net/middle.ko kernel/net/first.ko\n"
        "kernel/net/x_tables.ko:\n"
    )
    loaded = []
    modules = inside.Modules(str(tmp_path))
    monkeypatch.setattr(modules, "_insert", loaded.append)
    modules.load(["xt_a_b", "nf", "part_of_the_kernel"])
    assert [Path(file).stem for file in loaded] == ["x_tables", "xt_a-b", "first", "middle", "nf"]
    inside.Modules(None).load(["nf"])


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("-I INPUT -p tcp --dport 2017 -j DROP", (False, ("dst_port", "2017"))),
        ("-D INPUT -p tcp --sport 2017 -j DROP", (True, ("src_port", "2017"))),
        ("-I INPUT 1 -p tcp -j DROP", (False, ())),
        ("-t filter -A INPUT -s 198.51.100.1 -p tcp -j DROP", (False, ("src_ip", "198.51.100.1"))),
        ("-I OUTPUT -p tcp --dport 2017 -j DROP", None),
        ("-I INPUT -p udp --dport 2017 -j DROP", None),
        ("-I INPUT -p tcp ! --dport 2017 -j DROP", None),
        ("-I INPUT -p tcp --dport 2017 -j REJECT", None),
        ("-I INPUT -p tcp --dport 2017 --syn -j DROP", None),
        ("-I INPUT -p tcp -m limit --limit 1/s -j DROP", None),
        ("-A PREROUTING -t raw -p tcp -j CT --notrack", None),
        ("-S", None),
    ],
)
def test_only_rules_that_drop_what_comes_in_can_stand_at_the_interface(rule, found):
    """A rule that means anything more is refused, not half obeyed."""
    assert barrier._dropping(rule.split()) == found


def test_a_sysctl_that_cannot_be_set_is_told_with_its_reason():
    """A misspelt name gets a hint; a refused value is quoted."""

    def told(error, value=None):
        reply = AgentReply("sysctl", 0.0, 0.0, value, error)
        return _complaint("net.ipv4.tcp_sin_retries", reply, {"net.ipv4.tcp_syn_retries": "6"})

    assert told("ENOENT") == "no such sysctl; did you mean net.ipv4.tcp_syn_retries?"
    assert "only read" in told("EACCES")
    assert "Invalid argument" in told("EINVAL", "Invalid argument")


def test_a_kernel_of_the_users_own_is_named_by_its_path(tmp_path):
    """`uml:PATH` is a target; a path that is no kernel is refused in one line."""
    image = tmp_path / "linux"
    made = registry.driver(f"uml:{image}")
    assert "does not run" in (made.missing() or "")
    with pytest.raises(UsageError, match="does not run"):
        made()
    image.write_text("#!/bin/sh\necho 6.7.8\n")
    image.chmod(0o755)
    driver = registry.driver(f"uml:{image}")()._driver
    assert driver._kernel == Kernel(f"uml:{image}", image, None, "6.7.8", "6.7.8")
    (tmp_path / "modules" / "6.7.8").mkdir(parents=True)
    driver = registry.driver(f"uml:{image}")()._driver
    assert driver._kernel.modules == tmp_path / "modules" / "6.7.8"


def test_a_launcher_ends_with_its_input_and_takes_its_folder_along(tmp_path):
    """Where no process namespace may be made it says so; in any case nothing is left."""
    folder = tmp_path / "guest"
    folder.mkdir()
    words = [sys.executable, "-I", "-S", launcher.__file__, str(folder), "/bin/sleep", "60"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=10)
    assert not folder.exists()
    assert process.returncode == (1 if b"no process namespace" in said else 256 - signal.SIGKILL)
