"""Allure: what a run leaves for Allure's report, while `--alluredir` is given.

A testcase stands under every document that judges it. Allure sorts results into categories by
status and message alone, so a passed testcase with known deviations is given a message.
"""

import csv
import html
import io
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import allure
from allure_commons import hookimpl, plugin_manager
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Status, StatusDetails

from harness.documents.claim import Claim, Strength
from harness.judgement.verdict import Judgement
from harness.reporting.coverage import verdict_words
from harness.reporting.findings import grouped
from harness.reporting.run import RunTarget
from harness.reporting.summary import is_known
from harness.reporting.text import distinct, printable

KNOWN = "known deviation"

_REST = r"[\s\S]*"
_DEVIATION = r"^harness\.Deviation: "
_STALE = r"[^\n]*no longer deviates"

CATEGORIES = (
    ("Deviations", ["failed"], rf"{_DEVIATION}(?!inconclusive: )(?!{_STALE}){_REST}"),
    ("Stale ledger entries", ["failed"], rf"{_DEVIATION}{_STALE}{_REST}"),
    ("Known deviations", ["passed"], rf"^{KNOWN}: {_REST}"),
    (
        "Inconclusive",
        ["skipped", "failed"],
        rf"^(Skipped|harness\.Deviation): inconclusive: {_REST}",
    ),
    ("Unsupported", ["skipped"], rf"^Skipped: unsupported: {_REST}"),
    ("Harness errors", ["broken", "failed"], rf"^(?!harness\.Deviation: ){_REST}"),
)
"""Name, statuses and message of each category: Allure 2 matches the whole message, 3 a part."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a testcase came to, for Allure.

    `behaviour` is its docstring, `claims` maps the ids of its judgements' claims to the claims,
    `parameters` are those to show (target, family, timers). The file `pcap` must be complete, the
    `diagram` is the timeline as SVG.
    """

    behaviour: str
    judgements: Sequence[Judgement]
    claims: Mapping[str, Claim]
    parameters: Mapping[str, str] = field(default_factory=dict)
    timeline: str = ""
    pcap: Path | None = None
    diagram: str = ""


def active() -> bool:
    """Tell whether results for Allure are written in this process."""
    return any(isinstance(one, AllureFileLogger) for one in plugin_manager.get_plugins())


def enrich(case: Case) -> None:
    """Add all that is known of the testcase that is running; nothing while not active."""
    if not active():
        return
    if not plugin_manager.has_plugin(_Marker.NAME):
        plugin_manager.register(_Marker(), _Marker.NAME)
    claims = [case.claims[one.claim] for one in case.judgements if one.claim in case.claims]
    _label(case, claims)
    for url, of_url in grouped(claims, lambda one: one.url).items():
        if url:
            allure.dynamic.link(url, name=", ".join(distinct(one.id for one in of_url)))
    for name, value in case.parameters.items():
        allure.dynamic.parameter(name, value)
    allure.dynamic.description_html(_page(case))
    _attach(case)


def _label(case: Case, claims: Sequence[Claim]) -> None:
    allure.dynamic.epic(*distinct(one.document.title for one in claims))
    allure.dynamic.feature(*distinct(one.topic for one in claims))
    allure.dynamic.story(printable(case.behaviour.strip().partition("\n")[0]))
    allure.dynamic.severity(_severity(case))
    if target := case.parameters.get("target"):
        allure.dynamic.label("target", target)
    known = distinct(f"{one.claim}: {one.reason}" for one in case.judgements if is_known(one))
    if known:
        allure.dynamic.tag(KNOWN)
        allure.dynamic.label(KNOWN, *map(printable, known))


def _severity(case: Case) -> allure.severity_level:
    """Rate a testcase by the strongest of its claims: what binds, what is asked for, the rest."""
    found = [(case.claims.get(one.claim), one.binding) for one in case.judgements]
    if any(binding for _, binding in found):
        return allure.severity_level.CRITICAL
    asks = (Strength.SHOULD, Strength.SHOULD_NOT, Strength.RECOMMENDED)
    if any(claim is not None and claim.strength in asks for claim, _ in found):
        return allure.severity_level.NORMAL
    return allure.severity_level.MINOR


def _attach(case: Case) -> None:
    kinds = allure.attachment_type
    if case.diagram:
        allure.attach(case.diagram, "sequence", kinds.SVG)
    if case.timeline:
        text = "\n".join(map(printable, case.timeline.splitlines()))
        allure.attach(text, "timeline", kinds.TEXT)
    if case.judgements:
        allure.attach(_csv(case.judgements), "verdicts", kinds.CSV)
    if case.pcap is not None and case.pcap.is_file():
        allure.attach.file(str(case.pcap), case.pcap.name, kinds.PCAP)


HEADS = ("claim", "verdict", "documented", "observed", "reason", "measure")


def _cells(one: Judgement) -> list[str]:
    texts = (one.claim, verdict_words(one), one.documented, one.observed, one.reason, one.measure)
    return [printable(text or "") for text in texts]


def _csv(judgements: Sequence[Judgement]) -> str:
    table = io.StringIO()
    csv.writer(table).writerows([HEADS, *map(_cells, judgements)])
    return table.getvalue()


def _page(case: Case) -> str:
    """Return what the testcase is about and its verdicts, as a page that runs nothing."""
    paragraphs = [
        f"<p>{html.escape(printable(' '.join(paragraph.split())))}</p>"
        for paragraph in case.behaviour.split("\n\n")
        if paragraph.strip()
    ]
    rows = "".join(_row("td", _cells(one)) for one in case.judgements)
    table = f"<table>{_row('th', HEADS)}{rows}</table>" if rows else ""
    return "".join(paragraphs) + table


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


class _Marker:
    """Gives a passed testcase with known deviations the message that its category matches."""

    NAME = "tcpspec_known_deviations"

    @hookimpl(tryfirst=True)  # type: ignore[untyped-decorator]
    def report_result(self, result: Any) -> None:
        """Set the message just before Allure writes the result."""
        known = [label.value for label in result.labels if label.name == KNOWN]
        if known and result.status == Status.PASSED:
            message = f"{KNOWN}: {'; '.join(known)}"
            result.statusDetails = StatusDetails(known=True, message=message)


def finish(folder: Path, targets: Sequence[RunTarget], settings: Mapping[str, str]) -> None:
    """Write what describes the whole run into Allure's folder; for the controlling process.

    `settings` are the user's, such as `timers`; the sysctls are those of each target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    environment = {"tcpspec": _version(), "kernel": f"{platform.system()} {platform.release()}"}
    environment |= settings
    for target in targets:
        environment[f"target {target.name}"] = f"{target.stack} {target.version}".strip()
        for key, value in target.sysctls.items():
            environment[f"{target.name} {key}"] = value
    lines = [f"{_property(key, ' :=')}={_property(value)}\n" for key, value in environment.items()]
    (folder / "environment.properties").write_text("".join(lines), encoding="ascii")
    categories = [
        {"name": name, "matchedStatuses": statuses, "messageRegex": message}
        for name, statuses, message in CATEGORIES
    ]
    (folder / "categories.json").write_text(json.dumps(categories, indent=1), encoding="ascii")


def _version() -> str:
    try:
        return version("tcpspec")
    except PackageNotFoundError:
        return "from source"


def _property(text: str, special: str = "") -> str:
    """Escape a key or a value as java.util.Properties reads it."""
    escaped = "".join(f"\\{char}" if char in special + "\\" else char for char in printable(text))
    return "".join(char if char.isascii() else _utf16(char) for char in escaped)


def _utf16(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[n] << 8 | units[n + 1]:04x}" for n in range(0, len(units), 2))
