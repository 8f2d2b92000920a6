"""The paper's own recipe on the data of our presets, so that the two stand in one table."""

import dataclasses
from collections.abc import Callable

from addrl_keras.config import PAPER, LossConfig
from tfx_pipeline.configs import GateConfig, PipelineConfig
from tfx_pipeline.presets.hm import hm
from tfx_pipeline.presets.movielens import movielens
from tfx_pipeline.presets.toys import toys

CHUNK_DIM = 32


def movielens_paper() -> PipelineConfig:
    """MovieLens by the paper's recipe, which was not published on these data.

    Command: `addrl run movielens-paper`. Expected on 2 cores: half an hour. Expected metric: see
    `docs/results.md`.
    """
    return _make_paper(movielens, learning_rate=1e-3)


def hm_paper() -> PipelineConfig:
    """H&M by the paper's recipe, which was not published on these data.

    Command: `addrl run hm-paper --data DIR`. Expected on 2 cores: an hour or two. Expected metric:
    see `docs/results.md`.
    """
    return _make_paper(hm, learning_rate=1e-3)


def toys_paper() -> PipelineConfig:
    """Toys by the paper's recipe and hyper-parameters.

    Command: `addrl run toys-paper --data DIR`. Expected on 2 cores: hours. Expected metric: the
    authors' own code, stopped while it was still rising, reached Recall@20 .117, NDCG@20 .071.
    """
    return _make_paper(toys, learning_rate=1e-4)


def _make_paper(make_preset: Callable[[], PipelineConfig], learning_rate: float) -> PipelineConfig:
    """Makes a preset of the recipe of AD-DRL (arXiv 2312.14433) on the data of another.

    Chunks of 32, eight negatives, r 1, alpha 1, beta .01, gamma 10, Adam with 1e-4 on batches of
    1,024: the values that the paper has for Toys. On data that it was not published on, Adam has
    1e-3, with which validation is at its best after tens of passes and not after hundreds.
    Training stops on validation, where the authors stop on test. The gates refuse a broken model
    alone: EASE is not beaten by this recipe.
    """
    preset = make_preset()
    model = dataclasses.replace(
        preset.model,
        recipe=PAPER,
        model=dataclasses.replace(
            preset.model.model, chunk_dim=CHUNK_DIM, residual_dim=CHUNK_DIM, memory_size=0
        ),
        losses=LossConfig(intra=1.0, inter=0.01, value=10.0, l2=1.0),
        training=dataclasses.replace(
            preset.model.training,
            epochs=1000,
            batch_size=1024,
            learning_rate=learning_rate,
            negatives=8,
            patience=15,
        ),
    )
    return dataclasses.replace(
        preset, name=f"{preset.name}-paper", model=model, gates=GateConfig(min_recall=0.02)
    )
