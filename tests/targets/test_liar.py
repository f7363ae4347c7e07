"""Liar: a stack that tells its applications what is not so."""

import pytest

from harness.errors import UsageError
from harness.targets.agent import Agent
from harness.targets.liar import CALLS, IGNORED, Liar, parse_lie

FLAGS = "AQIDBAUGBwg"
ROW = {"state": "ESTABLISHED", "local_port": 80}


class Told:
    """A reply of an honest stack; it has ended, unless `ended` is None."""

    def __init__(self, value=None, error=None, ended=2.0):
        self.began, self.ended, self.value, self.error = 1.0, ended, value, error

    def finished(self):
        return self.ended is not None


class Honest:
    """A channel with these replies, in their order."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def request(self, *_, **__):
        return self.replies.pop(0)


def lied(text, operation, *replies, now=9.0):
    """What each of these replies has become."""
    liar = Liar(Honest(*replies), parse_lie(text), lambda: now)
    return [(one.value, one.error) for one in (liar.request(operation) for _ in replies)]


@pytest.mark.parametrize(
    ("text", "operation", "honest", "told"),
    [
        ("lie connect", "connect", (None, None), (None, "EIO")),
        ("lie connect", "connect", (None, "ECONNREFUSED"), (None, None)),
        ("lie connect ETIMEDOUT", "connect", (None, "ECONNREFUSED"), (None, "ETIMEDOUT")),
        ("lie connect ETIMEDOUT", "connect", (None, None), (None, "ETIMEDOUT")),
        ("lie connect", "accept", (None, None), (None, None)),
        ("lie send", "send", (5, None), (1005, None)),
        ("lie get", "get", (True, None), (True, "EIO")),
        ("lie get", "get", ([1, 30], None), ([1001, 1030], None)),
        ("lie receive", "receive", ("YQ==", None), ("", None)),
        ("lie receive", "receive", ("", None), ("", "EIO")),
        ("lie table", "table", ([ROW], None), ([ROW | {"state": "FIN-WAIT-1"}], None)),
        ("lie table", "table", ([], None), ([], "EIO")),
        (
            "lie info",
            "info",
            ("AQIDBAUGBwgFAAAABgAAAAc=", None),
            ("AQIDBAUGBwgFEAAABhAAAAc=", None),
        ),
        ("lie sysctl", "sysctl", ("5", None), ("1005", None)),
        ("lie sysctls", "sysctls", ({"a": "5", "b": "x"}, None), ({"a": "1005", "b": "x"}, None)),
        ("lie counters", "counters", ({"TcpInSegs": 3}, None), ({"TcpInSegs": 1003}, None)),
    ],
)
def test_what_is_lied_about_is_not_so(text, operation, honest, told):
    """A success fails, an error is none, a look shows something else."""
    assert lied(text, operation, Told(*honest)) == [told]


def test_only_some_calls_may_be_lied_about():
    """They are counted from the first."""
    calls = [Told(5), Told(6), Told(7)]
    assert lied("lie 2nd send", "send", *calls) == [(5, None), (1006, None), (7, None)]
    assert lied("lie from 2nd send", "send", *calls) == [(5, None), (1006, None), (1007, None)]


def test_rows_that_are_gone_stay_and_counters_grow():
    """What is looked at is a change."""
    last = [ROW | {"state": "FIN-WAIT-1"}]
    rows = lied("lie from 2nd table", "table", Told([ROW]), Told([]))
    assert rows == [([ROW], None), (last, None)]
    counters = lied("lie counters", "counters", Told({"TcpInSegs": 3}), Told({"TcpInSegs": 3}))
    assert counters == [({"TcpInSegs": 1003}, None), ({"TcpInSegs": 2003}, None)]


def test_a_call_may_end_later():
    """Before that it is under way."""
    liar = Liar(Honest(Told(5)), parse_lie("lie send 5"), lambda: now)
    now = 6.9
    reply = liar.request("send")
    assert (reply.finished(), reply.ended) == (False, None)
    now = 7.0
    assert reply.finished()
    assert (reply.began, reply.ended, reply.value, reply.error) == (1.0, 7.0, 5, None)


def test_a_call_that_is_under_way_is_lied_about_when_it_ends():
    """Nobody knows before how it ends."""
    honest = Told(ended=None)
    reply = Liar(Honest(honest), parse_lie("lie connect"), lambda: 9.0).request("connect")
    assert not reply.finished()
    honest.ended = 3.0
    assert reply.finished()
    assert (reply.ended, reply.error) == (3.0, "EIO")


def test_what_is_ignored_succeeds_and_is_never_asked_for():
    """Only those that it says, counted from the first."""
    honest = Honest(Told(error="EINVAL"), Told(error="EPERM"))
    liar = Liar(honest, parse_lie("ignore 2nd set"), lambda: 9.0)
    replies = [liar.request("set") for _ in range(3)]
    assert [one.error for one in replies] == ["EINVAL", None, "EPERM"]
    assert all(one.finished() for one in replies)
    assert (replies[1].began, replies[1].ended, replies[1].value) == (9.0, 9.0, None)


@pytest.mark.parametrize("text", ["ignore receive", "ignore close 5", "ignore set EINVAL"])
def test_what_cannot_be_ignored_is_said(text):
    """What has to return something, or to end otherwise than at once."""
    with pytest.raises(UsageError, match=r"can be ignored|succeeds at once"):
        parse_lie(text)


@pytest.mark.parametrize(
    "text",
    [
        "lie",
        "ignore",
        "lie dance",
        "lie connect EWRONG",
        "lie connect 5 ETIMEDOUT",
        "lie 2 connect",
        "lie hello",
        "lie connect -1",
    ],
)
def test_a_bad_lie_says_how_to_write_one(text):
    """The error is one line with the text, and an example or what is wrong."""
    with pytest.raises(UsageError, match=r"like 'lie|nothing is called|no errno") as raised:
        parse_lie(text)
    assert repr(text) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_whatever_the_agents_answer_can_be_lied_about():
    """But for what only the harness asks, and what changes the target."""
    ours = {"hello", "reset", "spawn", "kill", "exit", "iptables", "link"}
    assert {*CALLS, *ours} == Agent._OPERATIONS.keys()
    assert ours.isdisjoint(CALLS)
    assert {*IGNORED} <= {*CALLS}
