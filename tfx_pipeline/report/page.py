"""Renders a report into one HTML page."""

from __future__ import annotations

import dataclasses
import os
import pathlib

import jinja2

from tfx_pipeline.report.contents import Contents
from tfx_pipeline.results import PAGE

CONTENTS = "contents.json"
SECTIONS = (
    ("what", "What"),
    ("gates", "Gates"),
    ("data", "Data"),
    ("accuracy", "Accuracy"),
    ("training", "Training"),
    ("chunks", "Chunks"),
    ("control", "Control"),
    ("people", "People"),
    ("limits", "Limits"),
)


def render(contents: Contents) -> str:
    """Renders a report.

    Args:
        contents: What it says. Texts are escaped; figures are not, as they are our own.

    Returns:
        A whole HTML page that loads nothing.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfx_pipeline.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shallow = {part.name: getattr(contents, part.name) for part in dataclasses.fields(contents)}
    return environment.get_template("page.html.j2").render(sections=SECTIONS, **shallow)


def write_pages(contents: Contents, folder: str | os.PathLike) -> None:
    """Writes a page and what it says, from which `load_contents` makes the contents again.

    Args:
        contents: What it says.
        folder: Where to write both; it must be there.
    """
    pathlib.Path(folder, CONTENTS).write_text(contents.to_json(), encoding="utf-8")
    pathlib.Path(folder, PAGE).write_text(render(contents), encoding="utf-8")


def load_contents(folder: str | os.PathLike) -> Contents | None:
    """Loads what `write_pages` wrote; None where it is not there or not whole."""
    try:
        return Contents.from_json(pathlib.Path(folder, CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
