"""Build: a report as a folder of pages, scripts and data."""

import shutil
from importlib.resources import files
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.reporting.picture import drawing
from harness.reporting.site import behaviours, stories, templates
from harness.reporting.site.core import Report, core, knowledge, states
from harness.reporting.site.pack import pack

PAGE = "index.html"
MARK = "tcpspec-site"
"""A file that says that a folder is a site of ours, which may be built anew."""

SCRIPTS = (
    "base.js",
    "draw.js",
    "model.js",
    "matrix.js",
    "claim.js",
    "behaviours.js",
    "testcase.js",
    "states.js",
    "knowledge.js",
    "runs.js",
    "start.js",
)
"""The page's scripts in their order."""


def build(report: Report, folder: Path) -> Path:
    """Build a site in a folder and return its page.

    UsageError for a folder that has something else in it, HarnessError if the disk refuses.
    """
    templates.check()
    try:
        _empty(folder)
        _pages(report, folder)
        shelf = stories.Shelf(folder)
        for place, column in enumerate(report.columns):
            if not column.older:
                shelf.take(place, column)
        _data(report, folder / "data", shelf)
    except OSError as error:
        raise HarnessError(f"{folder}: {error.strerror}") from None
    return folder / PAGE


def _empty(folder: Path) -> None:
    """Make room for a site."""
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARK).is_file():
            raise UsageError(f"{folder} has something else in it; name another by --output")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _pages(report: Report, folder: Path) -> None:
    page = files(__package__).joinpath("page")
    for name in (*SCRIPTS, "style.css"):
        (folder / name).write_text(page.joinpath(name).read_text("utf-8"), encoding="utf-8")
    (folder / "picture.css").write_text(drawing.STYLE, encoding="utf-8")
    text = templates.render("index.html", title=report.title, scripts=SCRIPTS)
    (folder / PAGE).write_text(text, encoding="utf-8")


def _data(report: Report, folder: Path, shelf: stories.Shelf) -> None:
    value = core(report)
    pictures = {
        name: scene.as_json() for name, scene in behaviours.pictures(report.columns, report.library)
    }
    value["pictures"] = list(pictures)
    value["stories"] = {}
    for name, of_file in stories.chunks(shelf):
        value["stories"] |= dict.fromkeys(of_file, name)
        pack(folder, name, of_file)
    pack(folder, "pictures", pictures)
    pack(folder, "states", states(report))
    pack(folder, "knowledge", knowledge(report))
    pack(folder, "core", value)
