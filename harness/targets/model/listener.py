"""Listener: a port in LISTEN, its queue for accept(), and its defence (RFC 4987)."""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.endpoint import Endpoint
from harness.segment.datagram import Datagram
from harness.segment.segment import Flags, MaximumSegmentSize, Segment
from harness.segment.sequence import add
from harness.states import State
from harness.targets.model import output, synchronized, synchronizing
from harness.targets.model.connection import LARGEST_WINDOW, Connection

if TYPE_CHECKING:
    from harness.targets.model.stack import Stack

_COOKIE_LIFE = 128.0
_COOKIE_STEP = 64
_COOKIE_SIZES = (64, 512, 536, 1024, 1220, 1440, 1460, 8960)


RETURNED = (b"\x07", b"\x44")
"""The types of record route and timestamp."""


@dataclass(slots=True, eq=False)
class Listener:
    """A port in LISTEN; `address` is None where it stands for all. `options` are handed on."""

    stack: "Stack"
    port: int
    family: str
    address: str | None
    backlog: int
    options: dict[str, Any] = field(default_factory=dict)
    queue: deque[Connection] = field(default_factory=deque)
    _cookies_until: float = -1.0
    _attacked: bool = False

    @property
    def half_open(self) -> list[Connection]:
        """The connections in SYN-RECEIVED that came from here."""
        return [
            c
            for c in self.stack.connections.values()
            if c.listener is self and c.state is State.SYN_RECEIVED
        ]

    @property
    def allowed(self) -> int:
        """How many may wait for accept()."""
        numbers = self.stack.parameters
        return min(self.backlog, numbers.somaxconn) + numbers.backlog_extra

    @property
    def attacked(self) -> bool:
        """Whether half-open connections were too many, and some of them are left (S0-046)."""
        numbers = self.stack.parameters
        if not numbers.syn_attack_protection or numbers.synack_retries < 2:
            return False
        waiting = self.half_open
        retried = sum(c.retransmits > 0 for c in waiting)
        many = len(waiting) >= numbers.max_syn_backlog or retried > numbers.max_half_open_retried
        self._attacked = many or (self._attacked and bool(waiting))
        return self._attacked

    def full(self) -> bool:
        """Tell whether as many wait for accept() as listen() allows."""
        return len(self.queue) >= self.allowed

    def connection(self, datagram: Datagram) -> Connection:
        """Make a connection for the sender of a SYN."""
        segment = datagram.segment
        assert segment is not None
        c = Connection(
            self.stack,
            Endpoint(datagram.destination, segment.destination_port),
            Endpoint(datagram.source, segment.source_port),
            dict(self.options),
            listener=self,
        )
        if self.stack.parameters.ip_options_returned and datagram.ip_options[:1] in RETURNED:
            c.ip_options = datagram.ip_options
        self.stack.remember(c)
        return c

    def refuses(self, datagram: Datagram, segment: Segment) -> bool:
        """Tell whether a SYN finds no room, after having done with it what is to be done."""
        numbers = self.stack.parameters
        if self.full():
            self.stack.count("TcpExtListenOverflows")
            self.stack.count("TcpExtListenDrops")
            if numbers.abort_on_overflow:
                self._refuse(datagram, segment)
            return True
        limit = numbers.max_syn_backlog or self.allowed
        always = numbers.syn_cookies > 1
        if len(self.half_open) < min(limit, self.allowed) and not always:
            return False
        if numbers.syn_cookies and (always or numbers.half_open_overflow == "cookie"):
            self._send_cookie(datagram, segment)
        elif numbers.half_open_overflow == "reset":
            self._refuse(datagram, segment)
        else:
            self.stack.count("TcpExtListenDrops")
        return True

    def has_room(self, c: Connection) -> bool:
        """Tell whether a connection may become ESTABLISHED; it may try again later if not."""
        if not self.full():
            return True
        self.stack.count("TcpExtListenOverflows")
        if self.stack.parameters.abort_on_overflow:
            output.reset(c)
            c.delete()
        return False

    def completed(self, c: Connection) -> None:
        """Queue a connection for accept()."""
        self.queue.append(c)

    def accept_cookie(self, datagram: Datagram, segment: Segment) -> bool:
        """Make a connection of the acknowledgement of a cookie; tell whether it was one."""
        if self.stack.clock.now() > self._cookies_until:
            return False
        cookie, irs = add(segment.ack, -1), add(segment.seq, -1)
        steps = int(self.stack.clock.now()) // _COOKIE_STEP
        genuine = (self._cookie(datagram, irs, at, cookie >> 24 & 7) for at in (steps, steps - 1))
        if cookie not in genuine:
            self.stack.count("TcpExtSyncookiesFailed")
            return False
        if self.full():
            return True
        self.stack.count("TcpExtSyncookiesRecv")
        c = self.connection(datagram)
        size = MaximumSegmentSize(_COOKIE_SIZES[cookie >> 24 & 7])
        synchronizing.synchronize(c, Segment(seq=irs, window=segment.window, options=(size,)))
        c.iss = c.snd_una = cookie
        c.snd_nxt = c.buffer_seq = add(cookie, 1)
        c.enter(State.SYN_RECEIVED)
        c.rcv_adv = add(c.rcv_nxt, output.first_window(c))
        synchronized.process(c, segment)
        return True

    def close(self) -> None:
        """Stop listening: what nobody has accepted is reset."""
        for c in [*self.half_open, *self.queue]:
            if not c.closed:
                output.reset(c)
                c.delete()
        self.queue.clear()

    def _refuse(self, datagram: Datagram, segment: Segment) -> None:
        after = add(segment.seq, segment.length)
        reset = Segment(seq=0, ack=after, flags=Flags.RST | Flags.ACK, window=0)
        self.stack.answer(datagram, segment, reset)

    def _send_cookie(self, datagram: Datagram, segment: Segment) -> None:
        self.stack.count("TcpExtSyncookiesSent")
        self._cookies_until = self.stack.clock.now() + _COOKIE_LIFE
        asked = segment.mss or 536
        index = max(at for at, size in enumerate(_COOKIE_SIZES) if size <= max(asked, 64))
        steps = int(self.stack.clock.now()) // _COOKIE_STEP
        own = MaximumSegmentSize(self.stack.mss(Endpoint(datagram.destination, 0)))
        cookie = Segment(
            seq=self._cookie(datagram, segment.seq, steps, index),
            ack=add(segment.seq, 1),
            flags=Flags.SYN | Flags.ACK,
            window=LARGEST_WINDOW,
            options=(own,),
        )
        self.stack.answer(datagram, segment, cookie)

    def _cookie(self, datagram: Datagram, irs: int, steps: int, index: int) -> int:
        """Return 5 bits of a counter, 3 of the MSS, and 24 of a secret function of all."""
        segment = datagram.segment
        assert segment is not None
        ends = (datagram.source, segment.source_port, datagram.destination, self.port)
        text = repr((ends, irs, steps, index)).encode()
        digest = hashlib.blake2b(text, digest_size=3, key=self.stack.secret).digest()
        return (steps & 31) << 27 | index << 24 | int.from_bytes(digest)
