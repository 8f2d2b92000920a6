"""New items for a fitted model: the same towers, a larger index, no training."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import AttributeValues, Catalogue, Features, Interactions
from addrl_keras.config import PAPER, Config
from addrl_keras.content import compute_distributions
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.new_items import place_new_items
from addrl_keras.training import FitResult, make_modality_weights


def attach_items(result: FitResult, new: Catalogue) -> FitResult:
    """Extends a fitted model by items that nobody has interacted with.

    The weights of all items that were there stay as they are, bit for bit; the new ones get their
    place by content (`addrl_keras.new_items`).

    Args:
        result: A fitted model; it is not changed.
        new: The new items. Attribute values must be among those that the model knows, or missing;
            features must come from the same encoders and vocabularies.

    Returns:
        The larger model. The new items come after the old ones.

    Raises:
        ValueError: An item is in the catalogue already, values or features do not fit, or the model
            is of the paper's recipe, which has no place for new items.
    """
    config = result.model.config
    if config.recipe == PAPER:
        raise ValueError(
            "The paper's recipe gives every item an embedding of its own, which training alone "
            "can find: add the items to the data and train again. Received: recipe 'paper'"
        )
    new.validate(config)
    both = _join(result.catalogue, new, config)
    both.validate(config)
    interactions = Interactions(
        result.interactions.user_ids,
        _widen(result.interactions.train, both.num_items),
        _widen(result.interactions.validation, both.num_items),
    )
    distributions, shares = compute_distributions(config, new, result.content)
    model = _enlarge(result, both, distributions)
    added = np.arange(result.catalogue.num_items, both.num_items)
    place_new_items(model, both, _widen(result.fitted_on, both.num_items), added)
    weights = np.concatenate([result.modality_weights, make_modality_weights(config, shares)])
    return dataclasses.replace(
        result, model=model, catalogue=both, interactions=interactions, modality_weights=weights
    )


def _join(old: Catalogue, new: Catalogue, config: Config) -> Catalogue:
    repeated = sorted(set(old.item_ids) & set(new.item_ids))
    if repeated:
        raise ValueError(
            "New items must not be in the catalogue yet; leave these out, or train again to change "
            f"what is known of them. Received: {', '.join(map(repr, repeated[:5]))}"
        )
    return Catalogue(
        (*old.item_ids, *new.item_ids),
        {
            name: _join_values(name, old.values[name], new.values[name])
            for name in config.attribute_names
        },
        {
            modality.name: _join_features(
                modality.name, old.features[modality.name], new.features[modality.name]
            )
            for modality in config.content_modalities
        },
    )


def _join_values(name: str, old: AttributeValues, new: AttributeValues) -> AttributeValues:
    if old.names != new.names:
        unknown = [value for value in new.names if value not in old.names]
        raise ValueError(
            f"The new items' values of {name!r} must be those that the model knows, in its order. "
            f"Received: {len(new.names)} names in place of {len(old.names)}, unknown: {unknown[:5]}"
        )
    return AttributeValues(old.names, scipy.sparse.vstack([old.matrix, new.matrix], format="csr"))


def _join_features(name: str, old: Features, new: Features) -> Features:
    if old.shape[1] != new.shape[1] or isinstance(old, np.ndarray) != isinstance(new, np.ndarray):
        raise ValueError(
            f"The new items' features of {name!r} must come from the encoder that the model was "
            f"fitted with, {old.shape[1]} numbers each. Received: {new.shape[1]}"
        )
    if isinstance(old, np.ndarray):
        return np.concatenate([old, new])
    return scipy.sparse.vstack([old, new], format="csr")


def _widen(matrix: scipy.sparse.csr_matrix, num_items: int) -> scipy.sparse.csr_matrix:
    """Adds empty columns."""
    parts = (matrix.data, matrix.indices, matrix.indptr)
    return scipy.sparse.csr_matrix(parts, shape=(matrix.shape[0], num_items))


def _enlarge(result: FitResult, both: Catalogue, distributions: list[np.ndarray]) -> AdDrl:
    """Builds the larger model; the new items' rows are zero but for their value distributions."""
    old = result.model
    shape = ModelShape(both.num_items, old.shape.num_users, old.shape.num_values)
    model = AdDrl(old.config, shape)
    pairs = [
        (model.user_tower.query, old.user_tower.query),
        (model.item_tower.residual, old.item_tower.residual),
    ]
    if model.memory is not None and old.memory is not None:
        pairs += [(model.memory.source, old.memory.source)]
        pairs += [(model.memory.weight, old.memory.weight)]
        pairs += [(model.memory.accounted, old.memory.accounted)]
    for large, small in pairs:
        # More columns too where the catalogue was smaller than the configured memory.
        values = np.zeros(large.shape, small.numpy().dtype)
        values[: small.shape[0], : small.shape[1]] = small.numpy()
        large.assign(values)
    if model.user_tower.embedding is not None and old.user_tower.embedding is not None:
        model.user_tower.embedding.assign(old.user_tower.embedding.numpy())
    tower = model.item_tower
    for k, distribution in enumerate(distributions):
        known = old.item_tower.distributions[k].numpy()
        tower.distributions[k].assign(np.concatenate([known, distribution]))
        tower.value_embeddings[k].assign(old.item_tower.value_embeddings[k].numpy())
    return model
