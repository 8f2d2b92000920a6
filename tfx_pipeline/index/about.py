"""What a pushed version says about itself: where it comes from, and what its parts stand for.

It lies as JSON beside the fitted model (`extras.py`) and is read without TensorFlow: `addrl status`
tells an index update from a trained model by it.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tfx_pipeline.datasets.errors import DataError

# In the SavedModel's folder; TensorFlow Serving looks at nothing there but the warm-up requests.
FOLDER = os.path.join("assets.extra", "addrl")
# In that folder, the fitted model.
FIT = "fit"
# Likewise the statistics of what it was trained on, a file a table.
STATISTICS = "statistics"
STATISTICS_SUFFIX = ".pb"
FORMAT = 1

_FILE = "about.json"
_TITLES = "titles.json"


@dataclasses.dataclass(frozen=True)
class Update:
    """Items that were added to a version.

    Attributes:
        base: The version that they were added to.
        item_ids: The items.
    """

    base: int
    item_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class About:
    """What a version says about itself.

    Attributes:
        preset: Name of the preset.
        dataset: Its data set.
        columns: Kind of each column of the items table that the transform graph reads, beside
            `item_id` (`datasets.canonical.COLUMN_KINDS`).
        used: By attribute, the index in the transform graph of each of the model's values.
        encoders: By `hub` modality, the hash of the encoder that its vectors come from.
        updates: The additions of items since it was trained, oldest first.
    """

    preset: str
    dataset: str
    columns: Mapping[str, str]
    used: Mapping[str, tuple[int, ...]]
    encoders: Mapping[str, str]
    updates: tuple[Update, ...] = ()

    @property
    def added(self) -> tuple[str, ...]:
        """Ids of all items that were added since the training."""
        return tuple(item for update in self.updates for item in update.item_ids)

    def to_dict(self) -> dict[str, Any]:
        """Return what `write_about` writes."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "About":
        """Make it of what `to_dict` returned, or of JSON made of that."""
        fields = {key: value for key, value in document.items() if key != "format"}
        fields["used"] = {name: tuple(each) for name, each in document["used"].items()}
        fields["updates"] = tuple(
            Update(each["base"], tuple(each["item_ids"])) for each in document["updates"]
        )
        return cls(**fields)


def write_about(about: About, export: str | os.PathLike) -> None:
    """Write it into a SavedModel.

    Args:
        about: What to write.
        export: Folder of the SavedModel.
    """
    folder = pathlib.Path(export, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(about.to_dict(), indent=1, ensure_ascii=False)
    (folder / _FILE).write_text(f"{text}\n", encoding="utf-8")


def load_about(export: str | os.PathLike) -> About:
    """Load what `write_about` wrote.

    Args:
        export: Folder of the SavedModel.

    Returns:
        What it says.

    Raises:
        DataError: If it says nothing, or in another format.
    """
    path = pathlib.Path(export, FOLDER, _FILE)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']!r}, expected {FORMAT}")
        return About.from_dict(document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise make_error(path, error) from error


def make_error(path: pathlib.Path, error: Exception) -> DataError:
    """Make the error that says that a version lacks, in a sound form, what new items need.

    Args:
        path: What could not be loaded.
        error: Why.

    Returns:
        The error, in one line.
    """
    return DataError(
        "This version of the model does not carry what it takes to give it new items. "
        f"Received: {path} ({_word(error)}). Train and push it again with `addrl run`."
    )


def find_about(export: str | os.PathLike) -> About | None:
    """Find what a version says about itself.

    Args:
        export: Folder of the SavedModel.

    Returns:
        As `load_about`; None where it says nothing that can be read.
    """
    try:
        return load_about(export)
    except DataError:
        return None


def find_statistics(export: str | os.PathLike) -> dict[str, pathlib.Path]:
    """Find the statistics of what a version was trained on.

    Args:
        export: Folder of the SavedModel.

    Returns:
        The file of each table (`DatasetFeatureStatisticsList`); nothing where the version carries
        none.
    """
    files = pathlib.Path(export, FOLDER, STATISTICS).glob(f"*{STATISTICS_SUFFIX}")
    return {file.stem: file for file in sorted(files)}


def write_titles(titles: Mapping[str, str], export: str | os.PathLike) -> None:
    """Write the titles of a version's items into a SavedModel.

    Args:
        titles: Titles by item.
        export: Folder of the SavedModel.
    """
    path = pathlib.Path(export, FOLDER, _TITLES)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(titles), ensure_ascii=False), encoding="utf-8")


def load_titles(export: str | os.PathLike) -> dict[str, str]:
    """Load what `write_titles` wrote.

    Args:
        export: Folder of the SavedModel.

    Returns:
        Titles by item; none where there is no such file, or a damaged one.
    """
    try:
        return dict(json.loads(pathlib.Path(export, FOLDER, _TITLES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def is_in_service(destination: str | os.PathLike) -> bool:
    """Tell whether a pushed model serves: its own version, or one that items were added to.

    Args:
        destination: Folder of the version as it was pushed.

    Returns:
        Whether it, or an update of it, is among the pushed versions.
    """
    place = pathlib.Path(destination)
    if not place.name.isdecimal():
        return bool(place.name) and place.is_dir()
    if place.is_dir() or not place.parent.is_dir():
        return place.is_dir()
    others = (find_about(path) for path in place.parent.iterdir() if path.name.isdecimal())
    return any(
        update.base == int(place.name) for about in others if about for update in about.updates
    )


def _word(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return " ".join(str(error).split()) if isinstance(error, ValueError) else "a damaged file"
