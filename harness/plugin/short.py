"""Short: the part of the catalogue that tells soonest whether a change of settings moved anything.

For every measure that a document computes from settings the shortest testcase that observes it; for
every other setting that a document speaks of, the shortest that observes what it is said to change;
and from every file that has none of these its shortest, for what no setting should change. All in
one family, and no matrix, which takes too long. What lasts longer than the patience is watched for
as long as that.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pytest

from harness.documents.computed import depends_on
from harness.documents.library import Library
from harness.documents.measure import Kind
from harness.plugin.collection import measures_of, nominal_of
from harness.plugin.options import run_of, usage
from harness.targets import knobs


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the short catalogue."""
    parser.getgroup("tcpspec").addoption(
        "--short",
        action="store_true",
        help="only what shows soonest what settings do, in one family",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the short catalogue, if it is asked for."""
    if not config.getoption("short"):
        return
    with usage():
        run = run_of(config)
        lengths = {item.nodeid: nominal_of(run, item) or 0.0 for item in items}
    matrices = {name for name, of in run.library.measures.items() if of.kind is Kind.CELLS}
    chosen = set(
        choose(
            [(one.nodeid, str(one.path), measures_of(one), _target(one)) for one in items],
            lengths.__getitem__,
            tokens(run.library),
            matrices,
        )
    )
    left = [item for item in items if item.nodeid not in chosen]
    items[:] = [item for item in items if item.nodeid in chosen]
    config.hook.pytest_deselected(items=left)


def tokens(library: Library) -> dict[str, frozenset[str]]:
    """Return for each measure what speaks for it, if it is related to settings at all.

    A measure that is computed from settings speaks for itself; every other for its settings.
    """
    known = knobs.load().by_name.keys()
    found: dict[str, frozenset[str]] = {}
    for name in library.measures:
        about = {knob: said for knob, said in library.knobs_about(name).items() if knob in known}
        if not about:
            continue
        computed = any(
            depends_on(judged.expectation) for said in about.values() for _, judged in said
        )
        found[name] = frozenset({*about, *([name] if computed else ())})
    return found


def choose(
    items: Iterable[tuple[str, str, Sequence[str], str]],
    length: Callable[[str], float],
    wanted: Mapping[str, frozenset[str]],
    matrices: Collection[str] = (),
) -> list[str]:
    """Return the testcases of the short catalogue by name; `length` is seconds.

    Each item is a testcase's name, its file, what it measures, and its target. What measures only
    matrices is left out.
    """
    chosen: list[str] = []
    spoken: set[tuple[str, str]] = set()
    files: set[tuple[str, str]] = set()
    offered = [one for one in items if not (one[2] and set(one[2]) <= set(matrices))]
    ordered = sorted(offered, key=lambda one: (length(one[0]), one[0]))
    for name, file, measures, target in ordered:
        new = {(target, one) for measure in measures for one in wanted.get(measure, ())} - spoken
        if new:
            spoken |= new
            files.add((target, file))
            chosen.append(name)
    for name, file, _, target in ordered:
        if (target, file) not in files:
            files.add((target, file))
            chosen.append(name)
    return chosen


def _target(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("trial", ("",))[0] if callspec else ""
