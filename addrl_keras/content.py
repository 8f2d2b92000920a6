"""The content side: what an item's words and entities say about its attributes, never its id."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from addrl_keras.calibration import FEWEST_LABELS, ChosenEpochs, HeldOutValues
from addrl_keras.callbacks import FiniteLosses, Lines, Progress, TensorBoardScalars
from addrl_keras.catalogue import Catalogue, Features, find_present, take_rows
from addrl_keras.config import Config
from addrl_keras.layers.chunking import ChunkedProjection
from addrl_keras.layers.fusion import FusionAttention
from addrl_keras.layers.heads import ChunkClassifier, ValueHeads
from addrl_keras.losses import disentangle

Tensor = Any
TERMS = ("intra", "inter", "value")
# Of the projections' first weights. What rare features are given at random is no evidence.
_INITIAL_SCALE = 0.01
_TINY = 1e-12
# Of a pass: a small catalogue in one step would hardly move weights that start near zero.
_FEWEST_STEPS = 4
# Fewer items would choose an epoch by chance.
_FEWEST_HELD_OUT = 50
# Enough to tell epochs apart; their logits are held at once, of all attributes.
_MOST_HELD_OUT = 5000


class ContentTower(keras.Model):
    """Turns the content of items into a distribution over the values of each attribute.

    Per modality a chunked projection; an attention fuses the modalities per chunk; a head per
    attribute predicts its value. Trained by the paper's three terms, weighted by `config.losses`.

    Other than in the paper, a modality's chunk keeps its length when it is fused, and starts near
    zero: at length 1, features that were rare in training would count as much as the best known.
    And each chunk has an attention of its own, so that with `value` alone no weight belongs to two
    attributes, and each can keep the epoch that is best for it.

    Args:
        config: The model's configuration; it must have at least one content modality.
        num_values: Number of values of each attribute, in configured order.

    Call arguments:
        features: List of float `[batch, dim_m]`, one per content modality. A zero row is a missing
            modality.

    Returns:
        Dict with `logits` (list of `[batch, num_values_k]`), over the attribute's temperature;
        `weights` `[batch, num_chunks, num_modalities]`, how much of the fused chunk is which
        modality's (attention times length; they add up to 1, or are 0 without content); `chunks`
        `[batch, num_modalities, num_chunks, chunk_dim]`; and `present` `[batch, num_modalities]`.
    """

    def __init__(self, config: Config, num_values: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not config.content_modalities:
            raise ValueError(
                "A content tower needs at least one modality beside `id`. Received: none"
            )
        self.config = config
        num_chunks = len(config.attributes) + 1
        seed = config.training.seed
        self.projections = [
            ChunkedProjection(
                num_chunks,
                config.model.chunk_dim,
                seed=seed,
                initial_scale=_INITIAL_SCALE,
                name=f"{modality.name}_chunks",
            )
            for modality in config.content_modalities
        ]
        self.classifiers = [
            ChunkClassifier(num_chunks, seed=seed, name=f"{modality.name}_classifier")
            for modality in config.content_modalities
        ]
        self.fusion = FusionAttention(
            config.model.fusion, seed=seed, normalize=False, shared=False, name="fusion"
        )
        self.heads = ValueHeads(num_values, seed=seed, name="value_heads")
        self.temperatures = self.add_weight(
            name="temperatures",
            shape=(len(config.attributes),),
            initializer="ones",
            trainable=False,
        )
        weights = {name: getattr(config.losses, name) for name in TERMS}
        self.term_weights = {name: weight for name, weight in weights.items() if weight}
        self.trackers = {
            name: keras.metrics.Mean(name=name) for name in (*self.term_weights, "loss")
        }

    def build(self, input_shape: Sequence[tuple[int | None, ...]]) -> None:
        num_chunks, dim = len(self.config.attributes) + 1, self.config.model.chunk_dim
        for projection, classifier, shape in zip(
            self.projections, self.classifiers, input_shape, strict=True
        ):
            projection.build(shape)
            classifier.build((None, num_chunks, dim))
        self.fusion.build((None, len(input_shape), num_chunks, dim))
        self.heads.build((None, num_chunks, dim))

    def call(self, features: Sequence[Tensor]) -> dict[str, Any]:
        present = ops.stack([ops.any(feature != 0, axis=-1) for feature in features], axis=1)
        chunks = ops.stack(
            [layer(x) for layer, x in zip(self.projections, features, strict=True)], axis=1
        )
        fused, weights = self.fusion(chunks, present)
        lengths = ops.swapaxes(ops.norm(chunks, axis=-1), 1, 2)
        parts = weights * lengths
        return {
            "logits": [logits / self.temperatures[k] for k, logits in enumerate(self.heads(fused))],
            "weights": parts / ops.maximum(ops.sum(parts, axis=-1, keepdims=True), _TINY),
            "chunks": chunks,
            "present": present,
        }

    def get_attribute_weights(self, attribute: int) -> list[np.ndarray]:
        """Copies the weights that are an attribute's alone, its temperature aside.

        Args:
            attribute: Its place in configured order.

        Returns:
            Its columns of each projection, its attention, and its head.
        """
        parts = self._list_attribute_parts(attribute)
        return [ops.convert_to_numpy(weight)[part].copy() for weight, part in parts]

    def set_attribute_weights(self, attribute: int, values: Sequence[np.ndarray]) -> None:
        """Sets the weights that are an attribute's alone; those of all others stay as they are.

        Args:
            attribute: Its place in configured order.
            values: What `get_attribute_weights` copied.

        Raises:
            ValueError: They are of another tower's shapes.
        """
        parts = self._list_attribute_parts(attribute)
        wanted = [ops.convert_to_numpy(weight)[part].shape for weight, part in parts]
        if [value.shape for value in values] != wanted:
            raise ValueError(
                f"The weights of attribute {attribute} have the shapes {wanted}. "
                f"Received: {[value.shape for value in values]}"
            )
        for (weight, part), value in zip(parts, values, strict=True):
            whole = ops.convert_to_numpy(weight).copy()
            whole[part] = value
            weight.assign(whole)

    def _list_attribute_parts(self, attribute: int) -> list[tuple[Tensor, Any]]:
        """Lists weights with the part of each that is an attribute's; no two attributes share any.

        An attention that is not shared has the chunk as the first axis of its weights.
        """
        dim = self.config.model.chunk_dim
        columns = np.s_[:, attribute * dim : (attribute + 1) * dim]
        return [
            *((projection.kernel, columns) for projection in self.projections),
            *((weight, attribute) for weight in self.fusion.weights),
            *((weight, ...) for weight in self.heads.get_head(attribute).weights),
        ]

    def compute_terms(
        self, features: Sequence[Tensor], labels: Sequence[Tensor], training: bool
    ) -> dict[str, Tensor]:
        """Computes the terms that the configuration weighs, out of `intra`, `inter` and `value`.

        Returns:
            A scalar each, without its weight.
        """
        outputs = self.call(features)
        compute = {
            "intra": lambda: self._compute_intra(outputs["chunks"], outputs["present"], training),
            "inter": lambda: disentangle.inter_modality(outputs["chunks"], outputs["present"]),
            "value": lambda: sum(map(disentangle.attribute_value, outputs["logits"], labels)),
        }
        return {name: compute[name]() for name in self.term_weights}

    def _compute_intra(self, chunks: Tensor, present: Tensor, training: bool) -> Tensor:
        return sum(
            disentangle.intra_modality(classifier(chunks[:, m], training=training), present[:, m])
            for m, classifier in enumerate(self.classifiers)
        )

    def train_step(self, data: Any) -> dict[str, Any]:
        import tensorflow as tf

        features, labels = data
        with tf.GradientTape() as tape:
            terms = self.compute_terms(features, labels, training=True)
            loss = sum(self.term_weights[name] * term for name, term in terms.items())
        # A classifier has no gradient where its term is off.
        variables = self.trainable_variables
        gradients = zip(tape.gradient(loss, variables), variables, strict=True)
        moved = [(gradient, variable) for gradient, variable in gradients if gradient is not None]
        self.optimizer.apply_gradients(moved)
        for name, value in {**terms, "loss": loss}.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}


class ItemBatches(keras.utils.PyDataset):
    """Shuffled batches of items, features and label distributions; one is dense at a time.

    Args:
        features: Float `[num_items, dim_m]` per content modality.
        labels: Float CSR `[num_items, num_values_k]` per attribute.
        items: Int `[num_used]`, the items that are in it.
        batch_size: Items in a batch.
        seed: Of the order.
    """

    def __init__(
        self,
        features: Sequence[Features],
        labels: Sequence[Features],
        items: np.ndarray,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._features, self._labels, self._batch_size = features, labels, batch_size
        self._generator = np.random.default_rng(seed)
        self._order = self._generator.permutation(items)

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        features = tuple(take_rows(feature, rows) for feature in self._features)
        return features, tuple(take_rows(label, rows) for label in self._labels)

    def on_epoch_end(self) -> None:
        self._generator.shuffle(self._order)


def compute_distributions(
    config: Config, catalogue: Catalogue, tower: ContentTower | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Computes each item's distribution over the values of each attribute.

    Where a value is known it is that value; elsewhere it is what the content tower predicts; where
    there is no content either, or the value heads were not trained, the row is zero.

    Returns:
        `(distributions, modality_weights)`: a list of float32 `[num_items, num_values_k]`, and how
        much of each attribute chunk is which modality's, float32 `[num_items, num_attributes,
        num_content_modalities]`.
    """
    known = [catalogue.values[name].distribution().toarray() for name in config.attribute_names]
    shape = (catalogue.num_items, len(config.attributes), len(config.content_modalities))
    weights = np.zeros(shape, np.float32)
    if tower is None:
        return known, weights
    heads_are_trained = config.losses.value > 0 and config.training.content_epochs > 0
    features = [catalogue.features[modality.name] for modality in config.content_modalities]
    for rows, outputs in _iterate_outputs(tower, features):
        weights[rows] = ops.convert_to_numpy(outputs["weights"])[:, : len(config.attributes)]
        has_content = ops.convert_to_numpy(ops.any(outputs["present"], axis=1))
        for k, logits in enumerate(outputs["logits"]):
            missing = (known[k][rows].sum(axis=1) == 0) & has_content & heads_are_trained
            known[k][rows][missing] = ops.convert_to_numpy(ops.softmax(logits, axis=-1))[missing]
    return known, weights


def _iterate_outputs(
    tower: ContentTower, features: Sequence[Features]
) -> Iterator[tuple[slice, dict[str, Any]]]:
    """Calls the tower with items batch by batch; one is dense at a time."""
    size = tower.config.training.item_batch_size
    for start in range(0, features[0].shape[0], size):
        rows = slice(start, start + size)
        yield rows, tower([take_rows(feature, rows) for feature in features])


def fit_content_tower(
    config: Config,
    catalogue: Catalogue,
    progress: Progress = lambda line: None,
    log_dir: str | None = None,
) -> tuple[ContentTower | None, dict[str, dict[str, list[float]]]]:
    """Trains the content tower, whose value heads learn from the items whose values are known.

    A share of them is held out, and of each attribute the epoch that tells its values apart best
    is kept (`addrl_keras.calibration`): what the tower is for are items whose values nobody has
    told. With `training.refit` it is then trained on all of them for as many epochs.

    Args:
        config: What to train.
        catalogue: The items.
        progress: Called with a line per epoch.
        log_dir: Folder for TensorBoard's event files; None writes none.

    Returns:
        `(tower, history)`: the tower, or `None` where the configuration has no content modality or
        every content loss is off; and the figures of every epoch of the training that chose how
        many there are. `history["content"]` has the losses by name, and as `held_out` the sum of
        `history["content_held_out"]`, which has the cross-entropy of items held out by attribute,
        without those that have too few labels to choose by. An attribute keeps the epoch at which
        its own is lowest. Where nothing is held out there is none.

    Raises:
        FloatingPointError: A loss is not finite, and not every attribute has an epoch to go back
            to.
    """
    losses, training = config.losses, config.training
    if not config.content_modalities or not (losses.intra or losses.inter or losses.value):
        return None, {"content": {}, "content_held_out": {}}
    labels = [catalogue.values[name].distribution() for name in config.attribute_names]
    features = [catalogue.features[modality.name] for modality in config.content_modalities]
    everything = np.arange(catalogue.num_items)
    held_out = _hold_out(config, features, labels)

    def train(
        phase: str,
        items: np.ndarray,
        epochs: int,
        keeper: HeldOutValues | ChosenEpochs | None = None,
    ) -> tuple[ContentTower, dict[str, list[float]]]:
        tower = make_content_tower(config, catalogue)
        tower.compile(optimizer=keras.optimizers.Adam(training.content_learning_rate))
        size = min(training.item_batch_size, -(-len(items) // _FEWEST_STEPS))
        batches = ItemBatches(features, labels, items, size, training.seed)
        rate = training.content_learning_rate
        sources = (keeper,) if keeper else ()
        callbacks: list[keras.callbacks.Callback] = [
            FiniteLosses(phase, f"lower training.content_learning_rate, now {rate}", keeper),
            *sources,
            Lines(phase, progress, sources),
        ]
        if log_dir is not None and phase == "content":
            callbacks.append(TensorBoardScalars(os.path.join(log_dir, phase), sources))
        # The batches are shuffled, from a seed of their own.
        history = tower.fit(batches, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
        return tower, history.history

    if not len(held_out):
        tower, terms = train("content", everything, training.content_epochs)
        return tower, {"content": terms, "content_held_out": {}}

    def predict(tower: ContentTower) -> list[np.ndarray]:
        parts = [outputs["logits"] for _, outputs in _iterate_outputs(tower, held_out_features)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    held_out_features = [part[held_out] for part in features]
    held_out_labels = [take_rows(part, held_out) for part in labels]
    keeper = HeldOutValues(predict, held_out_labels, training.content_patience, progress)
    rest = np.setdiff1d(everything, held_out)
    tower, terms = train("content", rest, training.content_epochs, keeper)
    progress(f"content: epochs kept: {_word_kept(config.attribute_names, keeper)}")
    if training.refit:
        temperatures = ops.convert_to_numpy(tower.temperatures)
        chosen = ChosenEpochs(keeper.epochs, progress)
        tower, _ = train("content refit", everything, max(keeper.epochs), chosen)
        tower.temperatures.assign(temperatures)
    by_attribute = zip(config.attribute_names, keeper.losses, strict=True)
    return tower, {
        "content": {**terms, **keeper.history},
        "content_held_out": {name: values for name, values in by_attribute if values},
    }


def _hold_out(
    config: Config, features: Sequence[Features], labels: Sequence[Features]
) -> np.ndarray:
    """Chooses items with content and values to choose epochs on; none where few would be."""
    training = config.training
    has_content = np.any([find_present(part) for part in features], axis=0)
    has_value = [find_present(part) for part in labels]
    usable = np.flatnonzero(has_content & np.any(has_value, axis=0))
    count = min(_MOST_HELD_OUT, int(training.content_held_out * len(usable)))
    if count < _FEWEST_HELD_OUT or not config.losses.value or not training.content_epochs:
        return usable[:0]
    chosen = np.sort(np.random.default_rng(training.seed).choice(usable, count, False))
    return chosen if any(part[chosen].sum() >= FEWEST_LABELS for part in has_value) else usable[:0]


def _word_kept(names: Sequence[str], keeper: HeldOutValues) -> str:
    """Words the epochs that were kept: `brand 16, popularity 2, colour 16 (few labels)`."""
    return ", ".join(
        f"{name} {epoch}{'' if losses else ' (few labels)'}"
        for name, epoch, losses in zip(names, keeper.epochs, keeper.losses, strict=True)
    )


def make_content_tower(config: Config, catalogue: Catalogue) -> ContentTower:
    """Makes an untrained content tower of the sizes that a catalogue asks for."""
    sizes = [len(catalogue.values[name].names) for name in config.attribute_names]
    tower = ContentTower(config, sizes, name="content")
    widths = [catalogue.features[modality.name].shape[1] for modality in config.content_modalities]
    tower.build([(None, width) for width in widths])
    return tower
