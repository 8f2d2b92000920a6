"""The Trainer's `run_fn`: thin glue between TFX's artifacts and `addrl_keras`."""

import json
import logging
import os
from typing import Any

import tensorflow_transform as tft

from addrl_keras import export, training
from addrl_keras.config import Config
from tfx_pipeline.modules.addrl_catalogue import load_catalogue, load_interactions
from tfx_pipeline.modules.addrl_warmup import make_requests, write_warmup

HISTORY_FILE = "history.json"

_logger = logging.getLogger(__name__)


def run_fn(fn_args: Any) -> None:
    """Fit a model, export it, and record warm-up requests in the export.

    Args:
        fn_args: TFX's FnArgs with `item_files` and `vector_files` (`components/trainer.py`).
            `custom_config` has the model's configuration as `model`, and `warmup_requests`.
    """
    config = Config.from_dict(fn_args.custom_config["model"])
    catalogue = load_catalogue(
        config,
        tft.TFTransformOutput(fn_args.transform_graph_path),
        fn_args.item_files,
        fn_args.vector_files,
    )
    interactions = load_interactions(catalogue.item_ids, fn_args.train_files, fn_args.eval_files)
    os.makedirs(fn_args.model_run_dir, exist_ok=True)
    result = training.fit(config, catalogue, interactions, progress=_logger.info)
    export.write_saved_model(result, fn_args.serving_model_dir)
    requests = make_requests(
        config, catalogue, interactions, fn_args.custom_config["warmup_requests"]
    )
    write_warmup(fn_args.serving_model_dir, requests)
    with open(os.path.join(fn_args.model_run_dir, HISTORY_FILE), "w", encoding="utf-8") as file:
        json.dump(result.history, file, indent=2, default=float)
