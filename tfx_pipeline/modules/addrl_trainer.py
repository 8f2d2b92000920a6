"""The Trainer's `run_fn`: thin glue between TFX's artifacts and `addrl_keras`."""

import json
import logging
import os
import pathlib
from typing import Any

import tensorflow_transform as tft

from addrl_keras import export, training
from addrl_keras.config import Config
from tfx_pipeline import progress
from tfx_pipeline.index.about import About
from tfx_pipeline.index.columns import find_columns
from tfx_pipeline.index.extras import Extras, write_extras
from tfx_pipeline.modules.addrl_catalogue import LoadedItems, load_interactions, load_items
from tfx_pipeline.modules.addrl_warmup import make_requests, write_warmup

HISTORY_FILE = "history.json"
# Lines that stay on the screen.
_WARNINGS = ("watch: ", "The ")

_logger = logging.getLogger(__name__)


def run_fn(fn_args: Any) -> None:
    """Fit a model, export it, and record in the export warm-up requests and what new items need.

    Args:
        fn_args: TFX's FnArgs with `item_files`, `auxiliary_files`, `vector_files`, `encoders` and
            `statistics` (`components/trainer.py`). `custom_config` has the model's configuration as
            `model`, `warmup_requests`, and the names `preset` and `dataset`.
    """
    config = Config.from_dict(fn_args.custom_config["model"])
    transform_output = tft.TFTransformOutput(fn_args.transform_graph_path)
    items = load_items(config, transform_output, fn_args.item_files, fn_args.vector_files)
    catalogue = items.catalogue
    interactions = load_interactions(
        catalogue.item_ids, fn_args.train_files, fn_args.eval_files, fn_args.auxiliary_files
    )
    os.makedirs(fn_args.model_run_dir, exist_ok=True)
    result = training.fit(
        config, catalogue, interactions, progress=_tell, log_dir=fn_args.model_run_dir
    )
    export.write_saved_model(result, fn_args.serving_model_dir)
    requests = make_requests(
        config, catalogue, interactions, fn_args.custom_config["warmup_requests"]
    )
    write_warmup(fn_args.serving_model_dir, requests)
    write_extras(_make_extras(fn_args, result, items, transform_output), fn_args.serving_model_dir)
    with open(os.path.join(fn_args.model_run_dir, HISTORY_FILE), "w", encoding="utf-8") as file:
        json.dump(result.history, file, indent=2, default=float)


def _tell(line: str) -> None:
    """Tells how far the training is, in the log and to the person who waits."""
    _logger.info(line)
    progress.report(f"Trainer {line}", is_result=line.startswith(_WARNINGS))


def _make_extras(
    fn_args: Any,
    result: training.FitResult,
    items: LoadedItems,
    transform_output: tft.TFTransformOutput,
) -> Extras:
    about = About(
        preset=fn_args.custom_config["preset"],
        dataset=fn_args.custom_config["dataset"],
        columns=find_columns(result.model.config, transform_output.raw_metadata.schema),
        used=items.used,
        encoders=fn_args.encoders,
    )
    statistics = {table: pathlib.Path(file) for table, file in fn_args.statistics.items()}
    transform = pathlib.Path(fn_args.transform_graph_path)
    return Extras(result, about, transform, items.titles, statistics)
