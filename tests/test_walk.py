"""The walk: into each of the eleven states, on a target that does what a script says."""

from types import SimpleNamespace

import pytest

from harness.errors import Inconclusive, Unsupported
from harness.segment.notation import parse_pattern
from harness.states import State
from harness.targets.matrix import stimuli
from harness.targets.walk import CROWD, LISTENING_PORT, By, Walk
from tests.peer.scene import scene

S = State

# In a state, at a segment or a call: what is said, and the state that follows.
SCRIPT = {
    (S.CLOSED, "connect"): ("S 0:0(0)", S.SYN_SENT),
    (S.LISTEN, "S 0:0(0)"): ("S. 0:0(0) ack 1", S.SYN_RECEIVED),
    (S.SYN_SENT, "S. 0:0(0) ack 1"): (". 1:1(0) ack 1", S.ESTABLISHED),
    (S.SYN_SENT, "S 0:0(0)"): ("S. 0:0(0) ack 1", S.SYN_RECEIVED),
    (S.SYN_RECEIVED, ". 1:1(0) ack 1"): (None, S.ESTABLISHED),
    (S.ESTABLISHED, "end"): ("F. 1:1(0) ack 1", S.FIN_WAIT_1),
    (S.ESTABLISHED, "F. 1:1(0) ack 1"): (". 1:1(0) ack 2", S.CLOSE_WAIT),
    (S.FIN_WAIT_1, ". 1:1(0) ack 2"): (None, S.FIN_WAIT_2),
    (S.FIN_WAIT_1, "F. 1:1(0) ack 1"): (". 2:2(0) ack 2", S.CLOSING),
    (S.FIN_WAIT_2, "F. 1:1(0) ack 2"): (". 2:2(0) ack 2", S.TIME_WAIT),
    (S.CLOSE_WAIT, "end"): ("F. 1:1(0) ack 2", S.LAST_ACK),
}


class Puppet:
    """A target with one connection, which goes through the script; `calls` are the socket's."""

    def __init__(self, script=None, *, table=True, accepts=True):
        self.now = S.CLOSED
        self.script = SCRIPT | (script or {})
        self.calls = []
        self.accepts = accepts
        self.stage = scene(state_of=self.look if table else None)
        self.stage.far.listen_to = self.hear
        self.peer = self.stage.peer
        self.walk = Walk(self, self.peer)
        self.asked = []
        self.far_end = self.peer

    def look(self, port, remote):
        self.asked.append((port, remote))
        return self.now

    def state(self, *, local_port):
        self.asked.append(local_port)
        return self.now

    def hear(self, segment):
        peers = self.stage.bench.peers
        sender = next(peer for peer in peers if peer.local.port == segment.source_port)
        if segment.rst:
            # A connection that is over has no say in the next one.
            self.now = S.CLOSED if sender is self.far_end else self.now
            return
        self.far_end = sender
        relative = self.far_end._relative_own(segment)
        for (state, cause), (said, after) in self.script.items():
            heard = cause not in ("connect", "end") and parse_pattern(cause).fits(relative)
            if state is self.now and heard:
                self.goes(said, after)
                return

    def goes(self, said, after):
        self.now = after
        if said:
            self.stage.far.say(said, to=self.far_end, port=self.far_end.remote.port or 49152)

    def does(self, call):
        self.calls.append(call)
        if (self.now, "end") in self.script:
            self.goes(*self.script[self.now, "end"])

    @property
    def socket(self):
        return SimpleNamespace(
            close=lambda: self.does("close()"), shutdown=lambda how: self.does(f"shutdown({how})")
        )

    def listen(self, port, **options):
        self.calls.append(("listen", port, options))
        self.now = S.LISTEN
        return SimpleNamespace(port=port, accept=lambda: SimpleNamespace(wait=self.accepted))

    def accepted(self, within):
        self.peer.wait(within)
        return SimpleNamespace(outcome="success" if self.accepts else "pending", socket=self.socket)

    def connect(self, remote, *, options):
        self.calls.append(("connect", remote.port, options))
        peers = self.stage.bench.peers
        self.far_end = next(peer for peer in peers if peer.local.port == remote.port)
        self.goes(*self.script[S.CLOSED, "connect"])
        return SimpleNamespace(socket=self.socket)


LISTENS = ("listen", LISTENING_PORT, {})
CONNECTS = ("connect", 40017, {})
ENDS = "shutdown(write)"

WAYS = [
    (S.CLOSED, (), []),
    (S.LISTEN, (), [LISTENS]),
    (S.SYN_SENT, (), [CONNECTS]),
    (S.SYN_RECEIVED, (), [LISTENS]),
    (S.SYN_RECEIVED, By.PASSIVE_OPEN, [LISTENS]),
    (S.SYN_RECEIVED, By.ACTIVE_OPEN, [CONNECTS]),
    (S.ESTABLISHED, (), [LISTENS]),
    (S.ESTABLISHED, By.ACTIVE_OPEN, [CONNECTS]),
    (S.FIN_WAIT_1, (), [LISTENS, ENDS]),
    (S.FIN_WAIT_1, By.SHUTDOWN, [LISTENS, ENDS]),
    (S.FIN_WAIT_1, By.CLOSE, [LISTENS, "close()"]),
    (S.FIN_WAIT_2, (By.ACTIVE_OPEN, By.CLOSE), [CONNECTS, "close()"]),
    (S.FIN_WAIT_2, (), [LISTENS, ENDS]),
    (S.CLOSE_WAIT, (), [LISTENS]),
    (S.CLOSING, (), [LISTENS, ENDS]),
    (S.CLOSING, By.CLOSE, [LISTENS, "close()"]),
    (S.LAST_ACK, (), [LISTENS, ENDS]),
    (S.LAST_ACK, By.CLOSE, [LISTENS, "close()"]),
    (S.TIME_WAIT, (), [LISTENS, ENDS]),
    (S.TIME_WAIT, (By.CLOSE, By.ACTIVE_OPEN), [CONNECTS, "close()"]),
]


def test_every_state_has_a_way():
    """None of the eleven is forgotten here."""
    assert {state for state, _, _ in WAYS} == set(State)


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(("state", "by", "calls"), WAYS)
def test_a_state_is_reached(state, by, calls, table):
    """The target stands in the state, by the calls that were asked for; the table is asked."""
    puppet = Puppet(table=table)
    peer = puppet.walk(state, by=by)
    puppet.peer.wait(0.5)
    assert puppet.now is state
    assert puppet.calls == calls
    assert bool(puppet.asked) is table
    assert peer is puppet.peer
    accepted = state not in (S.CLOSED, S.LISTEN, S.SYN_RECEIVED)
    assert (peer.socket is not None) is (accepted or CONNECTS in calls)
    assert peer.observe(0.0) is None


def test_without_a_connection_the_port_is_asked_about():
    """CLOSED and LISTEN have no row with a far end."""
    for state in (S.CLOSED, S.LISTEN):
        puppet = Puppet()
        puppet.walk(state)
        assert puppet.asked == [LISTENING_PORT]


def test_options_are_handed_on():
    """Socket options go to the listener or to connect(), TCP's to the peer's SYN."""
    puppet = Puppet()
    puppet.walk(S.SYN_RECEIVED, syn="<mss 700>", options={"SO_RCVBUF": 5})
    assert puppet.calls == [("listen", LISTENING_PORT, {"SO_RCVBUF": 5})]
    assert puppet.stage.far.datagrams[0].segment.mss == 700
    puppet = Puppet()
    puppet.walk(S.ESTABLISHED, by=By.ACTIVE_OPEN, syn="<mss 700>", options={"TCP_NODELAY": 1})
    assert puppet.calls == [("connect", 40017, {"TCP_NODELAY": 1})]
    assert puppet.stage.far.datagrams[0].segment.mss == 700


def test_walks_of_one_world_share_a_listener():
    """A second peer goes through the listener of the first; a second walk of the first does not."""
    puppet = Puppet()
    puppet.walk(S.LISTEN)
    second = puppet.walk.another()
    assert second is not puppet.peer
    puppet.walk(S.LISTEN, peer=second)
    assert puppet.calls == [LISTENS]
    assert second.listener is puppet.peer.listener


ELSEWHERE = [
    (S.ESTABLISHED, (S.SYN_RECEIVED, ". 1:1(0) ack 1"), (None, S.SYN_RECEIVED), "SYN-RECEIVED"),
    (S.FIN_WAIT_2, (S.FIN_WAIT_1, ". 1:1(0) ack 2"), (None, S.CLOSED), "CLOSED"),
    (S.CLOSE_WAIT, (S.ESTABLISHED, "F. 1:1(0) ack 1"), (". 1:1(0) ack 2", S.CLOSED), "CLOSED"),
    (S.TIME_WAIT, (S.FIN_WAIT_2, "F. 1:1(0) ack 2"), (". 2:2(0) ack 2", S.CLOSED), "CLOSED"),
]


@pytest.mark.parametrize(("state", "at", "instead", "ends"), ELSEWHERE)
def test_a_way_that_ends_elsewhere_says_where(state, at, instead, ends):
    """The segments were as they should be, and the table has another state."""
    puppet = Puppet({at: instead})
    with pytest.raises(Inconclusive, match=rf"^the way to {state} ended in {ends}$"):
        puppet.walk(state)


@pytest.mark.parametrize(
    ("state", "by", "at", "instead", "says"),
    [
        (S.SYN_SENT, (), (S.CLOSED, "connect"), (None, S.CLOSED), "nothing came"),
        (S.SYN_RECEIVED, (), (S.LISTEN, "S 0:0(0)"), ("R. 0:0(0) ack 1", S.LISTEN), "flags R."),
        (S.FIN_WAIT_1, (), (S.ESTABLISHED, "end"), ("R. 1:1(0) ack 1", S.CLOSED), "flags R."),
        (S.LAST_ACK, By.CLOSE, (S.CLOSE_WAIT, "end"), ("F. 1:1(0) ack 1", S.CLOSED), "ack 1, not"),
        (S.CLOSING, (), (S.FIN_WAIT_1, "F. 1:1(0) ack 1"), (None, S.CLOSING), "nothing came"),
    ],
)
def test_a_wrong_step_is_told_as_it_was_seen(state, by, at, instead, says):
    """What came on the way instead of what leads there is the reason."""
    with pytest.raises(Inconclusive, match=f"^{says}"):
        Puppet({at: instead}).walk(state, by=by)


def test_a_connection_that_is_not_accepted():
    """Without the socket there is nothing to go on with."""
    with pytest.raises(Inconclusive, match=r"^accept\(\) ended as pending$"):
        Puppet(accepts=False).walk(S.ESTABLISHED)


def test_a_listener_that_is_not_there():
    """The port's own state is told."""
    puppet = Puppet()
    puppet.state = lambda **_: S.CLOSED
    with pytest.raises(Inconclusive, match=r"^the way to LISTEN ended in CLOSED$"):
        puppet.walk(S.LISTEN)


@pytest.mark.parametrize(("state", "passive"), [(S.CLOSED, False), (S.LISTEN, True)])
def test_every_segment_has_a_connection_of_its_own(state, passive):
    """One cell for each kind, each from another port, ended by a RST; the target stays silent."""
    puppet = Puppet()
    puppet.stage.far.listen_to = lambda _: None
    cells = puppet.walk.every_segment(state)
    puppet.peer.wait(0.5)
    assert [cell.name for cell in cells] == [stimulus.name for stimulus in stimuli(state)]
    assert {(cell.answers, cell.situation.passive) for cell in cells} == {((), passive)}
    assert puppet.calls == ([("listen", LISTENING_PORT, {"backlog": CROWD})] if passive else [])
    sent = [datagram.segment for datagram in puppet.stage.far.datagrams if datagram.segment]
    assert len({segment.source_port for segment in sent}) == len(cells)
    assert len(sent) == 2 * len(cells)
    assert all(segment.rst for segment in sent[1::2])


def test_every_segment_closes_what_it_has_opened():
    """A socket that the application still holds is closed; an answer stands in its cell."""
    puppet = Puppet()
    cells = puppet.walk.every_segment(S.SYN_SENT)
    assert puppet.calls.count("close()") == len(cells)
    assert {cell.situation.snd_una for cell in cells} == {0}
    assert {cell.situation.snd_nxt for cell in cells} == {1}
    answered = {cell.name for cell in cells if cell.answers}
    assert answered == {"SYN", "SYN-ACK, acceptable ACK"}


def test_a_matrix_needs_a_state_table():
    """Where no state can be told there are no cells."""
    with pytest.raises(Unsupported, match="no state table"):
        Puppet(table=False).walk.every_segment(S.CLOSED)
