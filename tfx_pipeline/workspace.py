"""Where a preset's run keeps its things, and what is read back from there."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The folder of one preset.

    Args:
        runs: The folder of all runs.
        preset: Name of the preset.
    """

    runs: Path
    preset: str

    @property
    def root(self) -> Path:
        return self.runs / self.preset

    @property
    def data(self) -> Path:
        """The canonical tables."""
        return self.root / "data"

    @property
    def serving(self) -> Path:
        """The pushed versions, one folder each."""
        return self.root / "serving"

    @property
    def retired(self) -> Path:
        """Versions that were rolled back."""
        return self.root / "retired"

    @property
    def baselines(self) -> Path:
        return self.root / "baselines.json"

    @property
    def server_log(self) -> Path:
        return self.root / "logs" / "server.log"

    def list_versions(self) -> list[int]:
        """Lists the pushed versions, newest first."""
        return list_versions(self.serving)

    def load_titles(self) -> Mapping[str, str]:
        """Loads the titles of all items: of the data set, and of those that were added since."""
        from tfx_pipeline.datasets.loading import load_titles
        from tfx_pipeline.index.about import load_titles as load_added

        newest = self.list_versions()[:1]
        added = load_added(self.serving / str(newest[0])) if newest else {}
        return {**added, **load_titles(self.data)}


def list_versions(folder: Path) -> list[int]:
    """Lists the versions in a folder, newest first; none where there is no folder."""
    if not folder.is_dir():
        return []
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted((int(name) for name in names if name.isascii() and name.isdigit()), reverse=True)


def find_preset(runs: Path, version: int) -> str:
    """Finds the preset that pushed a version; nothing where none did or two may have."""
    names = [path.parts[-3] for path in runs.glob(f"*/serving/{version}") if path.is_dir()]
    return names[0] if len(names) == 1 else ""


def load_json(path: Path) -> Any:
    """Loads a JSON file; None where it is missing or damaged, as after a kill."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file as a whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file as a whole or not at all.

    A link keeps leading to its target, and what is no regular file (`/dev/stdout`, a named pipe) is
    written to: renaming onto it would put a plain file in its place.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
