"""Layers: imports go one way, each third-party package has one door, and time is no question."""

import ast
import functools
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.targets.registry import DRIVERS

ROOT = Path(__file__).parent.parent

# From the top down; what stands in one row does not know its neighbours.
FLOORS = (
    ("plugin", "cli"),
    ("commands",),
    ("sweep",),
    ("run", "trial", "order", "nursery"),
    ("sabotage",),
    ("reporting",),
    ("judgement",),
    ("documents",),
    ("targets",),
    ("peer",),
    ("wire",),
    ("segment",),
    ("states", "endpoint", "errors"),
)
HEIGHT = {area: -floor for floor, areas in enumerate(FLOORS) for area in areas}

DOORS = {
    "scapy": {"harness.segment.codec"},
    "pyroute2": {"harness.targets.network", "harness.targets.sock_diag"},
    "dask": {"harness.sweep.cluster"},
    "distributed": {"harness.sweep.cluster"},
    "docker": {"harness.targets.docker"},
    "drawsvg": {"harness.reporting.picture.drawing"},
    "jinja2": {"harness.reporting.site.templates"},
    "allure": {"harness.reporting.allure"},
    "allure_commons": {"harness.reporting.allure"},
    "pytest": {"harness.plugin"},
    "_pytest": {"harness.plugin"},
    "xdist": {"harness.order"},
}

# These do no I/O and never ask for the time.
PURE = ("segment", "peer", "judgement", "documents")
IMPURE = {"asyncio", "datetime", "os", "select", "signal", "socket", "subprocess", "threading"}

STACKS = {"linux", "bsd", "freebsd", "berkeley", "solaris", "macos", "winsock", "smoltcp"}
STACKS |= {name.partition("-")[0] for name in DRIVERS} - {"model", "remote"}
STACKS |= {"netns", "docker", "uml", "qemu", "gvisor", "lwip", "slirp"}
# "Windows" alone may be several windows of the protocol.
NAMED = re.compile(
    rf"(?<![a-z])({'|'.join(sorted(STACKS))}|windows[ _-](xp|vista|server|nt|\d+))(?![a-z])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Import:
    """One import: by which module, of what, where, and whether only for types."""

    by: str
    of: str
    line: int
    typing: bool = False

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.of}"


def module_name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def trees(root: Path, folder: str) -> list[tuple[str, ast.Module]]:
    return [
        (module_name(path, root), ast.parse(path.read_text(encoding="utf-8"), str(path)))
        for path in sorted((root / folder).rglob("*.py"))
    ]


@functools.cache
def imports(root: Path, folder: str) -> list[Import]:
    """Every import in a folder; `from a import b` is of a.b where that is a module."""
    known = {name for name, _ in trees(root, folder)}
    found = []
    for by, tree in trees(root, folder):
        typing = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level:
                names = ["." * node.level + (node.module or "")]
            elif isinstance(node, ast.ImportFrom):
                parts = {f"{node.module}.{alias.name}" for alias in node.names}
                names = sorted(parts & known) or [str(node.module)]
            else:
                continue
            found += [Import(by, name, node.lineno, id(node) in typing) for name in names]
    return found


def area(module: str) -> str:
    return module.split(".")[1] if "." in module else "harness"


def arrows_up(root: Path) -> list[str]:
    """Imports that do not go down; `harness` itself is the testcases' way in, above targets."""
    found = []
    for one in imports(root, "harness"):
        if one.of.startswith("."):
            found.append(f"{one}: relative")
        if one.of.partition(".")[0] != "harness" or area(one.by) in ("harness", area(one.of)):
            continue
        unknown = {area(one.by), area(one.of)} - set(HEIGHT)
        if unknown:
            found.append(f"{one}: {', '.join(sorted(unknown))} stands on no floor")
        elif HEIGHT[area(one.by)] <= HEIGHT[area(one.of)]:
            found.append(f"{one}: {area(one.of)} does not stand below {area(one.by)}")
    return found


def side_doors(root: Path) -> list[str]:
    """Imports of third-party packages by a module that is not their door, nor in it."""
    found = []
    for one in imports(root, "harness"):
        package = one.of.partition(".")[0]
        if package in ("harness", "", *sys.stdlib_module_names):
            continue
        doors = DOORS.get(package, set())
        if not doors & {one.by, one.by.rpartition(".")[0]}:
            found.append(str(one))
    return found


def circles(root: Path) -> list[str]:
    """Modules that import each other, what is imported only for types left aside."""
    below: dict[str, set[str]] = {}
    for one in imports(root, "harness"):
        if not one.typing:
            below.setdefault(one.by, set()).add(one.of)
    del below["harness"]  # every module's package; it has no names that they import
    found = []

    def follow(module: str, way: tuple[str, ...], done: set[str]) -> None:
        if module in way:
            found.append(" > ".join((*way[way.index(module) :], module)))
        elif module not in done:
            for other in sorted(below.get(module, ())):
                follow(other, (*way, module), done)
            done.add(module)

    done: set[str] = set()
    for module in sorted(below):
        follow(module, (), done)
    return found


def questions(root: Path) -> list[str]:
    """Places where a module that may not do so asks for the time or does I/O."""
    return [
        str(one)
        for one in imports(root, "harness")
        if area(one.by) in PURE and one.of.partition(".")[0] in IMPURE | {"time"}
    ]


def sleeps(root: Path) -> list[str]:
    """Places where a testcase sleeps."""
    return [
        f"{name}:{node.lineno}"
        for name, tree in trees(root, "testcases")
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.alias) and node.name.rpartition(".")[2] == "sleep")
    ]


def foreign(root: Path) -> list[str]:
    """Imports of a testcase beyond pytest, the standard library and `harness` itself."""
    allowed = {"pytest", "harness"}
    return [
        str(one)
        for one in imports(root, "testcases")
        if one.of not in allowed and one.of.partition(".")[0] not in sys.stdlib_module_names
    ]


def named_stacks(root: Path) -> list[str]:
    """Lines of testcases that name a stack, comments and docstrings included."""
    return [
        f"{path.name}:{number}: {match.group()}"
        for path in sorted((root / "testcases").rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if (match := NAMED.search(line))
    ]


RULES = (arrows_up, side_doors, circles, questions, sleeps, foreign, named_stacks)


@pytest.mark.parametrize("rule", RULES)
def test_the_house_stands_as_it_is_drawn(rule):
    """No import goes up or through a side door, nobody sleeps, no testcase knows a stack."""
    assert rule(ROOT) == []


def test_there_is_something_to_look_at():
    """The rules see the whole house, and every floor of it."""
    assert {area(name) for name, _ in trees(ROOT, "harness")} - {"harness"} == set(HEIGHT)
    assert len(imports(ROOT, "harness")) > 200
    assert len(imports(ROOT, "testcases")) > 20


BAD = [
    (arrows_up, "harness/wire/x.py", "from harness.peer.peer import Peer"),
    (arrows_up, "harness/wire/x.py", "import harness.peer.peer"),
    (arrows_up, "harness/run.py", "import harness.trial"),
    (arrows_up, "harness/states.py", "def f():\n    from harness.errors import Deviation"),
    (arrows_up, "harness/peer/x.py", "from harness import targets"),
    (arrows_up, "harness/peer/x.py", "from . import peer"),
    (arrows_up, "harness/attic/x.py", "from harness.states import State"),
    (side_doors, "harness/wire/x.py", "import scapy.all"),
    (side_doors, "harness/wire/x.py", "from scapy.layers import inet"),
    (side_doors, "harness/order.py", "import pytest"),
    (side_doors, "harness/targets/netns.py", "import pyroute2"),
    (side_doors, "harness/targets/netns.py", "import numpy"),
    (circles, "harness/wire/link.py", "import harness.wire.clock"),
    (questions, "harness/peer/x.py", "import time"),
    (questions, "harness/judgement/x.py", "from time import monotonic"),
    (questions, "harness/segment/x.py", "def f():\n    import socket"),
    (sleeps, "testcases/test_x.py", "import time\ntime.sleep(1)"),
    (sleeps, "testcases/test_x.py", "from time import sleep"),
    (foreign, "testcases/test_x.py", "from harness.peer.peer import Peer"),
    (foreign, "testcases/test_x.py", "import scapy"),
    (named_stacks, "testcases/test_x.py", "def test_linux_is_right(): ..."),
    (named_stacks, "testcases/test_x.py", "# not on Windows 2003"),
    (named_stacks, "testcases/test_x.py", '"""True of netns."""'),
]


def small_house(folder: Path) -> Path:
    """Build a tree in which nothing is wrong."""
    good = {
        "harness/__init__.py": "from harness.peer.peer import Peer",
        "harness/errors.py": "import time",
        "harness/wire/clock.py": "import harness.wire.link, time",
        "harness/wire/link.py": (
            "from typing import TYPE_CHECKING\n"
            "from harness.errors import Deviation\n"
            "if TYPE_CHECKING:\n    from harness.wire.clock import Clock"
        ),
        "harness/targets/__init__.py": "",
        "harness/peer/peer.py": "from harness.wire.clock import Clock",
        "harness/segment/codec.py": "import scapy.all",
        "testcases/test_good.py": '"""Windows open."""\nimport enum\nfrom harness import State',
    }
    for place, text in good.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_a_good_tree_breaks_no_rule(rule, tmp_path):
    """The rules are not broken by what is allowed."""
    assert rule(small_house(tmp_path)) == []


@pytest.mark.parametrize(("rule", "place", "text"), BAD)
def test_a_bad_tree_breaks_the_rule(rule, place, text, tmp_path):
    """Each rule sees what breaks it, once, and says where."""
    bad = small_house(tmp_path) / place
    bad.parent.mkdir(exist_ok=True)
    bad.write_text(text, encoding="utf-8")
    (said,) = rule(tmp_path)
    assert bad.stem in said
