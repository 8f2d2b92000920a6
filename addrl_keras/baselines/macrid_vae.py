r"""MacridVAE: a recommender that is meant to disentangle, without being told any attribute.

Every item is assigned to one of `K` concepts by the angle between its vector `h_i` and the
concepts' prototypes `m_k`, and every user has a vector `z_k` for each concept:

    c_ik = softmax_k(cos(h_i, m_k) / tau)
    z_k ~ N(mu_k, sigma_k^2),  (mu_k, sigma_k) = encoder(x * c_k)
    p(i | user) \propto sum_k c_ik exp(cos(z_k, h_i) / tau)

which a variational bound trains, the divergence of each `z_k` from its prior counting `beta`.

Reference:
    Ma et al., Learning Disentangled Representations for Recommendation, NeurIPS 2019
    (arXiv 1910.14238).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import scipy.sparse

from addrl_keras.baselines.learnt import LearntBaseline

# Users that are scored at once.
_BLOCK = 256


@dataclasses.dataclass(kw_only=True)
class MacridVAE(LearntBaseline):
    """MacridVAE, in Keras.

    It knows a user by the history, so it needs no `users`. A pass is over the users; the optimiser
    is Adam. The encoder has one hidden layer of `dim` units, and the weight of the divergence rises
    to `beta` over the first `ANNEALING` passes, both as in the authors' code; training ends where
    validation gets worse.

    Args:
        concepts: `K`.
        beta: Weight of the divergence.
        dim: Width of the vectors of items and of a user's concept.
        temperature: `tau`.
    """

    concepts: int = 4
    beta: float = 0.2
    dim: int = 100
    temperature: float = 0.1
    learning_rate: float = 1e-3
    batch_size: int = 256

    name = "macrid_vae"
    MAX_EPOCHS: ClassVar[int] = 200
    ANNEALING: ClassVar[int] = 5

    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the log-probabilities of all items, but for a constant. See `Baseline.score`."""
        rows = range(0, history.shape[0], _BLOCK)
        parts = [self._model(history[row : row + _BLOCK].toarray()) for row in rows]
        empty = np.zeros((0, history.shape[1]), np.float32)
        return np.concatenate([empty, *(np.asarray(part["logits"]) for part in parts)])

    def get_chunks(self) -> list[np.ndarray]:
        """Gets each item's vector once a concept, by how far it belongs to it.

        Returns:
            `concepts` arrays `c_ik h_i`, float32 `[num_items, dim]`.
        """
        items, assigned = (np.asarray(part) for part in self._model.compute_items())
        return [assigned[:, k : k + 1] * items for k in range(self.concepts)]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        names = ("concepts", "beta", "dim", "temperature", "learning_rate", "epochs", "batch_size")
        return {name: getattr(self, name) for name in names}

    def _make(self, known: scipy.sparse.csr_matrix) -> tuple[Any, Any]:
        import keras

        batches = make_batches(known, self.batch_size, self.seed)
        model = make_model(self, known.shape[1], self.ANNEALING * len(batches))
        model.compile(optimizer=keras.optimizers.Adam(self.learning_rate))
        return model, batches

    def _keep(self, model: Any) -> None:
        self._model = model


def make_batches(known: scipy.sparse.csr_matrix, batch_size: int, seed: int) -> Any:
    """Makes shuffled batches of users' rows, float32 `[batch, num_items]`; one is dense at a time.

    Args:
        known: Binary CSR `[num_users, num_items]`; users without an item are left out.
        batch_size: Users per batch.
        seed: Of the order.
    """
    import keras

    class Rows(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self._generator = np.random.default_rng(seed)
            self._order = self._generator.permutation(np.flatnonzero(np.diff(known.indptr)))

        def __len__(self) -> int:
            return -(-len(self._order) // batch_size)

        def __getitem__(self, index: int) -> tuple[np.ndarray]:
            rows = self._order[index * batch_size : (index + 1) * batch_size]
            return (known[rows].toarray(),)

        def on_epoch_end(self) -> None:
            self._generator.shuffle(self._order)

    return Rows()


def make_model(options: MacridVAE, num_items: int, annealing: int = 0) -> Any:
    """Makes the model, not compiled.

    Args:
        options: Its hyper-parameters.
        num_items: Size of the catalogue.
        annealing: Steps over which the weight of the divergence rises to `options.beta`.

    Returns:
        A Keras model: float32 histories `[batch, num_items]` to a dict with `logits` `[batch,
        num_items]` and `divergence` `[batch]`. `compute_items` returns the unit vectors of the
        items `[num_items, dim]` and their assignment `[num_items, concepts]`.
    """
    import keras
    import tensorflow as tf
    from keras import ops

    hidden, dropout, prior = options.dim, 0.5, 0.075

    def draw(shape: tuple[int, int], number: int) -> Any:
        values = keras.initializers.GlorotUniform(seed=options.seed + number)(shape)
        return keras.Variable(values)

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.noise = keras.random.SeedGenerator(options.seed)
            self.steps = keras.Variable(0.0, trainable=False)
            self.items = draw((num_items, options.dim), 0)
            self.prototypes = draw((options.concepts, options.dim), 1)
            self.input_kernel = draw((num_items, hidden), 2)
            self.input_bias = keras.Variable(np.zeros(hidden, np.float32))
            self.head = keras.layers.Dense(
                2 * options.dim,
                kernel_initializer=keras.initializers.GlorotUniform(seed=options.seed + 3),
            )
            self.head.build((None, hidden))
            self.built = True

        def compute_items(self, gumbel: bool = False) -> tuple[Any, Any]:
            items = ops.normalize(self.items, axis=-1, order=2)
            prototypes = ops.normalize(self.prototypes, axis=-1, order=2)
            logits = ops.matmul(items, ops.transpose(prototypes)) / options.temperature
            if gumbel:
                uniform = keras.random.uniform(ops.shape(logits), 1e-6, 1 - 1e-6, seed=self.noise)
                logits = logits - ops.log(-ops.log(uniform))
            return items, ops.softmax(logits, axis=-1)

        def call(self, histories: Any, training: bool = False) -> dict[str, Any]:
            items, assigned = self.compute_items(gumbel=training)
            histories = ops.convert_to_tensor(histories, "float32")
            probabilities, divergence = 0.0, 0.0
            for k in range(options.concepts):
                mean, log_variance = self._encode(histories * assigned[:, k], training)
                vector = mean
                if training:
                    spread = prior * ops.exp(0.5 * log_variance)
                    vector = mean + spread * keras.random.normal(ops.shape(mean), seed=self.noise)
                    vector = ops.normalize(vector, axis=-1, order=2)
                likeness = ops.matmul(vector, ops.transpose(items)) / options.temperature
                probabilities = probabilities + assigned[:, k] * ops.exp(likeness)
                variance = ops.exp(log_variance)
                divergence = divergence + 0.5 * ops.sum(variance - log_variance - 1.0, axis=-1)
            return {"logits": ops.log(probabilities), "divergence": divergence}

        def _encode(self, rows: Any, training: bool) -> tuple[Any, Any]:
            rows = ops.normalize(rows, axis=-1, order=2)
            if training:
                rows = keras.random.dropout(rows, dropout, seed=self.noise)
            middle = ops.tanh(ops.matmul(rows, self.input_kernel) + self.input_bias)
            mean, negative = ops.split(self.head(middle), 2, axis=-1)
            return ops.normalize(mean, axis=-1, order=2), -negative

        def compute_bound(self, histories: Any, found: dict[str, Any], weight: Any) -> Any:
            log_probabilities = ops.log_softmax(found["logits"], axis=-1)
            rebuilt = -ops.sum(histories * log_probabilities, axis=-1)
            return ops.mean(rebuilt + weight * found["divergence"])

        def train_step(self, data: Any) -> dict[str, Any]:
            (histories,) = data if isinstance(data, tuple) else (data,)
            rise = ops.minimum(1.0, self.steps / annealing) if annealing else 1.0
            with tf.GradientTape() as tape:
                found = self(histories, training=True)
                loss = self.compute_bound(histories, found, options.beta * rise)
            self.steps.assign_add(1.0)
            variables = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

    return Model()
