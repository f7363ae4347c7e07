"""How late timers may be."""

import pytest

from harness.judgement.precision import Precision


@pytest.mark.parametrize(
    ("seconds", "tick", "late"),
    [
        (60, 0.004, 2.048),
        (60, 0.01, 5.12),
        (60, 0.001, 4.096),
        (1, 0.004, 0.032),
        (0.2, 0.004, 0.004),
        (7200, 0.01, 327.68),
    ],
)
def test_late_timers_of_linux_depend_on_its_tick(seconds, tick, late):
    """One minute may be two seconds late at HZ 250, and five at HZ 100."""
    assert Precision(tick, wheel=True).late(seconds) == pytest.approx(late)


def test_without_a_wheel_a_timer_may_be_late_by_an_eighth_or_a_tick():
    """BSD's slow timer ticks twice a second; of others nothing is known."""
    assert Precision().late(8) == 1
    assert Precision(0.5).late(1) == 0.5
    assert Precision(0.5).late(60) == 7.5


def test_noise_is_above_the_budget_or_not():
    """The budget is 50 ms, or a tenth of the shortest time if that is more, 500 ms at most."""
    assert Precision(noise=None).excess(1) is None
    assert Precision(noise=0.05).excess(1) is None
    assert Precision(noise=0.1).excess(1) is None
    assert "110 ms late, more than the 100 ms" in Precision(noise=0.11).excess(1)
    assert Precision(noise=0.5).excess(60) is None
    assert "600 ms late, more than the 500 ms" in Precision(noise=0.6).excess(60)
    assert "80 ms late, more than the 50 ms" in Precision(noise=0.08).excess(0.2)
