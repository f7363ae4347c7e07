"""Agents for tests: without a network, on socket pairs and a /proc of their own."""

import json
import random
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from harness.targets.agent import LINE_LIMIT, Agent, LineReader, Refusal

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:07E1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1
   1: 026433C6:07E1 016433C6:9C51 01 00000005:00000007 02:00000064 00000003  1000        0 4712 4
   2: 026433C6:07E1 016433C6:9C52 06 00000000:00000000 03:00000BB8 00000000     0        0 0 3
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx rx tr
   0: B80D0120000000000000000002000000:07E1 B80D0120000000000000000001000000:9C51 08 \
00000000:00000000 00:00000000 00000000     0        0 4713 1
   1: 0000000000000000FFFF0000026433C6:07E1 0000000000000000FFFF0000016433C6:9C53 03 \
00000000:00000000 01:00000032 00000001     0        0 0 1
"""
NETSTAT = """\
TcpExt: SyncookiesSent ListenDrops
TcpExt: 3 -1
IpExt: InNoRoutes
IpExt: 0
"""
SNMP = """\
Tcp: RtoAlgorithm ActiveOpens
Tcp: 1 12
"""


def proc(folder: Path) -> Path:
    """Make a /proc with canned tables and two knobs."""
    net = folder / "thread-self" / "net"
    net.mkdir(parents=True)
    for name, text in {"tcp": TCP, "tcp6": TCP6, "netstat": NETSTAT, "snmp": SNMP}.items():
        (net / name).write_text(text)
    (net / "snmp6").write_text("Ip6InReceives 4\n")
    knobs = folder / "sys" / "net" / "ipv4"
    knobs.mkdir(parents=True)
    (knobs / "tcp_fin_timeout").write_text("60\n")
    (knobs / "tcp_syn_retries").write_text("6\n")
    return folder


def pairs() -> Callable[[int], socket.socket]:
    """Return what makes sockets that are connected two by two."""
    waiting: list[socket.socket] = []

    def make(_family: int) -> socket.socket:
        if not waiting:
            waiting.extend(socket.socketpair())
        return waiting.pop(0)

    return make


def iptables(*words: object, **_: object) -> SimpleNamespace:
    """Stand in for a command: refuse a rule that says BAD, else accept."""
    bad = "BAD" in words[0]
    return SimpleNamespace(returncode=int(bad), stdout=b"-P INPUT ACCEPT\n", stderr=b"bad rule")


def agent(folder: Path) -> Agent:
    """Make an agent that touches nothing of this machine."""
    return Agent(make=pairs(), proc=str(proc(folder)), run=iptables)


# What each operation takes; spawn and link are left out, since they cannot be made harmless.
REQUESTS: dict[str, dict[str, object]] = {
    "hello": {},
    "socket": {"family": "ipv4"},
    "bind": {"address": "198.51.100.2", "port": 2017},
    "listen": {"backlog": 1},
    "connect": {"address": "198.51.100.1", "port": 2017},
    "accept": {},
    "send": {"size": 300000},
    "receive": {"size": 100000},
    "wait": {"events": ["POLLIN", "POLLRDHUP"]},
    "shutdown": {"how": "write"},
    "close": {},
    "set": {"option": "SO_LINGER", "value": [1, 0]},
    "get": {"option": "SO_RCVBUF"},
    "name": {},
    "peername": {},
    "info": {},
    "errors": {},
    "kill": {"process": 1},
    "exit": {"process": 1},
    "sysctl": {"name": "net.ipv4.tcp_fin_timeout", "value": 7},
    "sysctls": {"names": ["net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_sack"]},
    "table": {},
    "counters": {},
    "iptables": {"family": "ipv4", "arguments": ["-S"]},
    "nonsense": {},
}
VALUES = (
    *(None, True, False, 0, 1, 2, -1, 7, 1 << 15, 1 << 16, 1 << 31, 1 << 64, 10**300, 1.5, 1e308),
    *("", "x", "ipv4", "ipv6", "read", "write", "TCP_NODELAY", "SO_LINGER", "SO_RCVBUF", "\ud800"),
    *(
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4...",
        "net.ipv4.tcp_fin_timeout/../x",
        "kernel.domainname",
    ),
    *("198.51.100.1", "2001:db8::1", "aGVsbG8=", "SIGKILL", "SIGNAL", "\0"),
    *([], [1], [1, 0], [1, 3, 4], ["POLLIN"], ["POLLOUT", "POLLRDHUP"], [[]], {}, {"a": []}),
)
FIELDS = ("socket", "signal", *sorted({field for fields in REQUESTS.values() for field in fields}))


def hostile_line(source: random.Random, number: int) -> bytes:
    """Make a line that an agent may be sent: requests, near misses, and noise."""
    kind = source.randrange(10)
    operation = source.choice(tuple(REQUESTS))
    request: dict[str, object] = {"id": number, "op": operation, **REQUESTS[operation]}
    request["socket"] = source.randrange(max(1, number // 100), number // 50 + 4)
    for _ in range(max(0, source.randrange(-4, 4))):
        request[source.choice(FIELDS)] = source.choice(VALUES)
    line = json.dumps(request).encode()
    if kind < 5:
        return line
    if kind == 5:
        return bytes(source.randrange(256) for _ in range(source.randrange(1, 80)))
    if kind == 6:
        return line[: source.randrange(len(line))]
    if kind == 7:
        at = source.randrange(len(line))
        return line[:at] + bytes([source.randrange(256)]) + line[at + 1 :]
    if kind == 8:
        request[source.choice(("id", "op"))] = source.choice(VALUES)
        return json.dumps(request).encode()
    return source.choice(
        (
            b"[" * 5000,
            b'{"id":' * 3000,
            b"9" * 5000,
            b"nan",
            b"[]",
            b"{}",
            b'"x"',
            b"\xef\xbb\xbf{}",
        )
    )


def fuzz(folder: Path, count: int, *, seed: int = 2017) -> dict[str, int]:
    """Send so many hostile lines in pieces; return how the replies ended, by error.

    AssertionError unless each line had exactly one reply or is a call under way, and the agent
    still answers.
    """
    source = random.Random(seed)
    fuzzed = agent(folder)
    reader = LineReader()
    ends: dict[str, int] = {}
    sent = answered = 0
    for number in range(count):
        line = hostile_line(source, number).replace(b"\n", b"").replace(b"\r", b"")
        if source.randrange(2000) == 0:
            line = b"x" * (LINE_LIMIT + 1)
        sent += bool(line.strip())
        line += b"\n"
        cut = source.randrange(len(line))
        for piece in (line[:cut], line[cut:]):
            for said in reader.feed(piece):
                if isinstance(said, Refusal):
                    replies = [fuzzed.refuse(said.why)]
                else:
                    replies = fuzzed.handle(said)
                for reply in [*replies, *fuzzed.poll()]:
                    json.dumps(reply, allow_nan=False)
                    answered += 1
                    ends[str(reply["error"])] = ends.get(str(reply["error"]), 0) + 1
    waiting = sum(len(held.calls) for held in fuzzed._held.values())
    assert answered + waiting + fuzzed._lingering == sent
    assert fuzzed.handle({"id": 1, "op": "hello"})[-1]["error"] is None
    fuzzed.close()
    return ends


def talk(program, *requests: dict[str, object]) -> list[dict[str, object]]:
    """Send requests to an agent's program; return as many replies."""
    assert program.stdin
    assert program.stdout
    for request in requests:
        program.stdin.write(json.dumps(request).encode() + b"\n")
    program.stdin.flush()
    return [json.loads(program.stdout.readline()) for _ in requests]
