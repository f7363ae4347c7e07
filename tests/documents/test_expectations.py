"""What claims expect, as it is read and as it says itself."""

import re

import pytest

from harness.documents.expectation import AnyOf, Duration, Intervals, nominal, number
from harness.documents.measure import Kind
from harness.documents.parsing import expectation


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("segment", "R. 0:0(0) ack 1 win 0", "R. 0:0(0) ack 1 win 0"),
        ("segment", "nothing", "nothing"),
        ("segment", ["R. ack 1", "nothing"], "R. ack 1 or nothing"),
        ("duration", 60, "60 s"),
        ("duration", 0.5, "0.5 s"),
        ("duration", {"at_least": 180}, "at least 180 s"),
        ("duration", {"at_most": 0.5}, "at most 0.5 s"),
        ("duration", {"between": [60, 240]}, "60 to 240 s"),
        ("duration", {"sum": [3, 6, 12]}, "21 s"),
        ("duration", {"computed": "linux_connect_timeout"}, "computed: linux_connect_timeout"),
        ("ladder", [1, 2, 4, 8, 16, 32], "1, 2, 4, 8, 16, 32 s"),
        ("ladder", [], "no repetition"),
        ("ladder", {"ratio": 2}, "each interval twice the one before"),
        (
            "ladder",
            {"ratio": 3, "from": 2, "up_to": 60},
            "each interval 3 times the one before, from interval 2 on, up to 60 s",
        ),
        ("ladder", {"count": 6}, "6 repetitions"),
        ("ladder", {"count": 1}, "1 repetition"),
        ("ladder", {"count": {"at_least": 1}}, "at least 1 repetition"),
        ("ladder", {"constant": 75, "count": 8}, "every 75 s, 8 repetitions"),
        (
            "ladder",
            {"first": {"at_least": 1}, "ratio": 2},
            "the first interval at least 1 s, each interval twice the one before",
        ),
        ("outcome", "ECONNREFUSED", "ECONNREFUSED"),
        ("outcome", ["success", "end of file"], "success or end of file"),
        (
            "outcome",
            {"outcome": "ETIMEDOUT", "after": {"at_least": 180}},
            "ETIMEDOUT after at least 180 s",
        ),
        ("states", "ESTABLISHED", "ESTABLISHED"),
        ("states", ["SYN-SENT", "CLOSED"], "SYN-SENT, CLOSED"),
        ("states", {"any": [["CLOSED"], ["LISTEN", "CLOSED"]]}, "CLOSED or LISTEN, CLOSED"),
        (
            "states",
            {"includes": ["SYN-SENT"], "excludes": ["SYN-RECEIVED"]},
            "with SYN-SENT, without SYN-RECEIVED",
        ),
        ("count", 3, "3"),
        ("count", [3, 4], "3 or 4"),
        ("count", {"at_least": 1}, "at least 1"),
        ("count", {"at_most": 4}, "at most 4"),
        ("count", {"between": [32768, 60999]}, "32768 to 60999"),
        ("count", {"not": 0}, "not 0"),
        ("count", {"not": [0, 1], "at_most": 9}, "at most 9, not 0 or 1"),
        ("fact", True, "yes"),
        ("fact", False, "no"),
        ("word", "mss,sackOK", "mss,sackOK"),
        ("word", ["mss", ""], "mss or none"),
        ("word", {"includes": ["mss"], "excludes": ["TS"]}, "with mss, without TS"),
    ],
)
def test_an_expectation_says_itself_in_words(kind, value, text):
    """The words are what reports and failures show."""
    assert expectation(Kind(kind), value).text == text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("segment", 5, "a segment is a pattern"),
        ("segment", [], "a segment is a pattern"),
        ("segment", "Q 0:0(0)", "flags"),
        ("segment", {"at_least": 1}, "a segment is a pattern"),
        ("duration", "60", "a duration is seconds"),
        ("duration", True, "a duration is seconds"),
        ("duration", [1, 2], "a duration is seconds"),
        ("duration", {"at_lest": 1}, "unknown key 'at_lest'; did you mean 'at_least'?"),
        ("duration", {"between": [240, 60]}, "nothing is between"),
        ("duration", {"between": [60]}, "a list of two numbers"),
        ("duration", {"sum": 3}, "a list of seconds"),
        ("duration", {"at_least": 1, "at_most": 2}, "'between'"),
        ("duration", {}, "one of at_least"),
        ("duration", {"at_least": -1}, "0 or more"),
        ("duration", {"computed": "linux_syn_ladder"}, "is a ladder, not a duration"),
        (
            "duration",
            {"computed": "linux_conect_timeout"},
            "unknown computed 'linux_conect_timeout'; did you mean 'linux_connect_timeout'?",
        ),
        ("duration", {"computed": "linux_fin_wait_2", "at_least": 1}, "unknown key 'at_least'"),
        ("ladder", 5, "a ladder is a list of seconds"),
        ("ladder", ["1"], "is not a number"),
        ("ladder", {"from": 2}, "needs ratio, constant, count or first"),
        ("ladder", {"ratio": 2, "constant": 2}, "not both"),
        ("ladder", {"ratio": 2, "from": 0}, "1 is the first"),
        ("ladder", {"count": 2, "from": 2}, "stands beside ratio"),
        ("ladder", {"computed": "linux_connect_timeout"}, "is a duration, not a ladder"),
        ("outcome", 110, "an errno's name"),
        ("outcome", "ETIMEOUT", "'ETIMEOUT' is no errno; did you mean 'ETIMEDOUT'?"),
        ("outcome", {"after": 3}, "needs 'outcome'"),
        ("outcome", {"outcome": "ETIMEDOUT", "after": "3"}, "a duration is seconds"),
        ("states", "FIN_WAIT_1", "'FIN_WAIT_1' is no state; did you mean 'FIN-WAIT-1'?"),
        ("states", ["SYN-RCVD"], "is no state"),
        ("states", {"any": []}, "list of lists"),
        ("states", {}, "list of lists"),
        ("states", 7, "states are a state"),
        ("count", 1.5, "a count is a whole number"),
        ("count", True, "a count is a whole number"),
        ("count", [], "is empty"),
        ("count", {"at_least": 1.5}, "is not a whole number"),
        ("fact", "yes", "true or false"),
        ("fact", 1, "true or false"),
        ("word", 3, "a word is a text"),
        ("word", {}, "includes or excludes"),
        ("word", {"includes": []}, "lists of words"),
    ],
)
def test_what_is_no_expectation_of_its_kind_is_refused(kind, value, message):
    """The refusal is one sentence that says what would be right."""
    with pytest.raises(ValueError, match=re.escape(message)):
        expectation(Kind(kind), value)


@pytest.mark.parametrize(
    ("kind", "value", "seconds"),
    [
        ("duration", 60, 60),
        ("duration", {"at_least": 180}, 180),
        ("duration", {"between": [60, 240]}, 240),
        ("duration", {"at_most": 0.5}, 0.5),
        ("ladder", [1, 2, 4], 15),
        ("ladder", [], 0),
        ("ladder", {"constant": 75, "count": 8}, 600),
        ("ladder", {"first": 1, "ratio": 2, "count": 3}, 7),
        ("ladder", {"first": 1, "ratio": 2, "from": 2, "count": 4}, 8),
        ("ladder", {"ratio": 2}, None),
        ("ladder", {"count": 6}, None),
        ("outcome", {"outcome": "ETIMEDOUT", "after": 21}, 21),
        ("outcome", "ETIMEDOUT", None),
        ("outcome", {"outcome": "ETIMEDOUT"}, None),
        ("fact", True, None),
    ],
)
def test_an_expectation_tells_how_long_it_takes(kind, value, seconds):
    """Long testcases are started first by it; where no time is documented there is none."""
    assert nominal(expectation(Kind(kind), value)) == seconds


def test_alternatives_take_as_long_as_the_likeliest():
    """The first of several is the one that is documented outright."""
    assert nominal(AnyOf((Duration(3, 3), Duration(6, 6)))) == 3
    assert AnyOf((Intervals((1, 2)), Intervals((1,)))).text == "1, 2 s or 1 s"


@pytest.mark.parametrize(
    ("value", "text"),
    [(60.0, "60"), (1.006, "1.01"), (0.2, "0.2"), (0.0012, "0.0012"), (0.0, "0"), (100, "100")],
)
def test_numbers_are_written_to_be_read(value, text):
    """Hundredths of a second are enough, but for what is small."""
    assert number(value) == text
