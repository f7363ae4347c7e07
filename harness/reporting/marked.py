"""Marked: which testcase observes which measure, read from the source without importing it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError

MARKER = "measures"


@dataclass(frozen=True, slots=True)
class Marked:
    """One name in a testcase's `measures` marker; `function` is `test_…` or `Class::test_…`."""

    path: Path
    line: int
    function: str
    measure: str

    def name(self, root: Path) -> str:
        """Return the testcase's node id, its file relative to `root`."""
        return f"{self.path.relative_to(root).as_posix()}::{self.function}"


def scan(path: Path) -> list[Marked]:
    """Return what the testcases of a file, or of all files in a folder, are marked to measure.

    UsageError names file and line of what is not Python, or of a marker that is not plain names.
    """
    if path.is_dir():
        files = sorted(one for one in path.rglob("test_*.py") if one.is_file())
        return [marked for file in files for marked in _scan_file(file)]
    return _scan_file(path)


def _scan_file(path: Path) -> list[Marked]:
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except SyntaxError as error:
        raise UsageError(f"{path}:{error.lineno or 1}: not Python: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}:1: not Python: {error}") from None
    return list(_walk(path, tree.body, "", _of_assignments(path, tree.body)))


def _walk(
    path: Path, body: list[ast.stmt], prefix: str, inherited: list[tuple[int, str]]
) -> Iterator[Marked]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            own = _of_decorators(path, node) + _of_assignments(path, node.body)
            yield from _walk(path, node.body, f"{prefix}{node.name}::", inherited + own)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            for line, measure in dict.fromkeys(inherited + _of_decorators(path, node)):
                yield Marked(path, line, prefix + node.name, measure)


def _of_decorators(path: Path, node: ast.ClassDef | ast.FunctionDef) -> list[tuple[int, str]]:
    return [one for decorator in node.decorator_list for one in _names(path, decorator)]


def _of_assignments(path: Path, body: list[ast.stmt]) -> list[tuple[int, str]]:
    """Return the measures of `pytestmark = …`, one mark or a list of them."""
    found = []
    for node in body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets
        ):
            several = isinstance(node.value, ast.List | ast.Tuple)
            marks = node.value.elts if several else [node.value]  # type: ignore[attr-defined]
            found += [one for mark in marks for one in _names(path, mark)]
    return found


def _names(path: Path, node: ast.expr) -> list[tuple[int, str]]:
    """Return line and name of each measure of a `….mark.measures(…)`, nothing for other marks."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return []
    if node.func.attr != MARKER or ast.unparse(node.func.value).rpartition(".")[2] != "mark":
        return []
    names = []
    for argument in node.args:
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            said = ast.unparse(argument)
            raise UsageError(f"{path}:{argument.lineno}: measures takes names, not {said}")
        names.append((argument.lineno, argument.value))
    return names
