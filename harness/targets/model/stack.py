"""Stack: all connections of one host, and which of them a segment is for."""

import dataclasses
import functools
import hashlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from harness.endpoint import Endpoint
from harness.segment.datagram import Datagram, family_of
from harness.segment.segment import Segment
from harness.segment.sequence import add
from harness.states import State
from harness.targets.model import arrives, synchronized, timeouts
from harness.targets.model.connection import Connection, Timers
from harness.targets.model.listener import Listener
from harness.targets.model.parameters import Parameters
from harness.targets.model.timer import Timer
from harness.wire.memory import VirtualClock

COUNTED = (
    "TcpActiveOpens",
    "TcpPassiveOpens",
    "TcpAttemptFails",
    "TcpEstabResets",
    "TcpInSegs",
    "TcpOutSegs",
    "TcpRetransSegs",
    "TcpInErrs",
    "TcpOutRsts",
    "TcpExtListenOverflows",
    "TcpExtListenDrops",
    "TcpExtSyncookiesSent",
    "TcpExtSyncookiesRecv",
    "TcpExtSyncookiesFailed",
    "TcpExtTCPChallengeACK",
    "TcpExtTCPSYNChallenge",
)
"""What is counted, by the names that nstat has for it."""

_HEADERS = {"ipv4": 40, "ipv6": 60}
_ONE_CLOCK = 2
"""What the parameter `timestamps` says where no connection has an offset of its own."""

_PREFIXES = {4: 24, 6: 64}
_TICKS = 250_000
"""RFC 9293 section 3.4.1: the clock of initial sequence numbers ticks every 4 microseconds."""

Pair = tuple[Endpoint, Endpoint]


@dataclass(slots=True, eq=False)
class Stack:
    """A host's TCP. `send` takes what is to be sent; `changed` is called after every event."""

    clock: VirtualClock
    addresses: Mapping[str, str]
    parameters: Parameters
    secret: bytes
    send: Callable[[Datagram], None]
    changed: Callable[[], None] = lambda: None
    connections: dict[Pair, Connection] = field(default_factory=dict)
    listeners: list[Listener] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTED, 0)))

    def receive(self, datagram: Datagram) -> None:
        """SEGMENT ARRIVES: find what it is for (RFC 9293 section 3.10.7)."""
        segment = datagram.segment
        self.count("TcpInSegs")
        if segment is None or not datagram.checksum_right or not self.may_be_peer(datagram.source):
            self.count("TcpInErrs")
            return
        local = Endpoint(datagram.destination, segment.destination_port)
        c = self.connections.get((local, Endpoint(datagram.source, segment.source_port)))
        listener = self.listener(local)
        again = c is not None and listener is not None and synchronized.may_reopen(c, segment)
        if c is not None and not again:
            self._for_connection(c, segment)
        elif listener is not None:
            arrives.listen(self, listener, datagram, segment, before=c)
        else:
            arrives.closed(self, datagram, segment)
        self.changed()

    def may_be_peer(self, address: str) -> bool:
        """Tell whether a connection may be with an address (RFC 9293 MUST-46, MUST-63)."""
        return _may_be_peer(address, self.addresses[family_of(address)])

    def _for_connection(self, c: Connection, segment: Segment) -> None:
        if c.state is State.SYN_SENT:
            arrives.syn_sent(c, segment)
        else:
            synchronized.process(c, segment)
        if not c.closed:
            synchronized.keep_alive_again(c)

    def listener(self, local: Endpoint) -> Listener | None:
        """Return what listens on an address and port; an own address counts before all."""
        family = self.family(local)
        fitting = [
            each
            for each in self.listeners
            if each.port == local.port
            and each.family == family
            and each.address in (None, local.address)
        ]
        return min(fitting, key=lambda each: each.address is None, default=None)

    def remember(self, c: Connection) -> None:
        """Keep a new connection."""
        self.connections[c.local, c.remote] = c

    def forget(self, c: Connection) -> None:
        """Let go of a connection that is CLOSED."""
        if self.connections.get((c.local, c.remote)) is c:
            del self.connections[c.local, c.remote]

    def transmit(
        self,
        source: str,
        destination: str,
        segment: Segment,
        *,
        ttl: int = 0,
        tos: int = 0,
        ip_options: bytes = b"",
    ) -> None:
        """Send a segment between two addresses; without a TTL it is the stack's."""
        self.count("TcpOutSegs")
        ttl = ttl or self.parameters.default_ttl
        envelope = Datagram(source, destination, segment, ttl=ttl, tos=tos, dont_fragment=True)
        self.send(dataclasses.replace(envelope, ip_options=ip_options) if ip_options else envelope)

    def reply(self, c: Connection, segment: Segment) -> None:
        """Send a segment that is not numbered as the connection is to the connection's peer."""
        self._between(c.local, c.remote, segment)

    def answer(self, datagram: Datagram, segment: Segment, answer: Segment) -> None:
        """Send a segment to where another came from."""
        local = Endpoint(datagram.destination, segment.destination_port)
        self._between(local, Endpoint(datagram.source, segment.source_port), answer)

    def _between(self, local: Endpoint, remote: Endpoint, segment: Segment) -> None:
        made = Segment(
            local.port,
            remote.port,
            segment.seq,
            segment.ack,
            segment.flags,
            segment.window,
            segment.options,
        )
        self.transmit(local.address, remote.address, made)

    def initial_sequence_number(self, local: Endpoint, remote: Endpoint) -> int:
        """Choose an ISN = M + F(localip, localport, remoteip, remoteport, secretkey) (RFC 6528)."""
        ends = repr((local, remote)).encode()
        digest = hashlib.blake2b(ends, digest_size=4, key=self.secret).digest()
        return add(int(self.clock.now() * _TICKS), int.from_bytes(digest))

    def timestamp(self, c: Connection) -> int:
        """Return the timestamp clock, milliseconds, with the connection's own offset."""
        ends = repr((c.local, c.remote)).encode()
        digest = hashlib.blake2b(ends, digest_size=4, key=self.secret[::-1]).digest()
        offset = 0 if self.parameters.timestamps == _ONE_CLOCK else int.from_bytes(digest)
        return add(int(self.clock.now() * 1000), offset)

    def mss(self, local: Endpoint) -> int:
        """Return the MTU minus the fixed headers (RFC 6691)."""
        return self.parameters.mtu - _HEADERS[self.family(local)]

    def family(self, local: Endpoint) -> str:
        """Return the family of an endpoint: ipv4 or ipv6."""
        return family_of(local.address)

    def waiting(self) -> int:
        """Return how many connections are in TIME-WAIT."""
        return sum(c.state is State.TIME_WAIT for c in self.connections.values())

    def count(self, name: str) -> None:
        """Count something by the name that nstat has for it."""
        self.counters[name] += 1

    def timer(self, callback: Callable[[], None]) -> Timer:
        """Return a timer whose end is an event of this stack."""

        def event() -> None:
            callback()
            self.changed()

        return Timer(self.clock, event)

    def timers(self, c: Connection) -> Timers:
        """Return the timers of a connection."""
        return Timers(
            retransmission=self.timer(lambda: timeouts.retransmission_timeout(c)),
            user=self.timer(lambda: timeouts.user_timeout(c)),
            time_wait=self.timer(lambda: timeouts.time_wait_timeout(c)),
            fin_wait_2=self.timer(lambda: timeouts.fin_wait_2_timeout(c)),
            delayed_ack=self.timer(lambda: timeouts.delayed_ack_timeout(c)),
            persist=self.timer(lambda: timeouts.persist_timeout(c)),
            keepalive=self.timer(lambda: timeouts.keepalive_timeout(c)),
        )


@functools.lru_cache(maxsize=1024)
def _may_be_peer(address: str, own: str) -> bool:
    found = ipaddress.ip_address(address)
    network = ipaddress.ip_network(f"{own}/{_PREFIXES[found.version]}", strict=False)
    broadcast = found.version == 4 and found == network.broadcast_address
    strange = found.is_multicast or found.is_unspecified or found.is_loopback
    return not (strange or broadcast or address in (own, "255.255.255.255"))
