"""What a version knows, loaded without TensorFlow: enough to check a file of new items, and names.

The arrays of the fitted model, and Keras to load them, are `extras.load_extras`'s.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

from addrl_keras.config import Config
from addrl_keras.fit_state import load_state
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index.about import FIT, FOLDER, About, load_about, make_error


@dataclasses.dataclass(frozen=True)
class Known:
    """What a version knows.

    Attributes:
        config: The configuration of its model.
        about: What it says about itself.
        item_ids: Its catalogue.
        values: Names of the values of each attribute.
    """

    config: Config
    about: About
    item_ids: frozenset[str]
    values: Mapping[str, Sequence[str]]


def load_known(export: str | os.PathLike) -> Known:
    """Load what a version knows.

    Args:
        export: Folder of the SavedModel.

    Returns:
        What it knows.

    Raises:
        DataError: If it says nothing, or in another format, or what it says is damaged.
    """
    about = load_about(export)
    folder = pathlib.Path(export, FOLDER, FIT)
    try:
        state = load_state(folder)
        config = Config.from_dict(state["config"])
        return Known(config, about, frozenset(state["item_ids"]), dict(state["values"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise make_error(folder, error) from error


def find_values(export: str | os.PathLike) -> Mapping[str, Sequence[str]]:
    """Find the values of the attributes of a version.

    Args:
        export: Folder of the SavedModel.

    Returns:
        Names of the values of each attribute; none where the version does not tell.
    """
    try:
        return load_known(export).values
    except DataError:
        return {}
