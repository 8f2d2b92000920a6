"""Reading of new items, before anything heavy is loaded: what is wrong is said at once."""

from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.datasets.null_words import NULL_WORDS
from tfx_pipeline.index.columns import make_columns
from tfx_pipeline.index.known import Known
from tfx_pipeline.index.table import NewItems, PhotoFinder, find_ignored, load_new_items


def read_items(config: PipelineConfig, known: Known, path: str) -> NewItems:
    """Read the file of new items.

    Args:
        config: The preset; of a project, its tables count.
        known: What the version knows that the items are added to.
        path: The file.

    Returns:
        The items.

    Raises:
        DataError: If the file cannot be read, or does not fit the version; names file, line, column
            and value.
    """
    options = dict(config.dataset_options)
    tables = options["options"] if config.dataset == "tables" else None
    nulls = NULL_WORDS.get(config.dataset, {})
    columns = make_columns(known.config, known.about.columns, tables, nulls)
    photos = PhotoFinder(path, tables)
    return load_new_items(path, columns, known.item_ids, photos, find_ignored(tables))
