"""Specs of sweeps: what they may say, and what is refused."""

from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.sweep.cell import Stack, Testcase, batches, fingerprint, plan
from harness.sweep.spec import only, read

GOOD = """
targets = ["a", "b"]
[[grid]]
testcases = ["x/test_x.py", "x/test_y.py::test_y"]
[grid.sysctls]
"net.ipv4.one" = [1, 2, 3]
"net/ipv4/two" = { from = 1, to = 5, step = 2 }
"""


def spec(tmp_path, text=GOOD):
    path = tmp_path / "spec.toml"
    path.write_text(text)
    return read(path)


def case(name="x/test_x.py::test_x", target="a", family="ipv4", nominal=None, source="s"):
    function = f"testcases/{name}"
    whole = f"{function}[{target}-{family}]"
    return Testcase(whole, function, target, family, ("m",), (), nominal, source)


ALL = [
    case(name, target, family)
    for name in ("x/test_x.py::test_x", "x/test_y.py::test_y", "x/test_y.py::test_z")
    for target in ("a", "b")
    for family in ("ipv4", "ipv6")
]
STACKS = {name: Stack(name, "linux", "6.1", True, {}) for name in ("a", "b")}


def test_a_grid_is_every_combination_of_its_values(tmp_path):
    """Values are texts, names are as sysctl(8) prints them."""
    (grid,) = spec(tmp_path).grids
    points = list(grid.points())
    assert len(points) == 9
    assert points[0] == (("net.ipv4.one", "1"), ("net.ipv4.two", "1"))
    assert {dict(point)["net.ipv4.two"] for point in points} == {"1", "3", "5"}


@pytest.mark.parametrize(("vary", "count"), [("each", 1 + 6), ("pairs", 1 + 6 + 9)])
def test_settings_may_be_varied_alone_or_two_by_two(tmp_path, vary, count):
    """Beside none at all, so that there is something to compare with."""
    text = GOOD.replace("[grid.sysctls]", f'vary = "{vary}"\n[grid.sysctls]')
    points = list(spec(tmp_path, text).grids[0].points())
    assert len(points) == len(set(points)) == count
    assert () in points


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets = [", "spec.toml"),
        ("", "targets"),
        ('targets = ["a"]', r"no \[\[grid\]\]"),
        (GOOD.replace("targets", "target"), "'target'"),
        (GOOD.replace("x/test_x.py", "../x.py"), "does not lie in"),
        (GOOD.replace("x/test_x.py", "/x.py"), "does not lie in"),
        (GOOD.replace("net.ipv4.one", "kernel.panic"), "not a setting of the network"),
        (GOOD.replace("net.ipv4.one", "net..one"), "does not name a sysctl"),
        (GOOD.replace("[1, 2, 3]", "[]"), "0 values"),
        (GOOD.replace("[1, 2, 3]", "[true]"), "no value of a sysctl"),
        (GOOD.replace("[1, 2, 3]", '[" "]'), "no value of a sysctl"),
        (GOOD.replace("from = 1", "from = 9"), "a range is"),
        (GOOD.replace("to = 5, ", ""), "a range is"),
        (GOOD.replace("step = 2", "step = 0"), "a range is"),
        (GOOD.replace("step = 2", "stop = 2"), "'stop'"),
        (GOOD.replace("from = 1, to = 5", "from = 1, to = 999999999"), "values"),
        ("patience = 0\n" + GOOD, "patience"),
        ('timers = "fast"\n' + GOOD, "timers"),
        ('families = ["ipv5"]\n' + GOOD, "families"),
        (GOOD.replace("[grid.sysctls]", 'targets = ["c"]\n[grid.sysctls]'), "targets"),
        (GOOD.replace("[grid.sysctls]", 'vary = "some"\n[grid.sysctls]'), "vary"),
        (GOOD.partition("[grid.sysctls]")[0], "grid.sysctls"),
        ("grid = 3\ntargets = ['a']", "grid"),
        ("grid = [3]\ntargets = ['a']", "grid 1"),
    ],
)
def test_a_spec_out_of_form_is_a_mistake_of_one_line(tmp_path, text, said):
    """It names the file and what is wrong."""
    with pytest.raises(UsageError, match=said) as error:
        spec(tmp_path, text)
    assert str(tmp_path / "spec.toml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_spec_that_is_not_there_is_a_mistake():
    """Nor is one that is no text."""
    with pytest.raises(UsageError, match="No such file"):
        read(Path("/nowhere/spec.toml"))


def test_a_spec_can_be_for_some_of_its_targets(tmp_path):
    """Grids of others are left out."""
    text = GOOD.replace("[grid.sysctls]", 'targets = ["b"]\n[grid.sysctls]')
    whole = spec(tmp_path, text)
    assert only(whole, []) is whole
    assert only(whole, ["a"]).grids == ()
    assert only(whole, ["b"]).grids[0].targets == ("b",)
    with pytest.raises(UsageError, match="--target c"):
        only(whole, ["c"])


def test_a_plan_has_each_cell_once(tmp_path):
    """Two grids may ask for the same; a file stands for all that are in it."""
    doubled = GOOD + GOOD.partition('"b"]')[2]
    once = plan(spec(tmp_path), ALL, STACKS, "h")
    assert len(once) == 9 * 2 * 4
    assert {one.key for one in plan(spec(tmp_path, doubled), ALL, STACKS, "h")} == {
        one.key for one in once
    }
    assert {one.testcase.function for one in once} == {
        "testcases/x/test_x.py::test_x",
        "testcases/x/test_y.py::test_y",
    }


def test_a_testcase_that_there_is_not_is_a_mistake(tmp_path):
    """So is one that exists on other targets only."""
    with pytest.raises(UsageError, match=r"test_w\.py"):
        plan(spec(tmp_path, GOOD.replace("test_x.py", "test_w.py")), ALL, STACKS, "h")
    with pytest.raises(UsageError, match="x/test_x"):
        plan(spec(tmp_path), [one for one in ALL if one.target == "c"], STACKS, "h")


def test_the_key_of_a_cell_names_all_that_its_result_depends_on(tmp_path):
    """Another source, version, harness, or way to run is another cell."""
    text = GOOD.replace("[1, 2, 3]", "1").replace("{ from = 1, to = 5, step = 2 }", "1")
    text = text.replace(', "x/test_y.py::test_y"', "").replace('"a", "b"', '"a"')

    def keys(source="s", version="6.1", harness="h", more=""):
        stacks = {"a": Stack("a", "linux", version, True, {})}
        cells = plan(spec(tmp_path, more + text), [case(source=source)], stacks, harness)
        return {one.key for one in cells}

    variants = [
        keys(),
        keys(source="t"),
        keys(version="6.2"),
        keys(harness="i"),
        keys(more='timers = "documented"\n'),
        keys(more="patience = 5\n"),
    ]
    assert all(len(one) == 1 for one in variants)
    assert len(set.union(*variants)) == len(variants)
    assert keys() == keys(more='title = "Other"\n')


def test_batches_begin_with_the_longest_and_keep_settings_together(tmp_path):
    """Virtual time takes no time, and what takes long stands alone."""
    cases = [case(nominal=30.0), case("x/test_y.py::test_y", nominal=0.1)]
    cases += [case("x/test_y.py::test_y", "b", nominal=30.0), case(target="b")]
    cells = plan(spec(tmp_path), cases, STACKS, "h")
    found = list(batches(cells, ["b"]))
    assert sorted(cell.key for batch in found for cell in batch) == sorted(
        cell.key for cell in cells
    )
    assert all(len({cell.testcase.target for cell in batch}) == 1 for batch in found)
    assert [batch[0].seconds for batch in found[:9]] == [30.0] * 9
    assert all(len(batch) == 1 for batch in found[:9])
    assert max(len(batch) for batch in found) > 4


def test_the_fingerprint_follows_code_and_documents_but_not_how_results_are_shown(tmp_path):
    """A change of a report makes no cell run again."""
    fingerprint.cache_clear()
    for place in ("judgement/a.py", "documents/t.toml", "reporting/r.py", "cli.py", "note.txt"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("1")

    def changed(place):
        before = fingerprint.__wrapped__(tmp_path)
        (tmp_path / place).write_text(f"{before}")
        return fingerprint.__wrapped__(tmp_path) != before

    assert changed("judgement/a.py")
    assert changed("documents/t.toml")
    assert not any(map(changed, ("reporting/r.py", "cli.py", "note.txt")))
