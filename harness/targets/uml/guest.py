"""Guest: the first program in a guest: makes stacks, and an agent in each.

It is the guest's init. A line to the harness, `ttyS0`, asks for stacks; each is a process in a
network namespace of its own that has an agent on a line of its own. Its interface is one end of a
veth pair, whose other end is bridged with one of the guest's: user-mode-linux's own device leaves
checksums and segmentation to the host, and nothing in the guest can switch that off. When a stack
is to end, its process takes the pair away and ends, and with it the namespace. So nothing of one
testcase reaches the next, and no more than a process has to be started for it.

A line takes a burst of at most `LIMIT` octets: what is longer comes in parts, each of which is
answered (a longer burst would silence the line for good: user-mode-linux stops listening to a
line when a burst fills the terminal's buffer, and never begins again).

    {"id": 1, "op": "part", "text": "…"}                  kept, joined to the earlier parts
    {"id": 2, "op": "whole"}                              what they are together is the request
    {"id": 3, "op": "open", "stacks": [{"line", "device", "mac", "addresses"}],
     "ground": {…}, "sysctls": {…}}                       null; processes stand on their lines
    {"id": 4, "op": "shut"}                               null; they have ended
    {"id": 5, "op": "survey", "names": […]}               in a stack: its sysctls, as texts
"""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time
import tty
from pathlib import Path
from typing import Any

from harness.targets import agent, offload, sock_diag
from harness.targets.own_route import await_own
from harness.targets.uml import inside
from harness.targets.uml.barrier import Barrier

# What a stack needs is loaded before it is forked.
_LOADED = (sock_diag,)

LIMIT = 2000

INTERFACE = "eth0"
# Numbers of interfaces, which begin at 1 in each namespace; far from those, so that a carrier is
# noticed at once (see network.py).
_BRIDGE, _PAIR = 1 << 20, 1 << 21
_QUIET = {f"net.ipv6.conf.{which}.disable_ipv6": "1" for which in ("all", "default")}
_GREETING_TYPE = 0x88B5
_GREETING = struct.pack("!6s6sH46x", b"\xff" * 6, bytes.fromhex("0200000000fe"), _GREETING_TYPE)
_GREETING_WITHIN = 5.0
_SHUT_WITHIN = 3.0


class Parts:
    """Requests that came in parts are put together for `serve`, which takes whole ones."""

    def __init__(self, serve: Any) -> None:
        self._serve = serve
        self._text: list[str] = []

    def __call__(self, request: dict[str, Any]) -> Any:
        """Take one request; return what there is to be answered."""
        operation = request.get("op")
        if operation == "part":
            self._text.append(str(request.get("text")))
            return [answer(request)]
        if operation == "whole":
            text, self._text = "".join(self._text), []
            request = {**json.loads(text), "id": request.get("id")}
        return self._serve(request)


class StackAgent:
    """The agent of a stack, with what only a guest can tell or needs."""

    def __init__(self, modules: Any) -> None:
        self._agent = agent.Agent(run=Barrier(modules, INTERFACE).run)
        self.handle = Parts(self._handle)
        self.fileno = self._agent.fileno
        self.poll = self._agent.poll
        self.refuse = self._agent.refuse
        self.close = self._agent.close

    def _handle(self, request: dict[str, Any]) -> Any:
        if request.get("op") == "survey":
            return [answer(request, inside.sysctls(request["names"]))]
        return self._agent.handle(request)


class Stack:
    """A process with a stack; `run` is its life."""

    def __init__(self, card: dict[str, Any], order: dict[str, Any], modules: Any) -> None:
        self._card = card
        self._order = order
        self._modules = modules

    def run(self, ready: int, others: int) -> None:
        """Make the stack and serve until SIGTERM.

        `ready` is told by an octet that a frame has come; `others` closes when all have told that.
        """
        inside.die_with_parent()
        signal.signal(signal.SIGTERM, _leave)
        line = inside.Line(self._card["line"]).descriptor
        tty.setraw(line)
        outside = inside.Netlink()
        inside.new_namespace()
        # An interface takes its settings when it is made.
        inside.write_sysctls(self._order["ground"], all_=False)
        number = self._card["device"]
        near = _PAIR + number
        outside.add_pair(near, INTERFACE, os.open("/proc/self/ns/net", os.O_RDONLY))
        links = inside.Netlink()
        served = StackAgent(self._modules)
        try:
            outside.join(near, _BRIDGE + number)
            self._configure(links)
            self._greet(ready, others)
            agent.Program(line, line, served).run()
        finally:
            with contextlib.suppress(OSError):
                served.close()
            outside.delete(near)

    def _configure(self, links: Any) -> None:
        index = socket.if_nametoindex(INTERFACE)
        offload.switch_off(INTERFACE)
        links.set_up(socket.if_nametoindex("lo"))
        links.set_up(index, self._card["mac"])
        addresses = dict(self._card["addresses"])
        if not Path("/proc/sys/net/ipv6").exists():
            addresses.pop("ipv6", None)
        links.give(index, addresses)
        if "ipv6" in addresses:
            await_own(addresses["ipv6"])
        inside.write_sysctls(self._order["sysctls"], all_=True)

    def _greet(self, ready: int, others: int) -> None:
        """Send frames until one has come from the far end, for as long as another waits for one.

        A fresh link drops what comes too early.
        """
        heard = False
        deadline = time.monotonic() + _GREETING_WITHIN
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
            raw.bind((INTERFACE, _GREETING_TYPE))
            while time.monotonic() < deadline:
                raw.send(_GREETING)
                found = select.select([others] if heard else [raw], [], [], 0.005)[0]
                if others in found:
                    return
                if found:
                    heard = True
                    os.write(ready, b"+")
        raise OSError(f"no frame came over vec{self._card['device']}")


class Guest:
    """What the harness asks of the guest itself."""

    def __init__(self, modules: Any) -> None:
        self._modules = modules
        self._children: list[int] = []

    def handle(self, request: dict[str, Any]) -> Any:
        """Do what is asked; return the replies."""
        try:
            value = getattr(self, f"_{request['op']}")(request)
        except Exception as error:  # noqa: BLE001 - told to the harness, which ends the guest
            return [answer(request, f"{type(error).__name__}: {error}", "EIO")]
        return [answer(request, value)]

    def _hello(self, _: Any) -> Any:
        return list(os.uname())

    def _open(self, request: Any) -> None:
        ready = []
        wait, go = os.pipe()
        for card in request["stacks"]:
            told, tell = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(go)
                self._live(Stack(card, request, self._modules), tell, wait)
            os.close(tell)
            self._children.append(child)
            ready.append(told)
        os.close(wait)
        # All are being made; each says a word, or ends without one.
        words = [os.read(told, 400) for told in ready]
        for descriptor in (*ready, go):
            os.close(descriptor)
        for word in words:
            if word != b"+":
                raise OSError(word.decode(errors="replace") or "a stack ended at once")

    def _live(self, stack: Stack, ready: int, others: int) -> None:
        try:
            stack.run(ready, others)
        except SystemExit:
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits
            sys.stdout.write(f"stack: {type(error).__name__}: {error}\n")
            sys.stdout.flush()
            with contextlib.suppress(OSError):
                os.write(ready, f"{type(error).__name__}: {error}"[:300].encode())
        os._exit(1)

    def _shut(self, _: Any) -> None:
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        deadline = time.monotonic() + _SHUT_WITHIN
        while self._children:
            found, status = os.waitpid(-1, os.WNOHANG)
            if found in self._children:
                self._children.remove(found)
                if status:
                    raise OSError(f"a stack ended with status {status}")
            elif time.monotonic() > deadline:
                raise OSError("a stack does not end")
            elif not found:
                select.select([], [], [], 0.001)


def answer(request: dict[str, Any], value: Any = None, error: str | None = None) -> dict[str, Any]:
    """Return a reply in the agent's form."""
    now = time.monotonic()
    return {"id": request.get("id"), "value": value, "error": error, "began": now, "at": now}


def _leave(*_: Any) -> None:
    # Nothing interrupts the way out a second time.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit


def prepare(config: dict[str, Any]) -> Any:
    """Mount what programs expect, and load what stacks need; return the modules."""
    inside.mount("proc", "/proc")
    inside.mount("devtmpfs", "/dev")
    # The kernel would look for modules where the host has its own.
    Path("/proc/sys/kernel/modprobe").write_text("\n", encoding="ascii")
    modules = inside.Modules(config["modules"])
    modules.load(["ipv6", "veth", "bridge", "tcp_dctcp"])
    inside.write_sysctls(_QUIET, all_=False)
    links = inside.Netlink()
    for number, device in enumerate(("vec0", "vec1")):
        links.add_bridge(_BRIDGE + number)
        links.join(socket.if_nametoindex(device), _BRIDGE + number)
    Path("/proc/sys/vm/overcommit_memory").write_text("1", encoding="ascii")
    return modules


def main(path: str) -> None:
    """Serve the line to the harness for as long as the guest runs."""
    config = json.loads(Path(path).read_text("utf-8"))
    modules = prepare(config)
    line = inside.Line(0).descriptor
    tty.setraw(line)
    guest = Guest(modules)
    handle = Parts(guest.handle)
    reader = agent.LineReader()
    os.write(line, b"\n" + json.dumps({"up": list(os.uname())}).encode() + b"\n")
    while True:
        for said in reader.feed(os.read(line, 65536)):
            if isinstance(said, agent.Refusal):
                raise SystemExit(said.why)
            for reply in handle(said):
                _write(line, json.dumps(reply).encode() + b"\n")


def _write(line: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(line, octets) :]
