"""Findings: what is the same is told once, what differs is not hidden."""

import pytest

from harness.reporting.findings import alike, behaviour

from .examples import judgement


@pytest.mark.parametrize(
    ("target", "family", "parameters", "rest"),
    [
        ("netns", "ipv4", "netns-ipv4", ""),
        ("uml-6.12", "ipv6", "uml-6.12-ipv6", ""),
        ("netns", "ipv4", "ipv4-netns-close", "[close]"),
        ("netns", "ipv4", "close-netns-ipv4-FIN-WAIT-2", "[close-FIN-WAIT-2]"),
        ("qemu-6.1", "ipv4", "qemu-6.12-ipv4", "[qemu-6.12]"),
        ("netns", None, "netns", ""),
        ("a[b]", None, "a[b]-c", "[c]"),
    ],
)
def test_a_behaviour_is_the_testcase_without_target_and_family(target, family, parameters, rest):
    """Only whole parameters are taken away, and only those of target and family."""
    one = judgement(target=target, family=family, testcase=f"t.py::test_a[{parameters}]")
    assert behaviour(one) == f"t.py::test_a{rest}"


def test_a_testcase_without_parameters_is_its_own_behaviour():
    """There is nothing to take away without a bracket."""
    assert behaviour(judgement(testcase="t.py::test_a")) == "t.py::test_a"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("60.3 s", "61.9 s", True),
        ("60 s", "60.3 s", True),
        ("60.3 s", "131.1 s", False),
        ("1, 2.01, 4.1 s", "1.01, 2, 4.3 s", True),
        ("1, 2.01 s", "1, 2.01, 4.1 s", False),
        (". 1:1(0) ack 1", ". 1:1(0) ack 2", False),
        ("0.04 s", "0.2 s", False),
        ("0.001 s", "0.02 s", True),
        ("ETIMEDOUT after 131.1 s", "ECONNREFUSED after 131.1 s", False),
    ],
)
def test_only_the_noise_of_times_is_alike(one, other, same):
    """Durations may differ by their noise; counts, numbers in segments and words may not."""
    assert alike(one, other) is same
    assert alike(other, one) is same
