"""Observations against expectations, of every kind and both ways."""

import pytest

from harness.documents.computed import FUNCTIONS, resolve
from harness.documents.expectation import AnyOf, Computed, Duration
from harness.documents.measure import Kind
from harness.documents.parsing import expectation
from harness.errors import HarnessError
from harness.judgement.evaluate import Seen, evaluate
from harness.judgement.precision import Precision
from harness.segment.notation import parse_segment
from harness.states import State

HZ_250 = Precision(0.004, wheel=True, noise=0.001)
HZ_100 = Precision(0.01, wheel=True, noise=0.001)
NOISY = Precision(0.004, wheel=True, noise=0.4)


def find(kind, expected, observed, precision=HZ_250, *, after=None, within=None):
    return evaluate(
        expectation(Kind(kind), expected), Seen(observed, after, within), precision
    )  # fmt: skip


def computed(name, observed, precision=HZ_250, **knobs):
    expected = resolve(Computed(name, FUNCTIONS[name].kind), knobs)
    return evaluate(expected, Seen(observed), precision)


# Segments


@pytest.mark.parametrize(
    ("expected", "observed", "fits"),
    [
        ("R. 0:0(0) ack 1", "R. 0:0(0) ack 1 win 0", True),
        ("R. 0:0(0) ack 1 win 0", "R. 0:0(0) ack 1 win 9", False),
        ("R. 0:0(0) ack 1", "R. 0:0(0) ack 2", False),
        (["R 77:77(0)", "R."], "R. 0:0(0) ack 1", True),
        ("nothing", "R 0:0(0)", False),
        (["R", "nothing"], None, True),
        ("nothing", None, True),
        ("R", None, False),
    ],
)
def test_a_segment_fits_a_pattern_or_is_silence(expected, observed, fits):
    """A field that is left out is not checked."""
    segment = None if observed is None else parse_segment(observed)
    assert find("segment", expected, segment, within=0.5).fits is fits


def test_a_segment_is_told_in_the_notation_with_the_fields_that_differ():
    """The nearest pattern is the one that is compared."""
    patterns = ["S. 0:0(0)", "R. 0:0(0) ack 1 win 0"]
    found = find("segment", patterns, parse_segment("R. 0:0(0) ack 2 win 0"))
    assert found.observed == found.values == "R. 0:0(0) ack 2 win 0"
    assert found.documented == "S. 0:0(0) or R. 0:0(0) ack 1 win 0"
    assert found.details == ("field  expected  observed", "ack    1         2")


def test_silence_tells_how_long_it_was_listened_to():
    """What did not come within half a second did not come."""
    found = find("segment", "R", None, within=0.5)
    assert (found.observed, found.values) == ("nothing within 0.5 s", None)
    assert find("segment", "R", None).observed == "nothing"


@pytest.mark.parametrize(("expected", "within"), [("nothing", 0.5), ("R", 0.5)])
def test_silence_on_a_noisy_machine_is_inconclusive(expected, within):
    """What was not seen may only have been late; what was seen was seen."""
    found = find("segment", expected, None, NOISY, within=within)
    assert found.fits is None
    assert "400 ms late, more than the 250 ms" in found.reason
    assert find("segment", expected, None, NOISY, within=1).fits is not None
    assert find("segment", "R", parse_segment("R 0:0(0)"), NOISY, within=0.5).fits


# Durations


@pytest.mark.parametrize(
    ("expected", "observed", "fits"),
    [
        (60, 61.4, True),  # as measured at HZ 250
        (60, 60.0, True),
        (60, 59.995, True),  # a tick and 2 ms early
        (60, 59.99, False),
        (60, 62.068, True),  # a granule of 2.048 s, noise, allowance
        (60, 62.08, False),
        (10, 10.2, True),
        ({"at_least": 240}, 61.4, False),
        ({"at_least": 240}, 239.995, True),
        ({"at_least": 240}, 9000, True),
        ({"at_most": 0.5}, 0.515, True),
        ({"at_most": 0.5}, 0.53, False),  # no granule: the document limits late timers too
        ({"between": [60, 240]}, 61, True),
        ({"between": [60, 240]}, 59, False),
        ({"between": [60, 240]}, 250, True),  # the granule of 240 s is 16.4 s
        ({"between": [60, 240]}, 257, False),
        ({"sum": [1, 2, 4, 8, 16, 32]}, 64.8, True),
        ({"sum": [1, 2, 4, 8, 16, 32]}, 66.0, False),
        (120, 61.4, False),
    ],
)
def test_a_duration_is_not_early_and_late_by_a_granule_at_most(expected, observed, fits):
    """Linux's timers are never early; how late they may be follows from their length."""
    assert find("duration", expected, observed).fits is fits


def test_a_coarser_tick_lets_the_same_timer_be_later():
    """60 s may come 5 s late at HZ 100."""
    assert find("duration", 60, 65.0, HZ_100).fits
    assert not find("duration", 60, 65.0, HZ_250).fits


@pytest.mark.parametrize(
    ("expected", "bounds", "fits"),
    [
        (60, (61.38, 61.42), True),
        (60, (59.98, 60.01), True),  # between two looks 30 ms apart: it may have been 60.0
        (60, (50.0, 70.0), None),
        (60, (50.0, 55.0), False),
        (60, (63.0, None), False),
        (60, (59.0, None), None),
        (60, (61.0, None), None),
        ({"at_least": 60}, (61.0, None), True),
        ({"at_least": 240}, (61.0, None), None),
        ({"at_most": 0.5}, (61.0, float("inf")), False),
    ],
)
def test_bounds_fit_when_the_truth_can_be_told_from_them(expected, bounds, fits):
    """What is only known to lie between two looks far apart is inconclusive."""
    found = find("duration", expected, bounds)
    assert found.fits is fits
    assert (found.reason is None) == (fits is not None)


@pytest.mark.parametrize(
    ("observed", "text", "values"),
    [
        (61.4321, "61.43 s", 61.4321),
        ((61.38, 61.42), "61.42 s", [61.38, 61.42]),
        ((61.0, 63.0), "61 to 63 s", [61.0, 63.0]),
        ((61.0, None), "more than 61 s", [61.0, None]),
        ((61.0, float("inf")), "more than 61 s", [61.0, None]),
    ],
)
def test_a_duration_is_told_in_seconds(observed, text, values):
    """Two looks close together are one instant."""
    found = find("duration", 60, observed)
    assert (found.observed, found.values, found.documented) == (text, values, "60 s")


def test_a_duration_on_a_noisy_machine_is_inconclusive():
    """The budget is a tenth of the documented time, between 50 and 500 ms."""
    found = find("duration", 2.5, 2.6, NOISY)
    assert found.fits is None
    assert "400 ms late, more than the 250 ms" in found.reason
    assert find("duration", 60, 60.1, NOISY).fits


# Ladders, with what was measured on Linux 6.18 at HZ 250

EXPONENTIAL = [1.01, 2.02, 4.07, 8.19, 16.13, 32.51]
SYN_ACKS = [1.01, 2.02, 4.13, 8.19, 16.13]
LINEAR = [1.01, 1.02, 1.02, 1.02, 1.02, 2.02, 4.07, 8.19, 16.13, 32.51]
FINS = [0.21, 0.43, 0.84, 1.66, 3.49, 6.65, 13.3, 26.9]
PROBES = [1.02, 1.03]


@pytest.mark.parametrize(
    ("expected", "observed", "fits"),
    [
        ([1, 2, 4, 8, 16, 32], EXPONENTIAL, True),
        ([1, 2, 4, 8, 16], SYN_ACKS, True),
        ([1, 1, 1, 1, 1, 2, 4, 8, 16, 32], LINEAR, True),
        ([1, 2, 4, 8, 16, 32], LINEAR, False),
        ([3, 6], [1.01, 2.02], False),
        ([1, 2, 4], [1.01, 2.02], False),
        ([1, 2], [1.01, 2.06], False),
        ([1, 2], [1.01, 2.05], True),
        ([1, 2], [0.99, 2.02], False),
        ([1, 2], [0.994, 2.02], True),
        ([], [], True),
        ([], [1.0], False),
        ({"ratio": 2}, EXPONENTIAL, True),
        ({"ratio": 2}, SYN_ACKS, True),
        ({"ratio": 2}, FINS, True),
        ({"ratio": 2}, LINEAR, False),
        ({"ratio": 2, "from": 5}, LINEAR, True),
        ({"ratio": 2, "from": 4}, LINEAR, False),
        ({"ratio": 2}, [1.0, 3.0], False),
        ({"ratio": 2}, [64.0, 120.0], False),
        ({"ratio": 2, "up_to": 60}, [16.0, 32.0, 64.0, 120.0], True),
        ({"ratio": 2}, [1.01], None),
        ({"ratio": 2}, [], None),
        ({"count": 6}, EXPONENTIAL, True),
        ({"count": 5}, EXPONENTIAL, False),
        ({"count": {"at_least": 3}}, EXPONENTIAL, True),
        ({"count": {"at_least": 7}}, EXPONENTIAL, False),
        ({"constant": 1}, PROBES, True),
        ({"constant": 1}, EXPONENTIAL, False),
        ({"constant": 1}, [], None),
        ({"first": 1, "ratio": 2}, EXPONENTIAL, True),
        ({"first": 3, "ratio": 2}, EXPONENTIAL, False),
        ({"first": {"at_least": 1}}, EXPONENTIAL, True),
        ({"first": 1}, [], False),
        ({"first": 1, "count": 6, "ratio": 2}, [*EXPONENTIAL, 65.0], False),
    ],
)
def test_a_ladder_fits_by_instants_count_and_ratios(expected, observed, fits):
    """Each interval has the bounds of a timer; a ratio has those of both its intervals."""
    found = find("ladder", expected, observed)
    assert found.fits is fits
    assert (found.reason is None) == (fits is not None)


def test_a_ladder_is_told_in_hundredths_of_a_second():
    """The values keep microseconds."""
    found = find("ladder", [1, 2, 4], [1.0112345678, 2.02, 4.07])
    assert found.observed == "1.01, 2.02, 4.07 s"
    assert found.documented == "1, 2, 4 s"
    assert found.values == [1.011235, 2.02, 4.07]
    assert find("ladder", [1], []).observed == "no repetition"


@pytest.mark.parametrize("expected", [[1, 2], {"ratio": 2}])
def test_a_ladder_that_fits_exactly_is_believed_on_a_noisy_machine(expected):
    """No noise makes up for what several timers do wrong, each by another amount."""
    assert find("ladder", expected, [1.01, 2.02], NOISY).fits is True


@pytest.mark.parametrize("expected", [[1, 3], {"ratio": 3}, {"constant": 1}, {"first": 1}])
def test_a_ladder_on_a_noisy_machine_is_inconclusive(expected):
    """Its shortest interval has the smallest budget; a count has none."""
    found = find("ladder", expected, [1.01, 2.02], NOISY)
    assert found.fits is None
    assert "400 ms late" in found.reason
    assert find("ladder", {"count": 2}, [1.01, 2.02], NOISY).fits


def test_a_stack_without_a_wheel_may_be_late_by_an_eighth():
    """lwIP repeats a SYN every 3.0 s; slirp after 5.8 s for a documented 6."""
    coarse = Precision(0.5, noise=0.001)
    assert find("ladder", {"constant": 3}, [3.0, 3.2, 3.0], coarse).fits
    assert not find("ladder", {"ratio": 2}, [3.0, 3.0, 3.0], coarse).fits
    assert find("ladder", [6, 24], [5.8, 24.0], coarse).fits
    assert not find("ladder", [6, 24], [5.8, 12.0], coarse).fits


def test_what_linux_computes_from_its_knobs_is_what_was_measured():
    """Values of Linux 6.18 at HZ 250, each from one run."""
    syn = {"syn_retries": 6.0, "syn_linear_timeouts": 4.0}
    old = {"syn_retries": 6.0}
    assert computed("linux_syn_ladder", LINEAR, **syn).fits
    assert computed("linux_syn_ladder", EXPONENTIAL, **old).fits
    assert not computed("linux_syn_ladder", EXPONENTIAL, **syn).fits
    assert computed("linux_connect_timeout", 133.6, **syn).fits
    assert computed("linux_connect_timeout", 129.5, **old).fits
    assert not computed("linux_connect_timeout", 137.0, **syn).fits
    assert not computed("linux_connect_timeout", 129.5, **syn).fits
    assert computed("linux_synack_ladder", SYN_ACKS, synack_retries=5.0).fits
    for lifetime in (63.7, 64.8):
        assert computed("linux_embryonic_lifetime", lifetime, synack_retries=5.0).fits
    assert computed("linux_fin_wait_2", 61.8, orphan_fin_wait_2_timeout=60.0).fits
    assert computed("linux_fin_wait_2", 10.2, orphan_fin_wait_2_timeout=10.0).fits
    assert not computed("fin_timeout_as_time_wait", 61.4, orphan_fin_wait_2_timeout=7.0).fits


def test_what_linux_computes_for_orphans_is_what_was_measured():
    """The RTO of a connection is a tick and a round trip longer than the minimum."""
    assert computed("linux_orphan_ladder", FINS, orphan_retries=0.0).fits
    assert computed("linux_orphan_lifetime", 107.0, orphan_retries=0.0).fits
    assert computed("linux_orphan_lifetime", 6.66, orphan_retries=3.0).fits
    assert computed("linux_orphan_lifetime", 3.1, orphan_retries=3.0).fits
    assert not computed("linux_orphan_lifetime", 4.5, orphan_retries=3.0).fits
    assert not computed("linux_orphan_lifetime", 102.0, orphan_retries=0.0).fits
    assert not computed("linux_orphan_ladder", FINS[:-1], orphan_retries=0.0).fits
    ladder = computed("linux_orphan_ladder", FINS[:4], orphan_retries=3.0)
    assert ladder.fits
    assert ladder.documented == "0.2, 0.4, 0.8 s or 0.2, 0.4, 0.8, 1.6 s"


def test_one_of_several_is_inconclusive_when_none_fits_and_one_cannot_be_told():
    """Only when all are known not to fit is it a deviation."""
    options = AnyOf((Duration(1, 1), Duration(60, 60)))
    assert evaluate(options, Seen((5.0, None)), HZ_250).fits is None
    assert evaluate(options, Seen(5.0), HZ_250).fits is False
    assert evaluate(options, Seen(1.0), HZ_250).fits is True


# Outcomes


@pytest.mark.parametrize(
    ("expected", "observed", "after", "fits"),
    [
        ("ECONNREFUSED", "ECONNREFUSED", None, True),
        ("ECONNREFUSED", "ETIMEDOUT", None, False),
        (["ECONNRESET", "success"], None, None, True),
        ("success", "success", 0.1, True),
        ({"outcome": "ETIMEDOUT", "after": {"at_least": 180}}, "ETIMEDOUT", 133.6, False),
        ({"outcome": "ETIMEDOUT", "after": 131}, "ETIMEDOUT", 133.6, True),
        ({"outcome": "ETIMEDOUT", "after": 131}, "ETIMEDOUT", None, None),
        ({"outcome": "ETIMEDOUT", "after": 131}, "EHOSTUNREACH", 133.6, False),
        ({"outcome": "ETIMEDOUT", "after": 131}, "EHOSTUNREACH", None, False),
        ({"outcome": "ETIMEDOUT", "after": 131}, "ETIMEDOUT", (60.0, None), None),
    ],
)
def test_an_outcome_fits_by_name_and_by_when_it_came(expected, observed, after, fits):
    """A wrong outcome is wrong whenever it came."""
    assert find("outcome", expected, observed, after=after).fits is fits


def test_an_outcome_is_told_with_when_it_came():
    """No error is success."""
    expected = {"outcome": "ETIMEDOUT", "after": {"at_least": 180}}
    found = find("outcome", expected, "ETIMEDOUT", after=133.6)
    assert found.documented == "ETIMEDOUT after at least 180 s"
    assert found.observed == "ETIMEDOUT after 133.6 s"
    assert found.values == {"outcome": "ETIMEDOUT", "after": 133.6}
    assert find("outcome", "success", None).observed == "success"


def test_when_an_outcome_came_is_inconclusive_on_a_noisy_machine():
    """Its name is not."""
    timed = {"outcome": "ETIMEDOUT", "after": 2}
    assert find("outcome", timed, "ETIMEDOUT", NOISY, after=2.1).fits is None
    assert find("outcome", timed, "ECONNRESET", NOISY, after=2.1).fits is False
    assert find("outcome", "ETIMEDOUT", "ETIMEDOUT", NOISY, after=2.1).fits


# States, counts, facts, words


@pytest.mark.parametrize(
    ("expected", "observed", "fits"),
    [
        ("ESTABLISHED", [State.ESTABLISHED], True),
        ("ESTABLISHED", State.ESTABLISHED, True),
        ("ESTABLISHED", [State.SYN_SENT, State.ESTABLISHED], False),
        (["FIN-WAIT-1", "CLOSED"], (State.FIN_WAIT_1, State.CLOSED), True),
        (["FIN-WAIT-1", "CLOSED"], (State.CLOSED, State.FIN_WAIT_1), False),
        ({"any": [["CLOSED"], ["LISTEN", "CLOSED"]]}, [State.LISTEN, State.CLOSED], True),
        ({"any": [["CLOSED"], ["LISTEN", "CLOSED"]]}, [State.LISTEN], False),
        ({"includes": ["TIME-WAIT"]}, [State.FIN_WAIT_1, State.TIME_WAIT], True),
        ({"includes": ["TIME-WAIT"]}, [State.FIN_WAIT_1], False),
        ({"excludes": ["SYN-RECEIVED"]}, [State.LISTEN], True),
        ({"excludes": ["SYN-RECEIVED"]}, [State.LISTEN, State.SYN_RECEIVED], False),
        ({"excludes": ["SYN-RECEIVED"]}, [], True),
    ],
)
def test_states_fit_in_order_or_by_what_is_among_them(expected, observed, fits):
    """A single state is a sequence of one."""
    assert find("states", expected, observed).fits is fits


def test_states_are_told_as_the_rfc_spells_them():
    """An empty sequence is none."""
    found = find("states", "CLOSED", [State.FIN_WAIT_1, State.CLOSED])
    assert (found.observed, found.values) == ("FIN-WAIT-1, CLOSED", ["FIN-WAIT-1", "CLOSED"])
    assert find("states", "CLOSED", []).observed == "none"


@pytest.mark.parametrize(
    ("expected", "observed", "fits"),
    [
        (3, 3, True),
        (3, 4, False),
        ([3, 4], 4, True),
        ({"at_least": 1}, 0, False),
        ({"at_least": 1}, 1, True),
        ({"at_most": 4}, 5, False),
        ({"between": [32768, 60999]}, 60999, True),
        ({"between": [32768, 60999]}, 61000, False),
        ({"not": 0}, 0, False),
        ({"not": 0}, 1, True),
    ],
)
def test_a_count_fits(expected, observed, fits):
    """Bounds belong to the range."""
    found = find("count", expected, observed)
    assert (found.fits, found.observed, found.values) == (fits, str(observed), observed)


@pytest.mark.parametrize("expected", [True, False])
@pytest.mark.parametrize("observed", [True, False])
def test_a_fact_fits(expected, observed):
    """It is so or it is not."""
    found = find("fact", expected, observed)
    assert found.fits is (expected == observed)
    assert found.observed == ("yes" if observed else "no")


@pytest.mark.parametrize(
    ("expected", "observed", "fits"),
    [
        ("mss,sackOK", "mss,sackOK", True),
        ("mss,sackOK", "sackOK,mss", False),
        (["mss", ""], "", True),
        ({"includes": ["mss"]}, "nop,mss", True),
        ({"includes": ["mss"]}, "mss-like", False),
        ({"excludes": ["TS"]}, "mss,TS", False),
        ({"excludes": ["TS"]}, "mss", True),
        ({"includes": ["mss"], "excludes": ["TS"]}, "", False),
    ],
)
def test_a_word_fits(expected, observed, fits):
    """Words that are joined by commas can be asked for one by one."""
    found = find("word", expected, observed)
    assert (found.fits, found.observed) == (fits, observed or "none")


# What is of another kind


@pytest.mark.parametrize(
    ("kind", "expected", "observed"),
    [
        ("segment", "R", "R 0:0(0)"),
        ("duration", 60, "60"),
        ("duration", 60, True),
        ("duration", 60, None),
        ("duration", 60, (1, 2, 3)),
        ("ladder", [1], 1.0),
        ("ladder", [1], ["1"]),
        ("outcome", "success", 0),
        ("states", "CLOSED", "CLOSED"),
        ("states", "CLOSED", ["CLOSED"]),
        ("count", 3, 3.0),
        ("count", 1, True),
        ("fact", True, 1),
        ("word", "mss", ["mss"]),
    ],
)
def test_an_observation_of_another_kind_is_our_fault(kind, expected, observed):
    """It can never become a verdict on a target."""
    with pytest.raises(HarnessError, match="the observation is not"):
        find(kind, expected, observed)


def test_what_is_not_computed_yet_is_our_fault():
    """Knobs come first."""
    with pytest.raises(HarnessError, match="before it is computed"):
        find("duration", {"computed": "linux_fin_wait_2"}, 60.0)
