"""Registry: the kinds of stack, by the name that a user gives."""

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType

from harness.errors import UsageError
from harness.targets.driver import Driver

# Each driver is imported only when it is asked for: some need packages that others do not.
DRIVERS: Mapping[str, str] = MappingProxyType(
    {
        "netns": "harness.targets.netns:NetnsDriver",
        "docker": "harness.targets.containers:DockerDriver",
        "model-rfc9293": "harness.targets.model.kinds:RFC9293",
        "model-linux": "harness.targets.model.kinds:LINUX",
        "model-windows-2003": "harness.targets.model.kinds:WINDOWS_2003",
        "model-berkeley": "harness.targets.model.kinds:BERKELEY",
    }
)


def driver(name: str) -> type[Driver]:
    """Return the driver class of a target; UsageError for a name that no target has."""
    base, plus, fault = name.partition("+")
    if plus and base.startswith("model-") and base in DRIVERS:
        mutants = importlib.import_module("harness.targets.model.mutants")
        mutant: type[Driver] = mutants.driver(base, fault)
        return mutant
    place = DRIVERS.get(name)
    if place is None:
        near = difflib.get_close_matches(name, DRIVERS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no target is called {name!r}; {hint}known: {', '.join(DRIVERS)}")
    module, _, attribute = place.partition(":")
    found: type[Driver] = getattr(importlib.import_module(module), attribute)
    return found


def needs_privileges(name: str) -> bool:
    """Tell whether a target needs network namespaces: a model is in this process."""
    return not name.startswith("model-")
