import dataclasses

import pytest

from harness.endpoint import Endpoint
from harness.errors import HarnessError, Inconclusive, Unsupported
from harness.states import State
from harness.targets.channel import AgentChannel
from harness.targets.driver import Capability, Facts, Host
from harness.targets.knobs import load
from harness.targets.target import LONGEST_LOOK, LOOK_SHARE, Target
from harness.wire.memory import VirtualClock
from tests.targets.agents import agent

FACTS = Facts("stack", "linux", "6.1", capabilities=frozenset(Capability))
HERE = {"ipv4": "198.51.100.2", "ipv6": "2001:db8::2"}
PEER = Endpoint("198.51.100.1", 40017)


class Script:
    """An agent that answers by a table: operation to value, error as "!ENAME", or None: later."""

    def __init__(self, **answers):
        self.answers = {"socket": 1, "hello": {}, **answers}
        self.asked = []
        self.clock = VirtualClock(10.0)
        self.channel = AgentChannel(self.send, self.clock, name="stack")
        self.events = []

    def send(self, request):
        self.asked.append({key: request[key] for key in request if key != "id"})
        if request["op"] not in self.answers:
            return [self.reply(request["id"], error="ENOSYS")]
        answer = self.answers[request["op"]]
        if answer is None:
            return []
        if isinstance(answer, str) and answer.startswith("!"):
            return [self.reply(request["id"], error=answer[1:])]
        return [self.reply(request["id"], value=answer)]

    def reply(self, name, value=None, error=None):
        now = self.clock.now()
        return {"id": name, "value": value, "error": error, "began": now, "at": now}

    def later(self, at, name, **said):
        """Have a call end at an instant of the clock."""
        self.clock.at(at, lambda: self.channel.feed({**self.reply(name, **said), "began": 10.0}))

    def target(self, family="ipv4", facts=FACTS, **more):
        host = Host(self.channel, HERE, "02:00:00:00:00:02")
        note = lambda at, text: self.events.append((at, text))  # noqa: E731 - one expression
        return Target(host, facts, self.clock, family, on_event=note, **more)


def row(state, local_port, remote_port=0, family="ipv4", remote=PEER.address):
    return {
        "family": family,
        "state": state,
        "local_address": HERE[family],
        "local_port": local_port,
        "remote_address": remote,
        "remote_port": remote_port,
        "timer": "none",
        "expires": 0,
        "retransmits": 0,
        "receive_queue": 0,
        "send_queue": 0,
        "uid": 0,
        "inode": 0,
    }


def test_a_call_is_pending_until_its_reply_comes():
    """connect() returns at once; its outcome, error and time are known when it has ended."""
    script = Script(connect=None)
    target = script.target()
    call = target.connect(PEER)
    assert (call.finished(), call.outcome, call.error, call.elapsed) == (
        False,
        "pending",
        None,
        None,
    )
    script.later(13.0, 2, error="ECONNREFUSED")
    assert call.wait(2.0).outcome == "pending"
    assert call.wait(60.0).outcome == "ECONNREFUSED"
    assert (call.elapsed, call.error, script.clock.now()) == (3.0, "ECONNREFUSED", 13.0)
    assert script.events == [(10.0, "connect(40017)"), (13.0, "connect(40017) = ECONNREFUSED")]


def test_what_has_come_is_seen_without_waiting():
    """finished() lets the clock serve what is there already."""
    script = Script(connect=None)
    call = script.target().connect(PEER)
    script.later(10.0, 2)
    assert (call.finished(), call.outcome, script.clock.now()) == (True, "success", 10.0)


def test_pending_is_said_of_a_living_agent_only():
    """A silent agent is a HarnessError where its silence could be taken for an observation."""
    script = Script(connect=None)
    call = script.target().connect(PEER)
    script.answers["hello"] = None
    with pytest.raises(HarnessError, match="the agent of stack does not answer"):
        _ = call.outcome
    assert script.clock.now() == 20.0


def test_a_silent_agent_does_not_hang_a_request():
    """A request that has to be answered at once is given ten seconds."""
    script = Script(socket=None)
    with pytest.raises(HarnessError, match="the agent of stack does not answer"):
        script.target().socket()


def test_what_receive_returns():
    """Octets are a success, none are the end of the file."""
    script = Script(receive="aGVsbG8=")
    socket = script.target().socket()
    call = socket.receive()
    assert (call.value, call.outcome) == (b"hello", "success")
    script.answers["receive"] = ""
    assert (socket.receive().value, socket.receive().outcome) == (b"", "end of file")
    script.answers["receive"] = "!ECONNRESET"
    assert socket.receive().outcome == "ECONNRESET"


def test_accept_returns_a_socket():
    """The accepted socket belongs to the call; where nothing is accepted, nothing was measured."""
    script = Script(
        bind={}, listen={}, accept={"socket": 9, "address": "x", "port": 1}, name=["::", 5]
    )
    listener = script.target().listen(2017)
    assert listener.accept().socket.local == Endpoint("::", 5)
    assert script.asked[-1] == {"op": "name", "socket": 9}
    script.answers["accept"] = None
    with pytest.raises(Inconclusive, match=r"accept\(\) returned no socket: pending"):
        _ = listener.accept().socket


def test_the_socket_of_a_connect_is_there_at_once():
    """Options, the source port and the endpoint reach the agent in this order.

    That something else is answered shows that the call, which is under way, has been made.
    """
    script = Script(set=None, bind={}, connect=None)
    script.answers["set"] = 0
    target = script.target("ipv6")
    call = target.connect(Endpoint("2001:db8::1", 1), source_port=7, options={"IP_TTL": 9})
    assert call.socket is call.socket
    assert [(asked["op"], *list(asked.values())[:-1]) for asked in script.asked] == [
        ("socket", "ipv6"),
        ("set", 1, "IPV6_UNICAST_HOPS", 9),
        ("bind", 1, 7),
        ("connect", 1, "2001:db8::1", 1),
        ("hello",),
    ]


def test_listening_that_fails_measures_nothing():
    """bind() may fail where it is the observation, but not on the way."""
    script = Script(bind="!EADDRINUSE", listen={})
    target = script.target()
    assert target.socket().bind(2017).outcome == "EADDRINUSE"
    with pytest.raises(Inconclusive, match="EADDRINUSE"):
        target.listen(2017)
    assert [asked["op"] for asked in script.asked].count("listen") == 0


@pytest.mark.parametrize(
    ("use", "lacking"),
    [
        (lambda target: target.listen(), "passive open"),
        (lambda target: target.connect(PEER), "active open"),
        (lambda target: target.state(local_port=1), "state table"),
        (lambda target: target.tune(syn_retries=1), "settable knobs"),
        (lambda target: target.firewall("-A INPUT -j DROP"), "firewall"),
        (lambda target: target.counters(), "counters"),
        (lambda target: target.socket().info(), "TCP_INFO"),
        (lambda target: target.knob("syn_retries"), "knob syn_retries"),
    ],
)
def test_what_a_target_lacks_is_unsupported(use, lacking):
    """Each capability is asked for where it is needed."""
    target = Script().target(facts=Facts("stack", "other", "1"))
    with pytest.raises(Unsupported, match=f"stack has no {lacking}"):
        use(target)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("!ENOPROTOOPT", "stack has no TCP_LINGER2"),
        ("!EINVAL", "stack refuses TCP_LINGER2 = 4: EINVAL"),
        ("!ENOSYS", r"stack has no set\(\)"),
    ],
)
def test_an_option_that_a_target_lacks_is_unsupported(error, says):
    """The reason names the target and the option."""
    script = Script(set=error)
    with pytest.raises(Unsupported, match=says):
        script.target().socket().set("TCP_LINGER2", 4)


def test_a_family_that_a_target_lacks_is_unsupported():
    """No address is no family."""
    host = Host(Script().channel, {"ipv4": "198.51.100.2"}, "02:00:00:00:00:02")
    with pytest.raises(Unsupported, match="stack has no ipv6"):
        Target(host, FACTS, VirtualClock(), "ipv6")


def test_states_come_from_the_table():
    """A connection is found by port and far end; no row is CLOSED."""
    rows = [
        row("LISTEN", 2017, remote="0.0.0.0"),  # noqa: S104 - a row of a table
        row("SYN-RECEIVED", 2017, 40017),
        row("TIME-WAIT", 2018, 40017),
        row("ESTABLISHED", 2019, 1),
        row("FIN-WAIT-2", 2019, 2),
        row("ESTABLISHED", 2017, 40018, "ipv6", "2001:db8::1"),
    ]
    script = Script(table=rows)
    target = script.target()
    assert target.state(local_port=2017, remote=PEER) is State.SYN_RECEIVED
    assert target.state(local_port=2017) is State.SYN_RECEIVED
    assert target.state(local_port=2017, remote=Endpoint(PEER.address, 9)) is State.CLOSED
    assert target.state(local_port=2018) is State.TIME_WAIT
    assert target.state(local_port=9) is State.CLOSED
    with pytest.raises(HarnessError, match="2 connections"):
        target.state(local_port=2019)
    assert len(target.rows(State.ESTABLISHED)) == 1
    assert len(target.table()) == 6
    far = Endpoint("2001:0db8:0:0::1", 40018)
    assert script.target("ipv6").state(local_port=2017, remote=far) is State.ESTABLISHED
    script.answers["table"] = rows[:1]
    assert target.state(local_port=2017) is State.LISTEN


@pytest.mark.parametrize(
    ("operation", "lie", "use"),
    [
        ("socket", "one", lambda target: target.socket()),
        ("socket", -1, lambda target: target.socket()),
        ("table", "rows", lambda target: target.table()),
        ("table", [{"state": "ESTABLISHED"}], lambda target: target.table()),
        ("table", [row("OPEN", 1)], lambda target: target.table()),
        ("table", [{**row("LISTEN", 1), "local_address": 7}], lambda target: target.table()),
        ("table", [{**row("LISTEN", 1), "expires": "soon"}], lambda target: target.table()),
        ("name", ["nowhere", 1], lambda target: target.socket().local),
        ("name", 5, lambda target: target.socket().local),
        ("receive", "%%%", lambda target: target.socket().receive()),
        ("receive", 5, lambda target: target.socket().receive()),
        ("info", [], lambda target: target.socket().info()),
        ("get", {}, lambda target: target.socket().get("TCP_NODELAY")),
        ("errors", 3, lambda target: target.socket().errors()),
        ("spawn", "child", lambda target: target.socket().spawn()),
        ("counters", {"a": "b"}, lambda target: target.counters()),
        ("sysctls", 5, lambda target: target.knob("syn_retries")),
        ("sysctls", {}, lambda target: target.knob("syn_retries")),
        (
            "sysctls",
            dict.fromkeys(load("linux").sysctls(), "many"),
            lambda target: target.knob("syn_retries"),
        ),
        ("get", "!ESOMETHING", lambda target: target.socket().get("TCP_NODELAY")),
    ],
)
def test_values_that_cannot_be_meant_are_our_error(operation, lie, use):
    """What an agent says never becomes an observation unless it has the right form."""
    script = Script(**{operation: lie})
    with pytest.raises(HarnessError, match="the agent of stack answers"):
        use(script.target())


def test_knobs_are_tuned_unless_the_user_has_set_them(tmp_path):
    """tune() returns what is in force, and does not touch what the user has set."""
    held = agent(tmp_path)
    clock = VirtualClock()
    host = Host(AgentChannel(held.handle, clock, to_link=lambda _: 0.0), HERE, "")
    target = Target(host, FACTS, clock, "ipv4", fixed=["net.ipv4.tcp_fin_timeout"])
    assert target.knob("syn_retries") == 6
    assert target.tune(syn_retries=2, orphan_fin_wait_2_timeout=60) == {
        "syn_retries": 2,
        "orphan_fin_wait_2_timeout": 60,
    }
    assert target.knob("syn_retries") == 2
    with pytest.raises(Unsupported, match="orphan_fin_wait_2_timeout is 60, the testcase needs 7"):
        target.tune(orphan_fin_wait_2_timeout=7)
    with pytest.raises(HarnessError, match="no knob is called 'colour'"):
        target.tune(colour=1)
    for name in ("synack_retries", "syn_attack_protection"):
        with pytest.raises(Unsupported, match=f"stack has no knob {name}"):
            target.tune(**{name: 1})
    held.close()


def test_a_rule_stands_until_it_is_removed():
    """-I and -A with or without a number become -D."""
    script = Script(iptables="")
    target = script.target("ipv6")
    rules = [target.firewall(f"{add} -p tcp -j DROP") for add in ("-I INPUT", "-I INPUT 2")]
    rules.append(target.firewall("-A OUTPUT -j DROP"))
    for rule in (*rules, rules[0]):
        rule.remove()
    assert [" ".join(asked["arguments"]) for asked in script.asked[3:]] == [
        "-D INPUT -p tcp -j DROP",
        "-D INPUT -p tcp -j DROP",
        "-D OUTPUT -j DROP",
    ]
    assert {asked["family"] for asked in script.asked} == {"ipv6"}
    assert script.events[0] == (10.0, "ip6tables -I INPUT -p tcp -j DROP")
    with pytest.raises(HarnessError, match="a rule begins with -A or -I"):
        target.firewall("INPUT -j DROP")
    script.answers["iptables"] = "!EPROTONOSUPPORT"
    with pytest.raises(Unsupported, match="stack has no firewall"):
        target.firewall("-A INPUT -j DROP")


HELD = dataclasses.replace(FACTS, held_only=True)


def test_a_table_of_applications_sockets_says_nothing_of_other_connections():
    """Where a row may be missing, none is no CLOSED, and rows are not counted."""
    script = Script(table=[row("LISTEN", 2017), row("ESTABLISHED", 2017, 40017)])
    target = script.target(facts=HELD)
    assert target.state(local_port=2017, remote=PEER) is State.ESTABLISHED
    assert target.state(local_port=2017) is State.ESTABLISHED
    with pytest.raises(Unsupported, match="only the sockets of applications"):
        target.state(local_port=2017, remote=Endpoint(PEER.address, 40018))
    with pytest.raises(Unsupported, match="only the sockets of applications"):
        target.rows(State.SYN_RECEIVED)


def test_a_row_without_a_far_end_is_that_of_its_port_if_it_is_the_only_one():
    """Before and after a connection such a table does not tell its far end."""
    script = Script(table=[row("LISTEN", 2017), row("SYN-SENT", 41000)])
    target = script.target(facts=HELD)
    assert target.state(local_port=41000, remote=PEER) is State.SYN_SENT
    script.answers["table"] = [row("CLOSED", 2017), row("CLOSED", 2017)]
    with pytest.raises(Unsupported, match="only the sockets of applications"):
        target.state(local_port=2017, remote=PEER)


def test_a_stack_that_cannot_be_asked_to_listen_has_one_listener_at_most():
    """The port where something listens stands for the one that is asked for, once, unaltered."""
    script = Script()
    ports = []
    host = Host(script.channel, HERE, "02:00:00:00:00:02", listening=22)
    target = Target(host, FACTS, script.clock, "ipv4", on_listen=ports.append)
    with pytest.raises(Unsupported, match="cannot be asked to listen"):
        target.listen(2017, SO_REUSEADDR=1)
    assert target.listen(2017).port == 22
    assert ports == [22]
    with pytest.raises(Unsupported, match="cannot be asked to listen"):
        target.listen(2018)
    assert script.asked == []


def test_a_table_says_for_how_long_it_likely_stays_as_it_is():
    """A small part of the shortest time that a timer has left; no time where one is not shown."""
    script = Script()
    target = script.target()
    said = []
    script.clock.looked = said.append
    timers = {"timer": "time-wait", "expires": 4000}
    listening, waiting = row("LISTEN", 1), {**row("TIME-WAIT", 2, 3), **timers}
    longest = {**waiting, "expires": 60_000}
    for rows, stays in (
        ([listening], LONGEST_LOOK),
        ([listening, longest], LONGEST_LOOK),
        ([longest, waiting], 4.0 * LOOK_SHARE),
        ([waiting, row("ESTABLISHED", 4, 5)], 0.0),
    ):
        script.answers["table"] = rows
        target.table()
        assert said.pop() == pytest.approx(script.clock.now() + stays)
    script.answers["counters"] = {}
    target.counters()
    assert said == [script.clock.now()]
