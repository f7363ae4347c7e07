"""Mutants: the model with one fault each, to see whether the catalogue notices.

A fault is data (`mutants.toml`): a piece of the model's text, in one file and there only once, and
what stands in its place; or parameters with other values. The text that is read is not cluttered by
it: a mutant is a copy of all modules under another name, made when it is asked for.
"""

import dataclasses
import difflib
import functools
import importlib
import importlib.machinery
import importlib.util
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.targets.driver import Driver
from harness.targets.model import kinds

HERE = Path(__file__).parent
PACKAGE = "harness.targets.model"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: `old` becomes `new` in a file, or `numbers` are set; it breaks these claims.

    `touches` are topics of claims that it concerns besides those of what it breaks: a testcase of
    any other topic that deviates has nothing to do with the fault, and should not.
    """

    name: str
    breaks: tuple[str, ...]
    touches: tuple[str, ...] = ()
    file: str = ""
    old: str = ""
    new: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def applied(self, file: str, text: str) -> str:
        """Return a file's text with the fault; HarnessError where it does not apply just once."""
        if file != self.file:
            return text
        if text.count(self.old) != 1:
            raise HarnessError(
                f"the mutant {self.name} needs to find its text once in {file}.py, "
                f"and finds it {text.count(self.old)} times"
            )
        return text.replace(self.old, self.new)


@functools.cache
def load() -> Mapping[str, Mutant]:
    """Return all mutants by name; HarnessError for one that is out of form."""
    tables = tomllib.loads((HERE / "mutants.toml").read_text("utf-8"))["mutant"]
    found: dict[str, Mutant] = {}
    for table in tables:
        values = {("numbers" if key == "set" else key): value for key, value in table.items()}
        values["breaks"] = tuple(values["breaks"])
        values["touches"] = tuple(values.get("touches", ()))
        try:
            mutant = Mutant(**values)
        except TypeError as error:
            raise HarnessError(f"mutants.toml: {table.get('name')}: {error}") from error
        if mutant.name in found or bool(mutant.numbers) is bool(mutant.file):
            raise HarnessError(f"mutants.toml: {mutant.name} stands twice, or says not one thing")
        found[mutant.name] = mutant
    return found


def driver(base: str, name: str) -> type[Driver]:
    """Return the driver class of a model with a fault; UsageError for a fault that is unknown."""
    mutants = load()
    if name not in mutants:
        near = difflib.get_close_matches(name, mutants, n=1)
        hint = f"; did you mean {near[0]}?" if near else ": `tcpspec mutants --list` lists them"
        raise UsageError(f"no mutant of the model is called {name!r}{hint}")
    mutant = mutants[name]
    copied = _copy(mutant).kinds if mutant.file else kinds
    return _named(copied, base, mutant)


def _named(copied: Any, base: str, mutant: Mutant) -> type[Driver]:
    kind = copied.numbers(base)
    changed = dataclasses.replace(
        kind,
        version=f"{kind.version} with the fault {mutant.name}",
        parameters=dataclasses.replace(kind.parameters, **mutant.numbers),
    )
    made: type[Driver] = copied.model(f"{base}+{mutant.name}", kind=changed)
    made.__doc__ = f"{base} with the fault {mutant.name}; no real stack."
    return made


def _copy(mutant: Mutant) -> Any:
    """Import the package once more under another name, one file of it with the fault."""
    alias = f"{PACKAGE}_with_{mutant.name.replace('-', '_')}"
    if alias not in sys.modules:
        sys.meta_path.insert(0, _Finder(alias, mutant))
    importlib.import_module(f"{alias}.kinds")
    return sys.modules[alias]


class _Finder:
    """Finds and loads the modules of one copy (the import system's finder and loader)."""

    def __init__(self, alias: str, mutant: Mutant) -> None:
        self._alias = alias
        self._mutant = mutant

    def find_spec(
        self, fullname: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the copy, None for any other."""
        if fullname.partition(".")[0] != "harness" or not f"{fullname}.".startswith(
            f"{self._alias}."
        ):
            return None
        package = fullname == self._alias
        path = HERE / ("__init__.py" if package else f"{fullname.rpartition('.')[2]}.py")
        spec = importlib.util.spec_from_loader(
            fullname,
            self,  # type: ignore[arg-type]  # a loader by its methods
            origin=str(path),
            is_package=package,
        )
        if spec is not None:
            spec.has_location = True
        return spec

    def create_module(self, _spec: object) -> None:
        """Let the import system make an empty module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's text, with the fault, and with the copy's modules for the model's."""
        assert module.__spec__ is not None
        path = Path(str(module.__spec__.origin))
        text = self._mutant.applied(path.stem, path.read_text("utf-8"))
        text = text.replace(f"{PACKAGE}.", f"{self._alias}.").replace(
            f"from {PACKAGE} import", f"from {self._alias} import"
        )
        exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102 - our own text
