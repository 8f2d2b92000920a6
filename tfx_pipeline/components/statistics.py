"""Where StatisticsGen puts the statistics of what a model is trained on."""

import os

from tfx.components.statistics_gen.executor import DEFAULT_FILE_NAME
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleStatistics

from tfx_pipeline.components.example_gen import ITEMS_SPLIT

# Of each table, the split that a model is trained on.
SPLITS = {"interactions": "train", "items": ITEMS_SPLIT}


def find_statistics_file(artifact: ExampleStatistics, table: str) -> str:
    """Find the file of the statistics of what a model is trained on.

    Args:
        artifact: What StatisticsGen wrote.
        table: `items` or `interactions`.

    Returns:
        Its path.
    """
    folder = artifact_utils.get_split_uri([artifact], SPLITS[table])
    return os.path.join(folder, DEFAULT_FILE_NAME)
