"""Renders a report into one HTML page."""

from __future__ import annotations

import dataclasses

import jinja2

from tfx_pipeline.report.contents import Contents

SECTIONS = (
    ("what", "What"),
    ("gates", "Gates"),
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
