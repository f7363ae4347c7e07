"""Effects: which setting moves which measure, and which two do so together."""

import pytest

from harness.reporting.effects import DEFAULT, Seen, effects, interactions, magnitude
from harness.reporting.heatmap import heatmap
from harness.reporting.sweep import Told, as_json, lines


def seen(point, observed, values=None, measure="m"):
    values = observed if values is None else values
    return Seen("t", "test_x", "ipv4", measure, point, str(observed), values)


def grid(function, ones=(1, 2), others=(1, 2)):
    return [
        seen({"a": str(a), "b": str(b)}, f"{function(a, b)} s", function(a, b))
        for a in ones
        for b in others
    ]


def shares(found):
    return {(one.sysctl, one.moved, one.compared) for one in found}


def test_a_setting_moves_what_differs_with_nothing_else_different():
    """Only cells that differ in one setting are compared."""
    assert shares(effects(grid(lambda a, _: 10 * a))) == {("a", 2, 2), ("b", 0, 2)}
    assert shares(effects(grid(lambda a, b: 10 * max(a, b)))) == {("a", 1, 2), ("b", 1, 2)}


def test_noise_of_times_is_no_effect():
    """A granule of a timer wheel does not count, a whole number does."""
    times = [seen({"a": "1"}, "3.02 s", 3.02), seen({"a": "2"}, "3.21 s", 3.21)]
    counts = [seen({"a": "1"}, "10", 10), seen({"a": "2"}, "11", 11)]
    assert effects(times)[0].moved == 0
    assert effects(counts)[0].moved == 1


def test_what_is_not_set_is_a_value_too():
    """One setting at a time is compared with none at all."""
    cells = [seen({}, "5 s"), seen({"a": "1"}, "9 s"), seen({"b": "1"}, "5 s")]
    found = {one.sysctl: one for one in effects(cells)}
    assert (found["a"].moved, found["b"].moved) == (1, 0)
    assert found["a"].example == ((DEFAULT, "5 s"), ("1", "9 s"))


def test_values_are_compared_in_the_order_of_numbers():
    """10 comes after 9."""
    cells = [seen({"a": str(n)}, f"{n} s", n) for n in (9, 10, 100)]
    assert effects(cells)[0].compared == 2
    assert effects(cells)[0].example[0][0] == "9"


@pytest.mark.parametrize(
    ("function", "there"),
    [
        (lambda a, b: 10 * a + 20 * b, False),
        (lambda a, b: 10 * a * b, True),
        (lambda a, b: 10 * min(a, b), True),
        (lambda a, _: 10 * a, False),
    ],
)
def test_two_settings_interact_if_their_effects_do_not_add_up(function, there):
    """The example shows all four cells."""
    found = interactions(grid(function))
    assert bool(found) is there
    for one in found:
        assert (one.first, one.second, one.of) == ("a", "b", 1)
        assert len(one.example) == 4


def test_words_interact_where_one_setting_decides_whether_the_other_does_anything():
    """An outcome has no size."""
    cells = [
        seen({"a": a, "b": b}, "refused" if (a, b) == ("1", "1") else "open")
        for a in "01"
        for b in "01"
    ]
    assert [one.shown for one in interactions(cells)] == [1]


@pytest.mark.parametrize(
    ("values", "size"),
    [
        (3, 3.0),
        (2.5, 2.5),
        ([1.0, 2.0, 4.0], 7.0),
        ({"outcome": "ETIMEDOUT", "after": 7.1}, 7.1),
        ({"outcome": "success", "after": None}, None),
        (True, None),
        ("S 0:0(0)", None),
        ([1.0, None], None),
        ([], None),
        (None, None),
    ],
)
def test_the_size_of_an_observation(values, size):
    """A time, a sum of times, a count; words have none."""
    assert magnitude(values) == size


def told(point, outcome="passed", observed="3 s"):
    deviates = outcome == "failed"
    judgement = {
        "claim": "A:1",
        "measure": "m",
        "verdict": "deviates" if deviates else "conforms",
        "binding": True,
        "known": False,
        "documented": "3 s",
        "observed": observed,
        "values": 3.0,
    }
    return Told("t", "test_x", "ipv4", point, outcome, "", [judgement])


def test_a_sweep_is_told_with_what_moves_what_and_what_deviates():
    """A deviation says at which settings it is; what no document relates has a mark."""
    cells = [told({"net.ipv4.a": a, "net.ipv4.b": b}) for a in "12" for b in "12"]
    cells[3] = told({"net.ipv4.a": "2", "net.ipv4.b": "2"}, "failed", "9 s")
    found = [
        seen(dict(one.point), one.judgements[0]["observed"], one.judgements[0]["values"])
        for one in cells
    ]
    moved, together = effects(found), interactions(found)
    text = "\n".join(lines(cells, moved, together, lambda _, sysctl: sysctl.endswith("a")))
    assert "m*" in text
    assert "1 cell deviate" in text
    assert "only at a 2; b 2" in text
    whole = as_json(cells, moved, together)
    assert [one["deviates"] for one in whole["cells"]].count(["A:1"]) == 1
    assert {one["sysctl"] for one in whole["effects"]} == {"net.ipv4.a", "net.ipv4.b"}


def test_the_heat_map_has_a_row_a_measure_and_a_column_a_setting():
    """Only what moves anything is in it; nothing that moves is no picture."""
    moved = effects(grid(lambda a, _: 10 * a))
    scene = heatmap("Title", moved, lambda *_: False)
    kinds = [mark.kind for mark in scene.marks]
    assert [kind for kind in kinds if kind.startswith("heat heat-4")][:1]
    assert "a moves m on t (2 of 2)" in scene.says
    assert "*" in [getattr(mark, "text", "") for mark in scene.marks]
    assert heatmap("Title", effects(grid(lambda *_: 1)), lambda *_: True) is None
