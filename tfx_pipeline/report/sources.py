"""Where a report comes from: what the components of a pipeline wrote."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import make_test_matrix
from addrl_keras.training import FitResult
from tfx_pipeline.drift import load_drift
from tfx_pipeline.index.extras import load_extras
from tfx_pipeline.report.contents import Sources
from tfx_pipeline.results import (
    DATA_PASSED,
    load_evaluation,
    load_quality_verdict,
    load_servability_verdict,
)


def load_from_artifacts(
    *,
    preset: str,
    model: str,
    evaluation: str,
    blessing: str,
    pushed: str,
    test: Sequence[str],
    items: Sequence[str],
    photo_column: str,
    drift: str,
) -> Sources:
    """Loads what a report is made of out of what components wrote.

    Args:
        preset: Name of the preset.
        model: Folder of the SavedModel.
        evaluation: Folder of the Evaluator's `evaluation`.
        blessing: Folder of the ServabilityGate's `blessing`.
        pushed: Folder of the version; "" where the gates refused it.
        test: Patterns of the files of test interactions.
        items: Patterns of the files of raw items.
        photo_column: Their column of photos; "" where there is none.
        drift: Folder of DataDrift's `drift`.
    """
    from tfx_pipeline.eval_config import CANDIDATE

    extras = load_extras(model)
    name = CANDIDATE if _count_models(evaluation) > 1 else None
    _, slices = load_evaluation(evaluation, name)
    verdicts = (
        DATA_PASSED,
        load_quality_verdict(evaluation),
        load_servability_verdict(blessing),
    )
    return Sources(
        preset=preset,
        version=pathlib.Path(pushed).name,
        result=extras.result,
        test=_load_test(extras.result, test),
        slices=slices,
        verdicts=verdicts,
        titles=extras.titles,
        photos=_load_photos(items, photo_column),
        drift=load_drift(drift),
    )


def _count_models(evaluation: str) -> int:
    text = pathlib.Path(evaluation, "eval_config.json").read_text(encoding="utf-8")
    return len(json.loads(text)["evalConfig"].get("modelSpecs", []))


def _load_test(result: FitResult, patterns: Sequence[str]) -> scipy.sparse.csr_matrix:
    """Loads the test over the users with a history and the items of the model."""
    import tensorflow as tf

    from tfx_pipeline.modules.addrl_catalogue import load_columns

    names = ("user_id", "item_id")
    columns = load_columns(patterns, {name: tf.io.VarLenFeature(tf.string) for name in names})
    users, items = (
        np.array([value.decode() for value in columns[name][1]], object) for name in names
    )
    return make_test_matrix((users, items), result.interactions, result.catalogue.item_ids)


def _load_photos(patterns: Sequence[str], column: str) -> dict[str, str]:
    """Loads the paths of the photos by item."""
    import tensorflow as tf

    from tfx_pipeline.modules.addrl_catalogue import load_columns

    if not column:
        return {}
    wanted = ("item_id", column)
    columns = load_columns(patterns, {name: tf.io.VarLenFeature(tf.string) for name in wanted})
    paths = dict(zip(*(part.tolist() for part in columns[column]), strict=True))
    rows, ids = columns["item_id"]
    return {
        item.decode(): paths[row].decode()
        for row, item in zip(rows.tolist(), ids.tolist(), strict=True)
        if row in paths
    }
