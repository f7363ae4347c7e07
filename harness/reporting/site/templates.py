"""Templates: the door to Jinja2."""

from importlib.resources import files
from typing import Any

from harness.errors import UsageError

try:
    import jinja2
except ImportError:  # the extra `report` is not installed
    jinja2 = None  # type: ignore[assignment]


def check() -> None:
    """Raise UsageError if Jinja2 is missing."""
    if jinja2 is None:
        raise UsageError("the site needs Jinja2: pip install 'tcpspec[report]'")


def render(name: str, **values: Any) -> str:
    """Return a template of the package `page` with its values, which are escaped."""
    check()
    source = files(__package__).joinpath("page", name).read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(source).render(**values)
