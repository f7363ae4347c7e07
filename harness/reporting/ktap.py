"""KTAP: a run in the form that the test systems of the Linux kernel read.

A testcase is a test, each of its verdicts a subtest of it; the form is version 1 of
Documentation/dev-tools/ktap.rst. What is known is expected to fail, what could not be judged is
skipped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.judgement.verdict import Judgement, Verdict
from harness.reporting.summary import is_known, is_new
from harness.reporting.text import printable

_SKIPPED = (Verdict.UNSUPPORTED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Came:
    """What became of a testcase: passed, failed, skipped or error, and why, in one line."""

    outcome: str
    why: str = ""


def lines(
    tests: Mapping[str, Came], judgements: Mapping[str, Sequence[Judgement]]
) -> Iterator[str]:
    """Yield the lines of a run; both are given by the testcases' node ids."""
    yield "KTAP version 1"
    yield f"1..{len(tests)}"
    for number, (name, test) in enumerate(tests.items(), start=1):
        yield from _subtests(name, judgements.get(name, ()))
        yield _result(number, name, test.outcome in ("passed", "skipped"), _directive(test))


def _subtests(name: str, judgements: Sequence[Judgement]) -> Iterator[str]:
    if not judgements:
        return
    yield "  KTAP version 1"
    yield f"  # Subtest: {_name(name)}"
    yield f"  1..{len(judgements)}"
    for number, one in enumerate(judgements, start=1):
        why = ""
        if one.verdict in _SKIPPED:
            why = f"SKIP {one.verdict}: {one.reason}"
        elif is_known(one):
            why = f"XFAIL {one.reason}"
        elif one.verdict is Verdict.DEVIATES:
            why = f"documented {one.documented}, observed {one.observed}"
        yield "  " + _result(number, f"{one.claim} {one.measure}", not is_new(one), why)


def _directive(test: Came) -> str:
    match test.outcome:
        case "skipped":
            return f"SKIP {test.why}"
        case "error":
            return f"ERROR {test.why}"
        case _:
            return test.why


def _result(number: int, name: str, well: bool, why: str) -> str:
    line = f"{'ok' if well else 'not ok'} {number} {_name(name)}"
    return f"{line} # {printable(why).strip()}" if why.strip() else line


def _name(text: str) -> str:
    """Return a description: a number sign would begin a directive."""
    return printable(text).replace("#", "_")
