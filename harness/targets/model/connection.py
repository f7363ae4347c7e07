"""Connection: the transmission control block of RFC 9293 section 3.3.1."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.endpoint import Endpoint
from harness.segment.sequence import add, difference
from harness.states import State
from harness.targets.model.congestion import Congestion
from harness.targets.model.reassembly import Reassembly
from harness.targets.model.timer import RoundTrip, Timer

if TYPE_CHECKING:
    from harness.targets.model.listener import Listener
    from harness.targets.model.parameters import Parameters
    from harness.targets.model.stack import Stack

SYNCHRONIZED = frozenset(State) - {State.CLOSED, State.LISTEN, State.SYN_SENT, State.SYN_RECEIVED}
LARGEST_WINDOW = 65535


@dataclass(slots=True)
class Timers:
    """The timers of one connection; `timeouts` says what they do."""

    retransmission: Timer
    user: Timer
    time_wait: Timer
    fin_wait_2: Timer
    delayed_ack: Timer
    persist: Timer
    keepalive: Timer

    def all(self) -> tuple[Timer, ...]:
        """Return every timer."""
        return (
            self.retransmission,
            self.user,
            self.time_wait,
            self.fin_wait_2,
            self.delayed_ack,
            self.persist,
            self.keepalive,
        )


@dataclass(slots=True, eq=False)
class Connection:
    """A TCB. Sequence variables are named as in the RFC, SND.UNA as `snd_una`.

    `buffer` holds what the user has sent and the peer has not acknowledged, from `buffer_seq` on;
    `fin_queued` says that a FIN follows it. `received` is what the user has not yet taken. `orphan`
    says that no user holds the connection any more. `listener` is that of a passive open, `before`
    the incarnation in TIME-WAIT that a SYN seemed to end (RFC 9293 MAY-2).
    """

    stack: "Stack"
    local: Endpoint
    remote: Endpoint
    options: dict[str, Any] = field(default_factory=dict)
    ip_options: bytes = b""
    listener: "Listener | None" = None
    before: "Connection | None" = None
    state: State = State.CLOSED

    iss: int = 0
    snd_una: int = 0
    snd_nxt: int = 0
    snd_wnd: int = 0
    snd_wl1: int = 0
    snd_wl2: int = 0
    snd_up: int | None = None
    max_snd_wnd: int = 0
    snd_mss: int = 536
    snd_wind_shift: int = 0

    irs: int = 0
    rcv_nxt: int = 0
    rcv_adv: int = 0
    rcv_wind_shift: int = 0
    rcv_up: int | None = None
    fin_at: int | None = None
    reassembly: Reassembly = field(default_factory=Reassembly)

    timestamps: bool = False
    ts_recent: int = 0
    ts_recent_at: float = 0.0
    ts_offset: int = 0
    last_ack_sent: int = 0
    sack: bool = False
    scaling: bool = False

    buffer: bytearray = field(default_factory=bytearray)
    buffer_seq: int = 0
    fin_queued: bool = False
    fin_sent: bool = False
    pushed: int = 0
    timed: tuple[int, float] | None = None
    recover: int | None = None
    duplicates: int = 0
    retransmits: int = 0
    probes: int = 0
    unacknowledged: int = 0

    received: bytearray = field(default_factory=bytearray)
    urgent: bytes = b""
    fin_received: bool = False
    read_shut: bool = False
    orphan: bool = False
    error: str | None = None
    soft_error: str | None = None
    active_at: float = 0.0
    heard_at: float = 0.0
    opened_at: float = 0.0

    timers: Timers = field(init=False)
    round_trip: RoundTrip = field(init=False)
    congestion: Congestion = field(init=False)

    def __post_init__(self) -> None:
        self.timers = self.stack.timers(self)
        numbers = self.parameters
        self.round_trip = RoundTrip(numbers.initial_rto, numbers.rto_min, numbers.rto_max)
        self.congestion = Congestion(self.snd_mss, numbers.initial_window_segments)

    @property
    def parameters(self) -> "Parameters":
        """The numbers that are in force now."""
        return self.stack.parameters

    @property
    def now(self) -> float:
        """The clock, seconds."""
        return self.stack.clock.now()

    @property
    def passive(self) -> bool:
        """Whether it came from a passive OPEN (RFC 9293 MUST-11)."""
        return self.listener is not None

    @property
    def receive_buffer(self) -> int:
        """How many octets the user may leave lying: SO_RCVBUF, or the stack's number."""
        return int(self.options.get("SO_RCVBUF") or self.parameters.receive_buffer)

    @property
    def room(self) -> int:
        """How many more octets of the user's fit into the send buffer."""
        grown = 2 * self.congestion.cwnd if self.parameters.send_buffer_grows else 0
        size = int(self.options.get("SO_SNDBUF") or max(self.parameters.send_buffer, grown))
        return max(0, size - len(self.buffer))

    @property
    def ttl(self) -> int:
        """The TTL, or hop limit, that the user has set; 0 for the stack's."""
        return int(self.options.get("IP_TTL") or self.options.get("IPV6_UNICAST_HOPS") or 0)

    @property
    def tos(self) -> int:
        """The TOS octet, or traffic class, that the user has set."""
        return int(self.options.get("IP_TOS") or self.options.get("IPV6_TCLASS") or 0)

    @property
    def mss(self) -> int:
        """Eff.snd.MSS: what a segment may carry beside its options (RFC 9293 section 3.7.1)."""
        return max(1, self.snd_mss - (12 if self.timestamps else 0))

    @property
    def end(self) -> int:
        """The number after the last octet that the user has sent."""
        return add(self.buffer_seq, len(self.buffer))

    @property
    def unsent(self) -> int:
        """How many octets of the user's were never sent."""
        return max(0, difference(self.end, self.snd_nxt))

    @property
    def outstanding(self) -> bool:
        """Whether anything that was sent is not acknowledged."""
        return self.snd_una != self.snd_nxt

    @property
    def fin_acknowledged(self) -> bool:
        """Whether the own FIN was sent and is acknowledged."""
        return self.fin_sent and not self.outstanding

    @property
    def closed(self) -> bool:
        """Whether it is CLOSED, its TCB deleted."""
        return self.state is State.CLOSED

    @property
    def holds_port(self) -> bool:
        """Whether it holds its port although no socket does: TIME-WAIT, or the user has gone."""
        return self.orphan or self.state is State.TIME_WAIT

    @property
    def rcv_wnd(self) -> int:
        """RCV.WND: what was offered and not yet used; the right edge never moves back."""
        return max(0, difference(self.rcv_adv, self.rcv_nxt))

    def enter(self, state: State) -> None:
        """Enter a state."""
        self.state = state

    def delete(self, error: str | None = None) -> None:
        """Delete the TCB and enter CLOSED; the error, an errno's name, is for the user."""
        for timer in self.timers.all():
            timer.stop()
        self.error = error or self.error
        self.fin_received = True
        embryonic = self.state is State.SYN_RECEIVED
        self.enter(State.CLOSED)
        self.stack.forget(self)
        if embryonic and self.before is not None and not self.before.closed:
            self.stack.remember(self.before)
