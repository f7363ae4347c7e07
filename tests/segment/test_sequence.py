import itertools

import pytest
from hypothesis import given

from harness.segment import sequence
from tests.segment.strategies import number

EDGES = (0, 1, 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1)


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [(0, 0, 0), (1, 0, 1), (0, 1, -1), (0, 2**32 - 1, 1), (2**32 - 1, 0, -1), (5, 2**32 - 5, 10)],
)
def test_difference_is_signed_and_crosses_the_wrap(left, right, distance):
    """Numbers near each other on both sides of 2^32 are near each other."""
    assert sequence.difference(left, right) == distance


@given(number, number)
def test_adding_the_difference_leads_back(left, right):
    """right + (left - right) is left, modulo 2^32."""
    assert sequence.add(right, sequence.difference(left, right)) == left
    assert -(2**31) <= sequence.difference(left, right) < 2**31


@pytest.mark.parametrize(("left", "right"), [*itertools.product(EDGES, EDGES)])
def test_comparisons_agree_with_the_difference(left, right):
    """less and less_or_equal differ only where the numbers are the same."""
    assert sequence.less(left, right) == (sequence.difference(left, right) < 0)
    assert sequence.less_or_equal(left, right) == (sequence.less(left, right) or left == right)
    if left != right and abs(sequence.difference(left, right)) < 2**31:
        assert sequence.less(left, right) != sequence.less(right, left)


@pytest.mark.parametrize("base", EDGES)
def test_between_excludes_the_low_end_only(base):
    """SND.UNA < SEG.ACK =< SND.NXT."""
    low, high = base, sequence.add(base, 10)
    inside = [sequence.between(low, sequence.add(base, step), high) for step in range(-2, 13)]
    assert inside == [False] * 3 + [True] * 10 + [False] * 2
    assert not sequence.between(base, base, base)


@pytest.mark.parametrize("start", EDGES)
def test_the_window_excludes_its_end(start):
    """RCV.NXT =< SEG.SEQ < RCV.NXT + RCV.WND; a window of no octets holds no number."""
    inside = [sequence.in_window(sequence.add(start, step), start, 3) for step in range(-2, 6)]
    assert inside == [False, False, True, True, True, False, False, False]
    assert not sequence.in_window(start, start, 0)
