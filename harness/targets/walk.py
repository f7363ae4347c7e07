"""Walk: the way into any of the eleven states, confirmed and never assumed."""

import enum
from collections.abc import Mapping
from typing import Any

from harness.errors import Inconclusive, Unsupported
from harness.peer.peer import Peer
from harness.segment.notation import parse_segment
from harness.segment.segment import SackPermitted, Segment, Timestamps, WindowScale
from harness.states import State
from harness.targets import matrix
from harness.targets.target import Listener, Target

LISTENING_PORT = 2017
"""The target's port: the one of the laboratory notes."""


CROWD = 512
"""Connections that a listener holds for every segment of a matrix at once."""

FAR = 0.3
"""Seconds of a first round trip that leaves a peer time for what it does: twice as long is still
before the target's time-out, which RFC 6298 section 2.2 makes three times as long."""

_AGREED = {WindowScale: "window scaling", SackPermitted: "SACK", Timestamps: "timestamps"}


_TIMERS = frozenset({"SO_KEEPALIVE", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_LINGER2"})


class By(enum.StrEnum):
    """By what a state is reached where there are two ways."""

    PASSIVE_OPEN = "passive open"
    ACTIVE_OPEN = "active open"
    SHUTDOWN = "shutdown()"
    CLOSE = "close()"


class Walk:
    """Takes a target into a state; the peer that comes back stands in the middle of it.

    The target opens passively unless `ACTIVE_OPEN` is among the ways, and ends its sending by
    shutdown() unless `CLOSE` is. SYN-RECEIVED comes from a passive open unless told otherwise.
    """

    def __init__(self, target: Target, peer: Peer) -> None:
        self._target = target
        self._peer = peer
        self._listener: Listener | None = None

    def __call__(
        self,
        state: State,
        *,
        peer: Peer | None = None,
        by: By | tuple[By, ...] = (),
        syn: str = "<mss 1460>",
        options: Mapping[str, Any] | None = None,
        agreed: bool = True,
        window: int | None = None,
        round_trip: float = 0.0,
    ) -> Peer:
        """Reach the state and return the peer; Inconclusive says where the walk ended.

        `peer` is another one of the same world; such walks share the listener of the first.
        `syn` holds the options of the peer's SYN or SYN-ACK, `options` the socket options that the
        target's socket (a listener hands them on) has from its beginning. Unsupported if `syn` has
        an option that both sides must agree to, the target does not, and it was to be `agreed`.
        `window` is what the peer offers in its first segment after a SYN of the target's.
        `round_trip` is after how many seconds that segment comes; by RFC 6298 section 2.2 three
        times as long is the target's time-out then.
        """
        ways = (by,) if isinstance(by, By) else by
        walker = self._peer if peer is None else peer
        shared = None if peer is None else self._listener
        set_ = dict(options or {})
        walk = _Walk(self._target, walker, ways, syn=syn, options=set_, listener=shared)
        walk.agreed = agreed
        walk.round_trip = round_trip
        walk.offer = "" if window is None else f" win {window}"
        walk.to(state)
        self._listener = walker.listener or self._listener
        return walker

    def another(self) -> Peer:
        """Return a peer for another connection of the same world, still to be walked."""
        return self._peer.another()

    def every_segment(self, state: State, *, by: By | tuple[By, ...] = ()) -> list[matrix.Cell]:
        """Confront the state with every kind of segment, each on a connection of its own."""
        ways = (by,) if isinstance(by, By) else by
        passive = By.ACTIVE_OPEN not in ways and state not in (State.CLOSED, State.SYN_SENT)
        if passive:
            self._listener = self._target.listen(LISTENING_PORT, backlog=CROWD)
        cells = []
        for stimulus in matrix.stimuli(state):
            peer = self(state, peer=self.another(), by=ways)
            orphan = By.CLOSE in ways
            here = matrix.situation(state, peer, passive=passive, orphan=orphan)
            cells.append(matrix.observe(peer, stimulus, here))
            # Nothing is left that would answer later, or fill a queue.
            last = matrix.latest(peer)
            at = 0 if last is None else last.ack
            peer.send(f"R. {at}:{at}(0) ack {here.snd_nxt}")
            if peer.socket is not None and not orphan:
                peer.socket.close()
        return cells


class _Walk:
    def __init__(
        self,
        target: Target,
        peer: Peer,
        ways: tuple[By, ...],
        *,
        syn: str,
        options: dict[str, Any],
        listener: Listener | None,
    ) -> None:
        self.target, self.peer, self.syn, self.options = target, peer, syn, options
        self.listener = listener
        self.agreed = True
        self.offer = ""
        self.round_trip = 0.0
        self.stamp = ""
        self.active = By.ACTIVE_OPEN in ways
        self.close = By.CLOSE in ways

    def to(self, state: State) -> None:
        steps = {
            State.CLOSED: self.closed,
            State.LISTEN: self.listen,
            State.SYN_SENT: self.syn_sent,
            State.SYN_RECEIVED: self.syn_received,
            State.ESTABLISHED: self.established,
            State.FIN_WAIT_1: self.fin_wait_1,
            State.FIN_WAIT_2: self.fin_wait_2,
            State.CLOSE_WAIT: self.close_wait,
            State.CLOSING: self.closing,
            State.LAST_ACK: self.last_ack,
            State.TIME_WAIT: self.time_wait,
        }
        steps[state]()
        self.confirm(state)

    def confirm(self, state: State) -> None:
        """Look into the state table, where that shows it; on the way the wire must do."""
        if self.peer.bench.state_of is None:
            return
        try:
            if state in (State.CLOSED, State.LISTEN):
                seen = self.target.state(local_port=self.peer.remote.port)
            else:
                seen = self.peer.reaches(state)
        except Unsupported:
            return
        if seen is not state:
            raise Inconclusive(f"the way to {state} ended in {seen}")

    def closed(self) -> None:
        self.peer.towards(LISTENING_PORT)

    def listen(self) -> None:
        self.peer.listener = self.listener or self.target.listen(LISTENING_PORT, **self.options)
        self.peer.towards(self.peer.listener.port)

    def syn_sent(self) -> None:
        self.peer.call = self.target.connect(
            self.peer.port(self.peer.local.port), options=self.options
        )
        self.peer.socket = self.peer.call.socket
        self._agree(self.peer.expect("S 0:0(0)"))

    def syn_received(self) -> None:
        if self.active:
            self.syn_sent()
            self.peer.send(f"S 0:0(0) {self.syn}")
        else:
            self.listen()
            self.peer.send(f"S 0:0(0) {self.syn}")
        self._agree(self.peer.expect("S. 0:0(0) ack 1"))

    def _agree(self, segment: Segment) -> None:
        """Look whether the target has the options that `syn` has, and take its timestamp."""
        offered = parse_segment(f"S 0:0(0) {self.syn}").options
        ours = next((one for one in offered if isinstance(one, Timestamps)), None)
        its = next((one for one in segment.options if isinstance(one, Timestamps)), None)
        if ours is not None and its is not None:
            # RFC 7323 section 3.2: from now on every segment has the option.
            self.stamp = f" <nop,nop,TS val {ours.value} ecr {its.value}>"
        if not self.agreed:
            return
        has = {type(option) for option in segment.options}
        for option in offered:
            if type(option) in _AGREED.keys() - has:
                raise Unsupported(f"{self.target.name} does not agree to {_AGREED[type(option)]}")

    def established(self) -> None:
        if self.active:
            self.syn_sent()
            self.peer.wait(self.round_trip)
            self.peer.send(f"S. 0:0(0) ack 1{self.offer} {self.syn}")
            self.peer.expect(". 1:1(0) ack 1")
        else:
            self.syn_received()
            self.peer.wait(self.round_trip)
            self.peer.send(f". 1:1(0) ack 1{self.offer}{self.stamp}")
            accepted = self.peer.listener.accept().wait(1.0)
            if accepted.outcome != "success":
                raise Inconclusive(f"accept() ended as {accepted.outcome}")
            self.peer.socket = accepted.socket
            for option in _TIMERS & self.options.keys():
                # Not every listener hands them on.
                if accepted.socket.get(option) != self.options[option]:
                    accepted.socket.set(option, self.options[option])

    def _end_sending(self) -> None:
        if self.close:
            self.peer.socket.close()
        else:
            self.peer.socket.shutdown("write")

    def fin_wait_1(self) -> None:
        self.established()
        self._end_sending()
        self.peer.expect("F. 1:1(0) ack 1")

    def fin_wait_2(self) -> None:
        self.fin_wait_1()
        self.peer.send(f". 1:1(0) ack 2{self.stamp}")

    def closing(self) -> None:
        self.fin_wait_1()
        self.peer.send(f"F. 1:1(0) ack 1{self.stamp}")
        self.peer.expect(". 2:2(0) ack 2")

    def time_wait(self) -> None:
        self.fin_wait_2()
        self.peer.send(f"F. 1:1(0) ack 2{self.stamp}")
        self.peer.expect(". 2:2(0) ack 2")

    def close_wait(self) -> None:
        self.established()
        self.peer.send(f"F. 1:1(0) ack 1{self.stamp}")
        self.peer.expect(". 1:1(0) ack 2")

    def last_ack(self) -> None:
        self.close_wait()
        self._end_sending()
        self.peer.expect("F. 1:1(0) ack 2")
