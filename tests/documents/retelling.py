"""Retelling: a plugin that judges each observation of a run by changed documents too.

The file that TCPSPEC_CHANGES names holds the changes; what each changes in the verdicts of the run
goes to the file beside it that ends in .found, a line an observation.
"""

import json
import os
from pathlib import Path

from harness.documents import reading
from harness.documents.library import PACKAGED, Library
from harness.judgement.judge import Judge
from harness.judgement.ledger import Ledger

_observed = Judge.judge
_changes = Path(os.environ["TCPSPEC_CHANGES"])


def changed(text, claim, measure, old, new):
    """Return a document in which one expectation of one claim reads otherwise."""
    start = text.index(f'id = "{claim}"')
    end = text.find("[[claim]]", start)
    lines = text[start : end if end > 0 else None].splitlines(keepends=True)
    places = [n for n, line in enumerate(lines) if f'measure = "{measure}"' in line]
    assert len(places) == 1, f"{claim} speaks of {measure} in {len(places)} lines"
    (place,) = places
    assert lines[place].count(old) == 1, f"{claim}: {old} is not in {lines[place]}"
    lines[place] = lines[place].replace(old, new)
    return text[:start] + "".join(lines) + (text[end:] if end > 0 else "")


def _libraries():
    plain = Library.load()
    yield "", plain
    for change in json.loads(_changes.read_text()):
        document, *rest = change
        folder = _changes.parent / "-".join([document, *rest[:2]]).replace("/", "_")
        folder.mkdir()
        text = (PACKAGED / "texts" / f"{document}.toml").read_text()
        (folder / f"{document}.toml").write_text(changed(text, *rest))
        read = reading.texts(folder)[document]
        claims = {claim.id: claim for claim in reading.claims(read, plain.measures)}
        yield json.dumps(change), Library(plain.measures, plain.documents, plain.claims | claims)


_LIBRARIES = dict(_libraries())


def _judge(self, measure, seen):
    _observed(self, measure, seen)
    told = {}
    for name, library in _LIBRARIES.items():
        other = Judge(
            library, self.facts, Ledger(), testcase=self.testcase, knobs=self.knobs,
            measures=self.measures,
        )  # fmt: skip
        _observed(other, measure, seen)
        told[name] = [(one.document, one.claim, str(one.verdict)) for one in other.judgements]
    with _changes.with_suffix(".found").open("a") as file:
        for name, verdicts in told.items():
            pairs = zip(told[""], verdicts, strict=True)
            found = [[*after[:2], measure] for before, after in pairs if before != after]
            file.write(json.dumps([name, found]) + "\n")


Judge.judge = _judge
