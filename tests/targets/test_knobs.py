"""Knobs: what linux.toml may say, and how a knob becomes a sysctl."""

import pytest

from harness.errors import HarnessError
from harness.targets.knobs import load, parse

SMALL = """
[knobs.patience]
sysctl = "net.ipv4.tcp_patience_ms"
unit = "ms"
tuned = 1.5

[knobs.first]
sysctl = "net.ipv4.range"
unit = "count"
field = 0

[knobs.last]
sysctl = "net.ipv4.range"
unit = "count"
field = 1
since = "6.5"
"""


def test_a_value_is_in_seconds_whatever_the_unit_of_the_sysctl():
    """A knob in milliseconds reads as seconds, and is written as milliseconds."""
    knobs = parse(SMALL, "small.toml")
    present = {"net.ipv4.tcp_patience_ms": "200"}

    assert knobs.values(present) == {"patience": 0.2}
    assert knobs.writes({"patience": 0.07}, present) == {"net.ipv4.tcp_patience_ms": "70"}


def test_two_knobs_of_one_sysctl_do_not_undo_each_other():
    """Each knob changes its own number and leaves the others as they are."""
    knobs = parse(SMALL, "small.toml")
    present = {"net.ipv4.range": "32768\t60999"}

    assert knobs.values(present) == {"first": 32768, "last": 60999}
    assert knobs.writes({"last": 40000}, present) == {"net.ipv4.range": "32768 40000"}
    both = knobs.writes({"first": 1, "last": 2}, present)
    assert both == {"net.ipv4.range": "1 2"}


def test_a_knob_that_the_kernel_lacks_is_left_out():
    """An older kernel has neither a default for it nor anything to tune."""
    knobs = parse(SMALL, "small.toml")

    assert knobs.values({}) == {}
    assert knobs.writes(knobs.tuned(), {}) == {}


def test_an_empty_sysctl_is_no_knob():
    """A list of ports may be empty, which is no number."""
    assert "reserved_port" not in load().values({"net.ipv4.ip_local_reserved_ports": ""})
    found = load().values({"net.ipv4.ip_local_reserved_ports": "50001"})
    assert found == {"reserved_port": 50001}


def test_a_misspelt_knob_is_an_error():
    """A knob of no document would tune nothing, and nobody would notice."""
    with pytest.raises(HarnessError, match="'patiense'"):
        parse(SMALL, "small.toml").writes({"patiense": 1}, {})


def test_a_number_that_is_not_there_is_an_error():
    """A sysctl with fewer numbers than the knob needs is not read as zero."""
    with pytest.raises(ValueError, match="no number 2"):
        parse(SMALL, "small.toml").values({"net.ipv4.range": "32768"})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[knobs.a", "small.toml: "),
        ("[nobs.a]\nsysctl = 'net.a'", "'nobs'"),
        ("knobs = 3", "tables"),
        ("[knobs]\na = 3", r"\[knobs.a\] is not a table"),
        ("[knobs.a]\nunit = 's'", "sysctl is None"),
        ("[knobs.a]\nsysctl = 'kernel.a'\nunit = 's'", "'kernel.a'"),
        ("[knobs.a]\nsysctl = 'net.a'\nunit = 'h'", "'h', not one of count, s, ms, us"),
        ("[knobs.a]\nsysctl = 'net.a'\nunit = 's'\ntuned = '3'", "tuned is '3'"),
        ("[knobs.a]\nsysctl = 'net.a'\nunit = 's'\ntuned = true", "tuned is True"),
        ("[knobs.a]\nsysctl = 'net.a'\nunit = 's'\nfield = -1", "field is -1"),
        ("[knobs.a]\nsysctl = 'net.a'\nunit = 's'\nsince = 6.5", "since is 6.5"),
        ("[knobs.a]\nsysctl = 'net.a'\nunit = 's'\nscale = 2", "do not have: scale"),
    ],
)
def test_a_file_out_of_form_names_itself_and_the_place(text, complaint):
    """Whoever edits the file learns what is wrong, and where."""
    with pytest.raises(HarnessError, match=complaint) as caught:
        parse(text, "small.toml")
    assert str(caught.value).startswith("small.toml: ")


def test_the_knobs_of_linux_shrink_the_timers_that_claims_wait_for():
    """The file that is shipped loads, and tunes only what it knows."""
    knobs = load("linux")

    assert knobs.tuned()["orphan_fin_wait_2_timeout"] == 3
    assert knobs.tuned()["keepalive_time"] == 2
    assert set(knobs.tuned()) < set(knobs.by_name)
    assert knobs.values({"net.ipv4.tcp_rto_min_us": "200000"}) == {"rto_min": 0.2}


ABSENT = """
[knobs.probe]
sysctl = "net.ipv4.tcp_probe"
unit = "count"
absent = 0
"""


def test_a_knob_is_missing_unless_its_absence_is_what_is_asked_for():
    """What only shortens a wait is not needed either."""
    knobs = parse(SMALL + ABSENT, "small.toml")
    assert knobs.missing({"probe": 0}, {}, ()) is None
    assert knobs.missing({"probe": 1}, {}, ()) == "probe"
    assert knobs.missing({"probe": 1}, {"probe": 0.0}, ()) is None
    assert knobs.missing({"patience": 1}, {}, ()) is None
    assert knobs.missing({"probe": 1}, {}, ("net.ipv4.tcp_probe",)) is None
    with pytest.raises(HarnessError, match="no knob is called 'other'"):
        knobs.missing({"other": 1}, {}, ())


@pytest.mark.parametrize(
    ("asked", "fixed", "overruled"),
    [
        ({"first": 3}, {"first"}, {"first": 3}),
        ({"first": 2}, {"first"}, {}),
        ({"first": 3}, {"last"}, {}),
        ({"patience": 3}, {"patience"}, {}),
    ],
)
def test_what_the_user_set_otherwise_is_overruled(asked, fixed, overruled):
    """Not what stands as it is asked for, nor what only shortens a wait."""
    effective = {"first": 2, "last": 9, "patience": 1}
    assert parse(SMALL, "small.toml").overruled(asked, effective, fixed) == overruled


def test_what_a_stack_without_a_knob_does_is_a_number():
    """A text is refused."""
    with pytest.raises(HarnessError, match="absent is 'no', not a number"):
        parse(ABSENT.replace("absent = 0", "absent = 'no'"), "small.toml")
