"""A model's first weights: the closed form, or random ones, before any gradient."""

from __future__ import annotations

import keras
import numpy as np
import scipy.optimize
import scipy.sparse
import tensorflow as tf

from addrl_keras import closed_form
from addrl_keras.catalogue import Catalogue
from addrl_keras.config import Config
from addrl_keras.losses.preference import history_softmax
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.teacher import compute_teacher


def make_started_model(
    config: Config,
    catalogue: Catalogue,
    history: scipy.sparse.csr_matrix,
    distributions: list[np.ndarray],
) -> AdDrl:
    """Builds a model and sets its weights to the start that the configuration asks for.

    Args:
        config: What to build.
        catalogue: The items.
        history: Binary CSR `[num_users, num_items]` that the start is fitted on.
        distributions: Value distribution of every item for each attribute, `[num_items,
            num_values_k]`.
    """
    shape = ModelShape(
        catalogue.num_items, history.shape[0], tuple(part.shape[1] for part in distributions)
    )
    model = AdDrl(config, shape)
    for weight, value in zip(model.item_tower.distributions, distributions, strict=True):
        weight.assign(value)
    teacher = None
    if config.start.kind == "closed_form" or config.losses.preference_kind == "distillation":
        teacher = compute_teacher(history, catalogue, config.start)
    if config.start.kind == "random" or teacher is None:
        _start_at_random(model, history)
    else:
        _start_in_closed_form(model, teacher, history, distributions)
    if config.losses.preference_kind == "distillation":
        model.teacher = teacher
    return model


def _start_at_random(model: AdDrl, history: scipy.sparse.csr_matrix) -> None:
    seed = model.config.training.seed
    for number, weight in enumerate((model.user_tower.query, model.item_tower.residual)):
        weight.assign(keras.initializers.GlorotUniform(seed=seed + number)(weight.shape))
    generator = np.random.default_rng(seed)
    for embedding in model.item_tower.value_embeddings:
        size, dim = embedding.shape
        # More values than dimensions: the identity would leave the last values without a vector.
        if size > dim:
            embedding.assign(np.linalg.qr(generator.standard_normal((size, dim)))[0])
    if model.memory is not None:
        together = (history.T @ history).toarray()
        np.fill_diagonal(together, 0.0)
        source, _ = closed_form.compute_memory(together, model.memory.source.shape[1])
        model.memory.source.assign(source)


def _start_in_closed_form(
    model: AdDrl,
    teacher: np.ndarray,
    history: scipy.sparse.csr_matrix,
    distributions: list[np.ndarray],
) -> None:
    config = model.config
    affinity = closed_form.compute_affinity(teacher, distributions, config.start.affinity_ridge)
    chunks, reach = [], []
    for k, part in enumerate(affinity):
        embedding = closed_form.compute_value_embedding(part, model.chunk_dims[k])
        model.item_tower.value_embeddings[k].assign(embedding)
        chunks.append(part @ embedding)
        reach.append(distributions[k] @ embedding)
    remainder = closed_form.compute_remainder(teacher, chunks, reach)
    generator = np.random.default_rng(config.training.seed)
    query, item = closed_form.compute_residual_tower(
        history, remainder, config.model.residual_dim, generator
    )
    model.item_tower.residual.assign(item)
    model.user_tower.query.assign(np.concatenate([*chunks, query], axis=1))
    if model.memory is not None:
        remainder -= query @ item.T
        np.fill_diagonal(remainder, 0.0)
        source, weight = closed_form.compute_memory(remainder, model.memory.source.shape[1])
        model.memory.source.assign(source)
        model.memory.weight.assign(weight)
    scale_to_logits(model, history)


def scale_to_logits(model: AdDrl, history: scipy.sparse.csr_matrix, users: int = 512) -> float:
    """Scales the scores so that, read as logits, they predict held-out items of `history` best.

    Ranking does not change. The held-out items are those that the model's own training step would
    hold out.

    Returns:
        The factor that the query and memory weights were multiplied by.
    """
    low, high = model.config.training.keep_share
    generator = np.random.default_rng(model.config.training.seed)
    rows = generator.permutation(history.shape[0])[:users]
    items = history[np.sort(rows)].toarray()
    kept = items * (generator.random(items.shape) < generator.uniform(low, high, (len(items), 1)))
    scores = model.compute_scores(scipy.sparse.csr_matrix(kept))

    def loss(log_scale: float) -> float:
        scaled = tf.constant(scores * np.float32(np.exp(log_scale)))
        return float(history_softmax(scaled, tf.constant(kept), tf.constant(items - kept)))

    scale = float(
        np.exp(scipy.optimize.minimize_scalar(loss, bounds=(-7.0, 7.0), method="bounded").x)
    )
    model.user_tower.query.assign(model.user_tower.query * scale)
    if model.memory is not None:
        model.memory.weight.assign(model.memory.weight * scale)
    return scale
