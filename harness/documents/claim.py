"""Claim: one checkable statement of a document, as data."""

import enum
from dataclasses import dataclass

from harness.documents.expectation import Expectation
from harness.documents.versions import Versions


class Strength(enum.StrEnum):
    """How strongly a document asks for something (RFC 2119); SAYS is for texts that describe."""

    MUST = "MUST"
    MUST_NOT = "MUST NOT"
    SHOULD = "SHOULD"
    SHOULD_NOT = "SHOULD NOT"
    MAY = "MAY"
    RECOMMENDED = "RECOMMENDED"
    SAYS = "says"

    @property
    def binds(self) -> bool:
        """Whether not doing it is a deviation; otherwise it is permitted."""
        return self in (Strength.MUST, Strength.MUST_NOT, Strength.SAYS)


@dataclass(frozen=True, slots=True)
class Document:
    """A text that makes statements about TCP; `stacks` is None for one about every stack.

    `binding` is False for a text that binds only when the user names it.
    """

    id: str
    title: str
    url: str
    stacks: frozenset[str] | None
    versions: Versions
    binding: bool
    path: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What a claim expects of one measure; `default_of` are the knobs whose default it is about."""

    measure: str
    expectation: Expectation
    default_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement. `stacks` and `versions` are the document's, narrowed by the claim's own.

    Either something is judged, or `unobservable` says why nobody can, or `open` what is missing.
    `where` is the file and the line of the claim.
    """

    id: str
    document: Document
    section: str
    lines: str
    strength: Strength
    topic: str
    says: str
    stacks: frozenset[str] | None
    versions: Versions
    judged: tuple[Judged, ...]
    unobservable: str
    open: str
    where: tuple[str, int]

    def applies(self, stack: str, version: str) -> bool:
        """Tell whether the claim is about this version of this stack."""
        return (self.stacks is None or stack in self.stacks) and version in self.versions

    @property
    def place(self) -> str:
        """Where in the document the statement stands, in words."""
        if self.section:
            return f"section {self.section}"
        return f"lines {self.lines}" if self.lines else ""

    @property
    def url(self) -> str:
        """The address of the statement, as exact as the document's address allows."""
        address, hash_, fragment = self.document.url.partition("#")
        if not self.section and "{section}" in fragment:
            return address
        return (address + hash_ + fragment).replace("{section}", self.section)
