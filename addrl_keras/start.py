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
from addrl_keras.factored import FactoredWeights, compute_factored_teacher
from addrl_keras.losses.preference import history_softmax
from addrl_keras.memory import find_shortage
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.teacher import compute_teacher

# Scores that the size of the logits is chosen on, at most.
_SCORES = 2**24


def make_started_model(
    config: Config,
    catalogue: Catalogue,
    history: scipy.sparse.csr_matrix,
    distributions: list[np.ndarray],
    auxiliary: scipy.sparse.csr_matrix | None = None,
) -> AdDrl:
    """Builds a model and sets its weights to the start that the configuration asks for.

    Args:
        config: What to build.
        catalogue: The items.
        history: Binary CSR `[num_users, num_items]` that the start is fitted on.
        distributions: Value distribution of every item for each attribute, `[num_items,
            num_values_k]`.
        auxiliary: Auxiliary interactions, binary CSR `[num_auxiliary_users, num_items]`.
    """
    shape = ModelShape(
        catalogue.num_items, history.shape[0], tuple(part.shape[1] for part in distributions)
    )
    model = AdDrl(config, shape)
    for weight, value in zip(model.item_tower.distributions, distributions, strict=True):
        weight.assign(value)
    distils = config.losses.preference_kind == "distillation"
    dense = None
    if config.start.kind == "closed_form" or distils:
        dense = compute_teacher(history, catalogue, config.start, auxiliary)
    if config.start.kind == "random":
        _start_at_random(model, history)
    elif config.start.kind == "factored":
        teacher = compute_factored_teacher(history, config.start)
        _start_in_closed_form(model, teacher, history, distributions)
    elif dense is not None:
        _start_in_closed_form(model, dense, history, distributions)
    model.teacher = dense if distils else None
    return model


def validate_memory(config: Config, num_items: int) -> None:
    """Validates that the machine can hold the matrices of a dense teacher, if there is to be one.

    Args:
        config: What is to be fitted.
        num_items: Size of the catalogue.

    Raises:
        ValueError: It cannot; the message says what to set.
    """
    remedies = []
    if config.start.kind == "closed_form":
        remedies.append("start.kind to 'factored', start.blend to item_knn, spectral or both")
    if config.losses.preference_kind == "distillation":
        remedies.append("losses.preference_kind to 'sampled_softmax'")
    shortage = find_shortage(num_items) if remedies else ""
    if shortage:
        raise ValueError(
            f"The closed-form teacher forms {shortage}. Set {' and '.join(remedies)}. "
            f"Received: {num_items:,} items"
        )


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
        empty = np.zeros((history.shape[1], 0), np.float32)
        together = FactoredWeights((history.T @ history).tocsr(), empty, empty)
        source, _ = together.compute_memory(model.memory.source.shape[1])
        model.memory.source.assign(source)


def _start_in_closed_form(
    model: AdDrl,
    teacher: closed_form.Weights,
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
        if isinstance(remainder, FactoredWeights):
            remainder = remainder.subtract(query, item)
        else:
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

    Args:
        model: The model.
        history: Binary CSR `[num_users, num_items]`.
        users: Users with two items or more that are looked at, at most; fewer of a catalogue so
            large that their scores would take hundreds of megabytes.

    Returns:
        The factor that the query and memory weights were multiplied by; 1 where nobody has an item
        to hold out.
    """
    low, high = model.config.training.keep_share
    generator = np.random.default_rng(model.config.training.seed)
    users = min(users, max(1, _SCORES // history.shape[1]))
    eligible = np.flatnonzero(np.diff(history.indptr) > 1)
    rows = generator.permutation(len(eligible))[:users]
    items = history[eligible[np.sort(rows)]].toarray()
    kept = items * (generator.random(items.shape) < generator.uniform(low, high, (len(items), 1)))
    if not (items - kept).any():
        return 1.0
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
