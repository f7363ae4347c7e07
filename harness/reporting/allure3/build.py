"""Build: Allure's report of runs, an environment for each target, older runs as its history."""

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.reporting.allure import CATEGORIES
from harness.reporting.allure3 import program
from harness.reporting.site.columns import Column
from harness.reporting.text import distinct, printable

RESULTS = "allure-results"
"""Where a run leaves its results for Allure, in its reports folder."""

CONFIGURATION = "allurerc.mjs"
PAGE = "index.html"
MARK = "test-results.json"
"""A file of every report that Allure builds."""


def has_results(columns: Sequence[Column]) -> bool:
    """Tell whether any of the latest runs left results for Allure."""
    return bool(_results(columns, older=False))


def build(columns: Sequence[Column], output: Path, *, title: str) -> Path:
    """Build the report in a folder and return its page.

    Older runs make its history, the oldest first. UsageError if Allure is not installed, if no run
    left results for it, or the folder has something else in it; HarnessError if Allure fails.
    """
    latest = _results(columns, older=False)
    if not latest:
        raise UsageError(f"no run has {RESULTS}: run pytest with --alluredir RUN/{RESULTS}")
    _empty(output)
    with tempfile.TemporaryDirectory(prefix="tcpspec-allure-") as scratch:
        place = Path(scratch)
        (place / CONFIGURATION).write_bytes(files(__package__).joinpath(CONFIGURATION).read_bytes())
        for past in _by_run(columns):
            _generate(place, columns, past, place / "past", title, pages=False)
        _generate(place, columns, latest, output.absolute(), title, pages=True)
    page = output / PAGE
    if not page.is_file():
        raise HarnessError("Allure made no page")
    return page


def _generate(
    place: Path,
    columns: Sequence[Column],
    results: Sequence[Path],
    output: Path,
    title: str,
    *,
    pages: bool,
) -> None:
    settings = place / "settings.json"
    table = _settings(columns, place / "history.jsonl", output, title) | {"pages": pages}
    settings.write_text(json.dumps(table), encoding="ascii")
    words = ["generate", "--config", str(place / CONFIGURATION), *map(str, results)]
    program.run(words, place, {"TCPSPEC_ALLURE": str(settings), "ALLURE_NO_ANALYTICS": "1"})


def _settings(columns: Sequence[Column], history: Path, output: Path, title: str) -> dict[str, Any]:
    return {
        "name": title,
        "output": str(output),
        "history": str(history),
        "targets": [
            {
                "id": f"target_{place}",
                "name": re.sub(r"[^\w. +-]", "_", one.name)[:60],
                "variables": {
                    "stack": printable(f"{one.target.stack} {one.target.version}"),
                    **{printable(k): printable(v) for k, v in one.target.sysctls.items()},
                },
            }
            for place, one in enumerate(columns)
            if not one.older
        ],
        "categories": [
            {"name": name, "statuses": statuses, "message": message}
            for name, statuses, message in CATEGORIES
        ],
        "variables": {"runs": ", ".join(distinct(str(one.run.path) for one in columns))},
    }


def _results(columns: Sequence[Column], *, older: bool) -> list[Path]:
    folders = (one.folder / RESULTS for one in columns if one.older is older)
    return [path.absolute() for path in dict.fromkeys(folders) if path.is_dir()]


def _by_run(columns: Sequence[Column]) -> list[list[Path]]:
    """Return the results of the older runs, the oldest first."""
    latest = set(_results(columns, older=False))
    runs = sorted({one.run.started: one for one in columns if one.older}.items())
    found = [(one.folder / RESULTS).absolute() for _, one in runs]
    return [[path] for path in found if path.is_dir() and path not in latest]


def _empty(output: Path) -> None:
    try:
        if output.is_dir() and any(output.iterdir()):
            if not (output / MARK).is_file():
                raise UsageError(f"{output} has something else in it; name another by --output")
            shutil.rmtree(output)
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{output}: {error.strerror}") from None
