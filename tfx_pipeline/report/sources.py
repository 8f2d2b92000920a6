"""Where a report comes from: the folder of a run, or the artifacts of a pipeline."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import make_matrix
from addrl_keras.training import FitResult
from tfx_pipeline.commands import baselines, workspace
from tfx_pipeline.commands.errors import CommandError
from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.index.extras import load_extras
from tfx_pipeline.report.contents import Sources
from tfx_pipeline.report.photos import (
    find_photo_column,
    load_photos_of_examples,
    load_photos_of_tables,
)
from tfx_pipeline.results import (
    RunResult,
    Verdict,
    load_evaluation,
    load_last_result,
    load_quality_verdict,
    load_servability_verdict,
)


def find_last_run(place: workspace.Workspace) -> tuple[RunResult, str]:
    """Finds the last run, and the version that it pushed.

    Raises:
        CommandError: No run has ended, or its version is gone.
    """
    found = load_last_result(place.root.parent, place.preset)
    if not place.list_versions() or found is None:
        raise CommandError(
            f"{place.serving} holds no version to report on. Train with `addrl run {place.preset}`."
        )
    version = pathlib.Path(found.pushed or "").name
    if version not in map(str, place.list_versions()):
        refused = f" ({found.reason})" if found.reason else ""
        raise CommandError(
            f"The last run pushed no version that is still in {place.serving}{refused}, and the "
            f"report is about a run and its model. Received: {found.pushed or 'nothing pushed'}. "
            f"Train again with `addrl run {place.preset}`."
        )
    return found, version


def load_from_folder(
    config: PipelineConfig, place: workspace.Workspace, found: RunResult, version: str
) -> Sources:
    """Loads what a report is made of out of the folder of a run.

    Args:
        config: The pipeline's configuration.
        place: The folder of the preset.
        found: The run.
        version: What it pushed.

    Raises:
        CommandError: The tables have changed since.
    """
    extras = load_extras(place.serving / version)
    result = extras.result
    interactions, test = baselines.load_interactions(place, result.catalogue.item_ids)
    if interactions.user_ids != result.interactions.user_ids:
        raise CommandError(
            f"The tables in {place.data} are not those that version {version} was trained on. "
            f"Train again with `addrl run {place.preset}`."
        )
    photos = load_photos_of_tables(place, find_photo_column(config))
    return Sources(
        place.preset, version, result, test, found.slices, found.verdicts, extras.titles, photos
    )


def load_from_artifacts(
    preset: str,
    model: str,
    evaluation: str,
    blessing: str,
    pushed: str,
    test: Sequence[str],
    items: Sequence[str],
    photo_column: str,
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
    """
    from tfx_pipeline.eval_config import CANDIDATE

    extras = load_extras(model)
    name = CANDIDATE if _count_models(evaluation) > 1 else None
    _, slices = load_evaluation(evaluation, name)
    verdicts = (
        Verdict("data", True, "no anomalies"),
        load_quality_verdict(evaluation),
        load_servability_verdict(blessing),
    )
    return Sources(
        preset,
        pathlib.Path(pushed).name,
        extras.result,
        _load_test(extras.result, test),
        slices,
        verdicts,
        extras.titles,
        load_photos_of_examples(items, photo_column),
    )


def _count_models(evaluation: str) -> int:
    text = pathlib.Path(evaluation, "eval_config.json").read_text(encoding="utf-8")
    return len(json.loads(text)["evalConfig"].get("modelSpecs", []))


def _load_test(result: FitResult, patterns: Sequence[str]) -> scipy.sparse.csr_matrix:
    """Loads the test over the users and items of the model; of others nothing counts."""
    import tensorflow as tf

    from tfx_pipeline.modules.addrl_catalogue import load_columns

    names = ("user_id", "item_id")
    columns = load_columns(patterns, {name: tf.io.VarLenFeature(tf.string) for name in names})
    users, items = (
        np.array([value.decode() for value in columns[name][1]], object) for name in names
    )
    return make_matrix((users, items), result.interactions.user_ids, result.catalogue.item_ids)
