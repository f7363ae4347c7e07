"""Reading: documents and measures from TOML, every mistake with its file, line and claim."""

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.documents.claim import Claim, Document, Judged, Strength
from harness.documents.computed import FUNCTIONS
from harness.documents.measure import Kind, Measure
from harness.documents.parsing import check_keys, close, expectation
from harness.documents.versions import Versions
from harness.errors import UsageError
from harness.targets.knobs import load as load_knobs

_DOCUMENT_KEYS = ("id", "title", "url", "stacks", "versions", "binding")
_CLAIM_KEYS = (
    "id", "section", "lines", "strength", "topic", "says", "stacks", "versions", "judged",
    "unobservable", "open",
)  # fmt: skip
_JUDGED_KEYS = ("measure", "expect", "default_of")


@dataclass(frozen=True, slots=True)
class Text:
    """One file of a document: the document, its claims as tables, and the line of each."""

    document: Document
    path: Path
    claims: tuple[dict[str, Any], ...]
    lines: tuple[int, ...]


def toml(path: Path) -> tuple[dict[str, Any], str]:
    """Read a TOML file, as tables and as text; UsageError with line and column if it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: this is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        message, line, column = _place(str(error), path)
        raise UsageError(f"{path}:{line}:{column}: {message}") from None


def _place(message: str, path: Path) -> tuple[str, int, int]:
    match = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", message, re.DOTALL)
    if match:
        return match.group(1), int(match.group(2)), int(match.group(3))
    last = path.read_text(encoding="utf-8").count("\n") + 1
    return message.removesuffix(" (at end of document)"), last, 1


def headers(text: str, name: str, count: int) -> tuple[int, ...]:
    """Return the lines of the `[[name]]` headers of a text, or line 1 for all if unclear."""
    header = re.compile(rf"\s*\[\[\s*{re.escape(name)}\s*\]\]")
    found = tuple(at for at, line in enumerate(text.splitlines(), 1) if header.match(line))
    return found if len(found) == count else (1,) * count


def tables(value: Any, path: Path, name: str) -> tuple[dict[str, Any], ...]:
    """Return an array of tables; UsageError if it is something else."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise UsageError(f"{path}:1: '{name}' is written as [[{name}]]")
    return tuple(value)


def measures(folder: Path) -> dict[str, Measure]:
    """Read all measures of a folder; a file is a topic."""
    found: dict[str, Measure] = {}
    for path in sorted(folder.glob("*.toml")):
        content, _ = toml(path)
        for name, table in content.items():
            try:
                measure = _measure(name, path.stem, table)
            except ValueError as error:
                raise UsageError(f"{path}: {name}: {error}") from None
            if name in found:
                raise UsageError(f"{path}: {name}: stands in {found[name].topic}.toml already")
            found[name] = measure
    return found


def _measure(name: str, topic: str, table: Any) -> Measure:
    if not isinstance(table, dict):
        raise ValueError("a measure is a table")  # noqa: TRY004 - the user's input
    check_keys(table, ("kind", "observes"))
    kinds = [str(kind) for kind in Kind]
    kind = _text(table, "kind")
    if kind not in kinds:
        raise ValueError(f"'{kind}' is no kind{close(kind, kinds)}")
    return Measure(name, Kind(kind), topic, _text(table, "observes"))


def texts(folder: Path) -> dict[str, Text]:
    """Read the heads of all documents of a folder, by id."""
    found = map(_read_text, sorted(folder.glob("*.toml")))
    return {text.document.id: text for text in found}


def _read_text(path: Path) -> Text:
    content, text = toml(path)
    try:
        check_keys(content, ("document", "claim"))
        document = _document(content.get("document"), path)
    except ValueError as error:
        raise UsageError(f"{path}:1: {error}") from None
    found = tables(content.get("claim", []), path, "claim")
    return Text(document, path, found, headers(text, "claim", len(found)))


def _document(table: Any, path: Path) -> Document:
    if not isinstance(table, dict):
        raise ValueError("a document begins with a table [document]")  # noqa: TRY004
    check_keys(table, _DOCUMENT_KEYS)
    name = _text(table, "id")
    if name != path.stem:
        raise ValueError(f"document '{name}' stands in a file of another name")
    stacks, versions = _stacks(table.get("stacks", "any")), _versions(table)
    if stacks is None and versions.terms:
        raise ValueError("versions need stacks: the versions of what?")
    binding = table.get("binding", True)
    if not isinstance(binding, bool):
        raise ValueError("binding is true or false")  # noqa: TRY004 - the user's input
    return Document(
        id=name,
        title=_text(table, "title"),
        url=_text(table, "url", ""),
        stacks=stacks,
        versions=versions,
        binding=binding,
        path=str(path),
    )


def claims(text: Text, known: Mapping[str, Measure]) -> Iterator[Claim]:
    """Read the claims of a document; UsageError names file, line and claim of a mistake."""
    for table, line in zip(text.claims, text.lines, strict=True):
        where = (str(text.path), line)
        try:
            yield _claim(table, text.document, where, known)
        except ValueError as error:
            name = table.get("id", "a claim without id")
            raise UsageError(f"{where[0]}:{line}: {name}: {error}") from None


def _claim(
    table: dict[str, Any], document: Document, where: tuple[str, int], known: Mapping[str, Measure]
) -> Claim:
    check_keys(table, _CLAIM_KEYS)
    strengths = [str(strength) for strength in Strength]
    strength = _text(table, "strength")
    if strength not in strengths:
        raise ValueError(f"unknown strength '{strength}'{close(strength.upper(), strengths)}")
    judged = _judged(table.get("judged", []), known)
    unobservable, open_ = _text(table, "unobservable", ""), _text(table, "open", "")
    if not judged and not unobservable and not open_:
        raise ValueError("a claim is judged, or says why it is unobservable, or what is open")
    if judged and unobservable:
        raise ValueError("what is judged is not unobservable; a part that is missing is 'open'")
    stacks = _stacks(table["stacks"]) if "stacks" in table else document.stacks
    own = _versions(table)
    if stacks is None and own.terms:
        raise ValueError("versions need stacks: the versions of what?")
    versions = document.versions & own if stacks == document.stacks else own
    if versions.empty:
        raise ValueError(f"no version of the document's can be '{own}' ({document.versions})")
    return Claim(
        id=_text(table, "id"),
        document=document,
        section=_text(table, "section", ""),
        lines=_text(table, "lines", ""),
        strength=Strength(strength),
        topic=_text(table, "topic"),
        says=_text(table, "says"),
        stacks=stacks,
        versions=versions,
        judged=judged,
        unobservable=unobservable,
        open=open_,
        where=where,
    )


def _judged(value: Any, known: Mapping[str, Measure]) -> tuple[Judged, ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError("judged is a list of tables { measure = …, expect = … }")
    found = []
    for table in value:
        check_keys(table, _JUDGED_KEYS)
        name = _text(table, "measure")
        if name not in known:
            raise ValueError(f"unknown measure '{name}'{close(name, known)}")
        if "expect" not in table:
            raise ValueError(f"{name}: 'expect' is missing")
        try:
            expected = expectation(known[name].kind, table["expect"])
        except ValueError as error:
            raise ValueError(f"{name} is a {known[name].kind}: {error}") from None
        knobs = table.get("default_of", [])
        if not isinstance(knobs, list) or not all(isinstance(knob, str) for knob in knobs):
            raise ValueError(f"{name}: default_of is a list of knobs")
        for knob in knobs:
            if knob not in known_knobs():
                raise ValueError(f"{name}: unknown knob '{knob}'{close(knob, known_knobs())}")
        found.append(Judged(name, expected, tuple(knobs)))
    return tuple(found)


@functools.cache
def known_knobs() -> frozenset[str]:
    """Return the names of all knobs: those that drivers map, and those that values follow from."""
    computed = (name for function in FUNCTIONS.values() for name in function.needs + function.may)
    return frozenset(load_knobs().by_name) | frozenset(computed)


def _text(table: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if value is None:
        raise ValueError(f"'{key}' is missing")
    if not isinstance(value, str) or (not value.strip() and default is None):
        raise ValueError(f"'{key}' is a text")
    return value


def _stacks(value: Any) -> frozenset[str] | None:
    if value == "any":
        return None
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError("stacks is 'any' or a list of names")
    return frozenset(value)


def _versions(table: Mapping[str, Any]) -> Versions:
    return Versions.parse(_text(table, "versions")) if "versions" in table else Versions()
