"""What a SavedModel carries beside its graph, so that items can be added to it and to nothing else.

    assets.extra/addrl/about.json       what it is made of (`about.py`)
    assets.extra/addrl/titles.json      titles by item
    assets.extra/addrl/fit/             the fitted model (`addrl_keras.saving`)
    assets.extra/addrl/transform/       the transform graph: vocabularies and bins
    assets.extra/addrl/statistics/      statistics of what it was trained on, a file a table

TensorFlow Serving looks at nothing of it.
"""

import dataclasses
import os
import pathlib
import shutil
import zipfile
import zlib
from collections.abc import Mapping

from addrl_keras.saving import load_fit_result, write_fit_result
from addrl_keras.training import FitResult
from tfx_pipeline.index.about import (
    FIT,
    FOLDER,
    STATISTICS,
    STATISTICS_SUFFIX,
    About,
    find_statistics,
    load_about,
    load_titles,
    make_error,
    write_about,
    write_titles,
)

_TRANSFORM = "transform"
# What reading JSON, archives and arrays that are not as they were written brings.
_DAMAGES = (OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile, zlib.error)


@dataclasses.dataclass(frozen=True)
class Extras:
    """All that a version carries.

    Attributes:
        result: The fitted model.
        about: What it is made of.
        transform: Folder of the transform graph.
        titles: Titles by item, of those that have one.
        statistics: By table the file of the statistics of what it was trained on
            (`DatasetFeatureStatisticsList`); none in versions from before there were any.
    """

    result: FitResult
    about: About
    transform: pathlib.Path
    titles: Mapping[str, str]
    statistics: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)


def write_extras(extras: Extras, export: str | os.PathLike) -> None:
    """Write them into a SavedModel.

    Args:
        extras: What to write; the transform graph and the statistics are copied.
        export: Folder of the SavedModel.
    """
    folder = pathlib.Path(export, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    write_fit_result(extras.result, folder / FIT)
    shutil.copytree(extras.transform, folder / _TRANSFORM, dirs_exist_ok=True)
    for table, file in extras.statistics.items():
        (folder / STATISTICS).mkdir(exist_ok=True)
        shutil.copyfile(file, folder / STATISTICS / f"{table}{STATISTICS_SUFFIX}")
    write_titles(extras.titles, export)
    write_about(extras.about, export)


def load_extras(export: str | os.PathLike) -> Extras:
    """Load what `write_extras` wrote.

    Args:
        export: Folder of the SavedModel.

    Returns:
        What it carries.

    Raises:
        DataError: If it carries nothing, or in another format, or what it carries is damaged.
    """
    about = load_about(export)
    folder = pathlib.Path(export, FOLDER)
    try:
        fitted = load_fit_result(folder / FIT)
    except _DAMAGES as error:
        raise make_error(folder / FIT, error) from error
    statistics = find_statistics(export)
    return Extras(fitted, about, folder / _TRANSFORM, load_titles(export), statistics)
