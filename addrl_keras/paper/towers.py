"""The model of the paper while it is trained: every item's modalities in chunks, fused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from addrl_keras.catalogue import Catalogue
from addrl_keras.config import Config
from addrl_keras.layers.fusion import FusionAttention
from addrl_keras.layers.heads import ChunkClassifier, ValueHeads
from addrl_keras.losses import disentangle, preference
from addrl_keras.paper.rows import Rows

Tensor = Any
TERMS = ("preference", "intra", "inter", "value", "l2")


class PaperTowers(keras.Model):
    """User embeddings in chunks, and items as a fusion of id and content, chunk by chunk.

    `x_m^k` is the item's embedding (id) or a projection of its L2-normalised feature; `y^k = sum_m
    w_m^k normalise(x_m^k)`; `s(u, i) = sum_k softplus(<normalise(e_u^k), y_i^k>)`. The chunks of
    the whole catalogue are computed in each step, as a batch with its negatives has most of it; a
    term's mean counts an item as often as the batch does.

    Args:
        config: The model's configuration, of the recipe `paper`.
        catalogue: The items.
        num_users: Number of users.

    Reference:
        AD-DRL, arXiv 2312.14433, sections 3.2 to 3.5. The authors' code applies the softmax of the
        fusion twice; here it is one.
    """

    def __init__(self, config: Config, catalogue: Catalogue, num_users: int) -> None:
        super().__init__(name="paper_towers")
        self.config, self.num_chunks = config, len(config.attributes) + 1
        seed, dim = config.training.seed, config.model.chunk_dim
        width = self.num_chunks * dim

        def embed(name: str, size: int, number: int) -> Any:
            initializer = keras.initializers.GlorotUniform(seed=seed + number)
            return self.add_weight(name=name, shape=(size, width), initializer=initializer)

        self.user_embedding = embed("users", num_users, 0)
        self.item_embedding = embed("items", catalogue.num_items, 1)
        parts = [catalogue.features[part.name] for part in config.content_modalities]
        self._features = [Rows(part) for part in parts]
        self.projections = [
            embed(f"projection_{part.name}", feature.shape[1], 2 + number)
            for number, (part, feature) in enumerate(
                zip(config.content_modalities, parts, strict=True)
            )
        ]
        present = [np.ones(catalogue.num_items, bool)]
        present += [np.asarray(np.abs(part).sum(axis=1)).ravel() > 0 for part in parts]
        self._present = tf.constant(np.stack(present, axis=1))
        labels = [catalogue.values[name].distribution() for name in config.attribute_names]
        self._labels = [tf.constant(part.toarray()) for part in labels]
        self.classifiers = [
            ChunkClassifier(self.num_chunks, seed=seed + number) for number in range(len(parts) + 2)
        ]
        self.fusion = FusionAttention(config.model.fusion, seed=seed)
        self.heads = ValueHeads([part.shape[1] for part in labels], seed=seed)
        for classifier in self.classifiers:
            classifier.build((None, self.num_chunks, dim))
        self.fusion.build((None, len(parts) + 1, self.num_chunks, dim), None)
        self.heads.build((None, self.num_chunks, dim))
        self.trackers = {name: keras.metrics.Mean(name=name) for name in (*TERMS, "loss")}
        self.built = True

    def compute_items(self) -> tuple[Tensor, Tensor, Tensor]:
        """Computes the catalogue.

        Returns:
            `(chunks, fused, weights)`: the modalities' chunks `[num_items, num_modalities,
            num_chunks, chunk_dim]`, id first; `y`, `[num_items, num_chunks, chunk_dim]`; and the
            attention `[num_items, num_chunks, num_modalities]`.
        """
        vectors = [ops.convert_to_tensor(self.item_embedding)]
        for feature, kernel in zip(self._features, self.projections, strict=True):
            vectors.append(feature.project(ops.convert_to_tensor(kernel)))
        chunks = ops.stack([self._cut(vector) for vector in vectors], axis=1)
        fused, weights = self.fusion(chunks, self._present)
        return chunks, fused, weights

    def compute_terms(self, batch: Mapping[str, Tensor], training: bool) -> dict[str, Tensor]:
        """Computes the unweighted terms of a batch of `TripleBatches`, each a scalar."""
        chunks, fused, _ = self.compute_items()
        users = self._cut(ops.take(self.user_embedding, batch["users"], axis=0))
        items = tf.concat([batch["positives"][:, None], batch["negatives"]], axis=1)
        vectors = tf.gather(fused, items)
        scores = compute_scores(users[:, None], vectors)
        count = tf.math.bincount(
            tf.cast(tf.reshape(items, [-1]), tf.int32),
            minlength=fused.shape[0],
            maxlength=fused.shape[0],
            dtype=tf.float32,
        )
        values = zip(self.heads(fused), self._labels, strict=True)
        embedded = ops.take(self.item_embedding, tf.reshape(items, [-1]), axis=0)
        squared = tf.reduce_sum(users**2) + tf.reduce_sum(embedded**2)
        return {
            "preference": preference.bpr_hardest(scores[:, 0], scores[:, 1:]),
            "intra": self._compute_intra(chunks, users, count, training),
            "inter": disentangle.inter_modality(chunks, self._present, count),
            "value": tf.add_n([disentangle.attribute_value(*pair, count) for pair in values]),
            "l2": squared / tf.cast(tf.shape(users)[0], squared.dtype),
        }

    def train_step(self, data: Any) -> dict[str, Tensor]:
        (batch,) = data if isinstance(data, tuple) else (data,)
        weights = {name: getattr(self.config.losses, name) for name in TERMS}
        with tf.GradientTape() as tape:
            terms = self.compute_terms(batch, training=True)
            loss = tf.add_n([weights[name] * term for name, term in terms.items()])
        variables = self.trainable_variables
        # The moments of every row decay in each step, as the authors' Adam has it.
        gradients = [tf.convert_to_tensor(part) for part in tape.gradient(loss, variables)]
        self.optimizer.apply(gradients, variables)
        for name, value in {**terms, "loss": loss}.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _compute_intra(
        self, chunks: Tensor, users: Tensor, count: Tensor, training: bool
    ) -> Tensor:
        everybody = tf.ones(tf.shape(users)[:1])
        terms = [
            disentangle.intra_modality(self.classifiers[-1](users, training=training), everybody)
        ]
        for m in range(chunks.shape[1]):
            logits = self.classifiers[m](chunks[:, m], training=training)
            mask = tf.cast(self._present[:, m], count.dtype) * count
            terms.append(disentangle.intra_modality(logits, mask))
        return tf.add_n(terms)

    def _cut(self, vectors: Tensor) -> Tensor:
        return ops.reshape(vectors, (-1, self.num_chunks, self.config.model.chunk_dim))


def compute_scores(users: Tensor, items: Tensor) -> Tensor:
    """Computes `sum_k softplus(<normalise(e_u^k), y_i^k>)`.

    Args:
        users: Float `[..., num_chunks, chunk_dim]`.
        items: Float, of a shape that goes with it.

    Returns:
        Float `[...]`.

    Example:
        >>> users, items = ops.array([[[3.0, 4.0]]]), ops.array([[[0.0, 5.0]]])
        >>> round(float(compute_scores(users, items)[0]), 4)  # log(1 + e^4)
        4.0181
    """
    products = ops.sum(ops.normalize(users, axis=-1, order=2) * items, axis=-1)
    return ops.sum(ops.softplus(products), axis=-1)
