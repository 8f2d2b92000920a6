"""What a model is made of: attributes, modalities, architecture, losses, training.

Nothing here imports TensorFlow, so a command line can read and validate a configuration in
milliseconds. Nothing in the model knows the name of an attribute: adding or removing one is an edit
of `Config.attributes` and of nothing else.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
from collections.abc import Iterable, Mapping
from typing import Any

from addrl_keras.preferences import list_kinds

RESIDUAL = "residual"
MEMORY = "memory"
RESERVED = (RESIDUAL, MEMORY, "item_warmth", "user_activity")
OTHER = "(other)"

# Parts of a teacher that rest on interactions; every other name is one of content.
EASE = "ease"
ITEM_KNN = "item_knn"
SPECTRAL = "spectral"
TEACHER_PARTS = (EASE, ITEM_KNN, SPECTRAL)
# Those that need no matrix of items by items.
FACTORED_PARTS = (ITEM_KNN, SPECTRAL)

CONSTRUCTION, PAPER = "construction", "paper"

ENCODERS = ("id", "text", "bag", "hub", "precomputed")
PREPROCESSINGS = ("none", "wordpiece", "image")

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def _validate_name(what: str, name: str) -> None:
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError(
            f"The name of a {what} must match {_NAME.pattern!r}, because it becomes the name of a "
            f"feature, a chunk and a command-line option. Received: {name!r}"
        )


def _validate_range(
    owner: str, name: str, value: float, low: float, high: float = float("inf")
) -> None:
    # Bounds that are whole are those of a count.
    kind, words = numbers.Real, "finite"
    if isinstance(low, int):
        kind, words = numbers.Integral, "whole"
    is_one = isinstance(value, kind) and not isinstance(value, bool)
    if not (is_one and low <= value <= high and math.isfinite(value)):
        limit = "" if high == float("inf") else f" and at most {high}"
        raise ValueError(
            f"{owner}.{name} must be a {words} number, at least {low}{limit}. Received: {value!r}"
        )


def _validate_choice(owner: str, name: str, value: str, choices: Iterable[str]) -> None:
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{owner}.{name} must be one of {', '.join(choices)}. Received: {value!r}")


@dataclasses.dataclass(frozen=True)
class Attribute:
    """One item attribute, which gets a chunk of its own in both towers.

    Args:
        name: The attribute's name, as clients and reports spell it.
        column: Column of the canonical `items` table. A list column makes the attribute
            multi-valued.
        kind: `numeric` (quantile bins) or `categorical` (a vocabulary).
        bins: Number of quantile bins of a numeric attribute.
        max_values: Size of a categorical attribute's vocabulary; rarer values become `(other)`.
        label: Heading in tables; the name by default.
    """

    name: str
    column: str
    kind: str = "categorical"
    bins: int = 5
    max_values: int = 64
    label: str = ""

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        _validate_name("attribute", self.name)
        if self.name in RESERVED:
            raise ValueError(
                "An attribute must not have the name of a chunk without an attribute or of a "
                f"slice: {', '.join(RESERVED)}. Received: {self.name!r}"
            )
        owner = f"attribute {self.name!r}"
        _validate_choice(owner, "kind", self.kind, ("numeric", "categorical"))
        _validate_range(owner, "bins", self.bins, 2, 1000)
        _validate_range(owner, "max_values", self.max_values, 1, 1_000_000)

    @property
    def heading(self) -> str:
        return self.label or self.name


@dataclasses.dataclass(frozen=True)
class Modality:
    """One kind of evidence about an item.

    Args:
        name: The modality's name.
        column: Column of the canonical `items` table (not used by the `id` encoder).
        encoder: `id` (a free embedding per item), `text` (a bag of the words of a string, weighted
            by tf-idf), `bag` (a bag of the entities of a list column, weighted by tf-idf), `hub`
            (a frozen tensorflow-hub module, run once per distinct content) or `precomputed` (the
            column holds the vectors).
        max_tokens: Size of the vocabulary of a `text` or `bag` modality.
        min_count: Items a token must occur in to enter the vocabulary.
        handle: Of a `hub` modality: an address or a local directory that `hub.load` takes, or the
            name of an encoder that `addrl encoders build` makes.
        preprocessing: Of a `hub` modality, what turns the column into the module's input: `none`
            (the strings themselves), `wordpiece` (tokens of the module's own vocabulary) or `image`
            (the column names a file; decoded, resized, scaled to 0..1).
        max_missing_share: Of a `hub` or `precomputed` modality: the share of the items that may
            lack it or have it broken; above it the run stops with their list.
    """

    name: str
    column: str = ""
    encoder: str = "bag"
    max_tokens: int = 20_000
    min_count: int = 2
    handle: str = ""
    preprocessing: str = "none"
    max_missing_share: float = 0.5

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        _validate_name("modality", self.name)
        owner = f"modality {self.name!r}"
        _validate_choice(owner, "encoder", self.encoder, ENCODERS)
        _validate_choice(owner, "preprocessing", self.preprocessing, PREPROCESSINGS)
        _validate_range(owner, "max_tokens", self.max_tokens, 1)
        _validate_range(owner, "min_count", self.min_count, 1)
        _validate_range(owner, "max_missing_share", self.max_missing_share, 0.0, 1.0)
        if self.encoder != "id" and not self.column:
            raise ValueError(
                f"{owner} with encoder {self.encoder!r} needs a column of the items table, as "
                "all but 'id' do. Received: column=''"
            )
        if self.encoder == "hub" and not self.handle:
            raise ValueError(
                f"{owner} with encoder 'hub' needs a handle: an address, a directory, or the name "
                "of an encoder that `addrl encoders build` makes. Received: handle=''"
            )
        if self.encoder != "hub" and (self.handle or self.preprocessing != "none"):
            raise ValueError(
                f"{owner} with encoder {self.encoder!r} takes neither handle nor preprocessing; "
                f"'hub' does. Received: handle={self.handle!r}, "
                f"preprocessing={self.preprocessing!r}"
            )

    @property
    def is_vector(self) -> bool:
        """Whether its features are dense vectors, made outside of Transform."""
        return self.encoder in ("hub", "precomputed")


@dataclasses.dataclass(frozen=True)
class StartConfig:
    """The closed-form start: which item-to-item weights `W` the towers are built from.

    `W` is a blend of EASE (Steck 2019) on the Gram matrix `X' diag(n^-user_exponent) X + sum_s
    weight_s F_s F_s'`, where `F_s` are the L2-normalised rows of a modality or the values of an
    attribute (side information enters as more "users"), of ItemKNN, of a low-pass filter on the
    graph of users and items, and of content neighbours. In the end `W` becomes `D^-a W D^a`, with
    `D` the number of users of each item and `a` the `popularity_exponent`. Auxiliary interactions,
    such as a rating below the bar or a view, enter as rows of their own: `X` gets further users.

    Args:
        kind: `closed_form`; `factored`, where a matrix of items by items does not fit: `W` is never
            formed, and blends `item_knn` and `spectral` alone; or `random`, without a teacher.
        blend: Weight of each part of `W` by name: `ease`, `item_knn`, `spectral`, or a modality or
            attribute for the nearest neighbours by it. Of several, each is first scaled to a mean
            row sum of 1.
        ease_lambda: Ridge of EASE.
        user_exponent: Power of a user's history length by which the user's row is weighted down.
        side_information: Weight of each modality or attribute in the Gram matrix, by name.
        auxiliary_weight: Weight of the auxiliary interactions in the Gram matrix; 0 leaves them
            unread.
        knn_shrink: Of ItemKNN: pulls similarities that rest on few users towards 0.
        knn_exponent: Of ItemKNN: asymmetry of the normalisation; .5 is the cosine.
        knn_neighbours: Of ItemKNN: neighbours kept per item.
        spectral_rank: Of the low-pass filter: dimensions kept.
        content_neighbours: Of a content part: neighbours kept per item.
        content_power: Of a content part: power of the cosine.
        popularity_exponent: Above 0, an item counts the less in a history and the more as a
            recommendation, the more users took it.
        affinity_ridge: Ridge of the regression of `W` on the attribute values.
    """

    kind: str = "closed_form"
    blend: tuple[tuple[str, float], ...] = ((EASE, 1.0),)
    ease_lambda: float = 100.0
    user_exponent: float = 0.0
    side_information: tuple[tuple[str, float], ...] = ()
    auxiliary_weight: float = 0.0
    knn_shrink: float = 30.0
    knn_exponent: float = 0.7
    knn_neighbours: int = 400
    spectral_rank: int = 128
    content_neighbours: int = 100
    content_power: float = 4.0
    popularity_exponent: float = 0.0
    affinity_ridge: float = 1.0

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        _validate_choice("start", "kind", self.kind, ("closed_form", "factored", "random"))
        _validate_range("start", "ease_lambda", self.ease_lambda, 1e-6)
        _validate_range("start", "user_exponent", self.user_exponent, 0.0, 2.0)
        _validate_range("start", "auxiliary_weight", self.auxiliary_weight, 0.0)
        _validate_range("start", "knn_shrink", self.knn_shrink, 0.0)
        _validate_range("start", "knn_exponent", self.knn_exponent, 0.0, 1.0)
        _validate_range("start", "knn_neighbours", self.knn_neighbours, 1)
        _validate_range("start", "spectral_rank", self.spectral_rank, 1)
        _validate_range("start", "content_neighbours", self.content_neighbours, 1)
        _validate_range("start", "content_power", self.content_power, 1e-6)
        _validate_range("start", "popularity_exponent", self.popularity_exponent, -1.0, 1.0)
        _validate_range("start", "affinity_ridge", self.affinity_ridge, 1e-6)
        for field in ("blend", "side_information"):
            for name, weight in getattr(self, field):
                _validate_range("start", f"{field}[{name!r}]", weight, 0.0)
        if not any(weight for _, weight in self.blend):
            raise ValueError(
                "start.blend needs at least one part with a weight above 0, such as "
                f"(('{EASE}', 1.0),). Received: {self.blend!r}"
            )
        dense = [name for name, weight in self.blend if weight and name not in FACTORED_PARTS]
        if self.kind == "factored" and dense:
            raise ValueError(
                "start.kind='factored' never forms a matrix of items by items, so start.blend may "
                f"have {' and '.join(FACTORED_PARTS)} alone; start.kind='closed_form' takes the "
                f"others. Received: {', '.join(map(repr, dense))}"
            )
        if self.auxiliary_weight and not dict(self.blend).get(EASE):
            raise ValueError(
                f"start.auxiliary_weight acts in the Gram matrix of {EASE!r}, so start.blend must "
                f"have it. Received: auxiliary_weight={self.auxiliary_weight:g} with "
                f"blend={self.blend!r}"
            )


@dataclasses.dataclass(frozen=True)
class NewItemsConfig:
    """How an item without interactions gets its place (`addrl_keras.new_items` has the formula).

    Args:
        evidence: Weight of each modality or attribute in the similarity of two items, by name.
            Empty: every content modality weighs 1, and all categorical attributes together 1.
        power: Power of the similarity; above 1 it favours the nearest.
        ridge: Of the regression; the larger, the more an item is a plain mean of similar ones.
        self_weight: What a similar item in the history counts by itself, beside what goes with it,
            relative to the weight that an average item's history has in all.
        landmarks: Items to learn from at most, the most taken. Memory grows with its square, time
            with its square for each new item, and with its cube for every 20,000 of them.
    """

    evidence: tuple[tuple[str, float], ...] = ()
    power: float = 2.0
    ridge: float = 1.0
    self_weight: float = 0.15
    landmarks: int = 20_000

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        _validate_range("new_items", "power", self.power, 1e-6)
        _validate_range("new_items", "ridge", self.ridge, 1e-6)
        _validate_range("new_items", "self_weight", self.self_weight, 0.0)
        _validate_range("new_items", "landmarks", self.landmarks, 1)
        for name, weight in self.evidence:
            _validate_range("new_items", f"evidence[{name!r}]", weight, 0.0)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The architecture of the two towers.

    Args:
        chunk_dim: Width `c` of a modality's chunk; of the paper's recipe, of every chunk.
        value_dim: Largest width of an attribute chunk in the score. An attribute of no more values
            has one dimension a value, and its chunk tells them apart exactly; of more, the
            dimensions that its affinities use most.
        residual_dim: Width of the residual chunk in the score.
        memory_size: Entries kept per item of the sparse memory chunk; 0 leaves the chunk out.
        fusion: `attention` over modalities, or `uniform` weights.
        user_embedding: Adds a free embedding per known user to the user tower.
        target_strength: How strongly a wanted value (`attribute_targets`) acts: the boost of an
            item that has the value, in standard deviations of the user's scores over the catalogue.
    """

    chunk_dim: int = 32
    value_dim: int = 512
    residual_dim: int = 64
    memory_size: int = 128
    fusion: str = "attention"
    user_embedding: bool = False
    target_strength: float = 2.0

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        _validate_range("model", "chunk_dim", self.chunk_dim, 1)
        _validate_range("model", "value_dim", self.value_dim, 1)
        _validate_range("model", "residual_dim", self.residual_dim, 1)
        _validate_range("model", "memory_size", self.memory_size, 0)
        _validate_choice("model", "fusion", self.fusion, ("attention", "uniform"))
        _validate_range("model", "target_strength", self.target_strength, 0.0)


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the training terms; 0 switches a term off.

    The paper's `intra` and `inter` are off: the value heads alone tell the values of items that
    nobody has told about as well (docs/explain-and-steer.md), and without the two no weight of the
    content side belongs to two attributes.

    Args:
        preference: Prediction of held-out items given the rest of the user's history.
        intra: Chunk classification within a modality (the paper's alpha).
        inter: Chunk contrast between modalities (the paper's beta).
        value: Attribute value heads on the fused chunks (the paper's gamma).
        l2: Squared length of the embeddings of a batch (the paper's r; its recipe alone has it).
        preference_kind: How it is predicted: `softmax` over the whole catalogue, `sampled_softmax`
            over `num_negatives` drawn items, `in_batch_softmax` over the targets of the batch,
            `bpr` against the hardest of `num_negatives` items of each user, or `distillation` of
            the closed-form teacher. `softmax` and `distillation` score the catalogue in each step;
            the others never do.
        num_negatives: Of `sampled_softmax`, for the batch (a thousand or more), and of `bpr`, for
            each user (a handful, of which the hardest counts).
        distillation_power: Power of the teacher's scores; a higher one asks for the top alone.
    """

    preference: float = 1.0
    intra: float = 0.0
    inter: float = 0.0
    value: float = 1.0
    l2: float = 0.0
    preference_kind: str = "softmax"
    num_negatives: int = 1024
    distillation_power: float = 3.0

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        for name in ("preference", "intra", "inter", "value", "l2"):
            _validate_range("losses", name, getattr(self, name), 0.0)
        _validate_choice("losses", "preference_kind", self.preference_kind, list_kinds())
        _validate_range("losses", "num_negatives", self.num_negatives, 1)
        _validate_range("losses", "distillation_power", self.distillation_power, 1e-6)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the model is fitted.

    Args:
        content_epochs: Largest number of passes over the items that train the content side
            (modality chunks, fusion, heads) alone; each attribute keeps the one that is best for it
            on the items held out.
        content_held_out: Share of the items with content and known values on which these passes are
            chosen, at most .5 and 5,000 items; 0, or a share of fewer than 50 items, trains on all,
            for all passes. Without `refit` they are never trained on.
        content_patience: Passes without a better prediction of any attribute's values held out
            after which the training of the content side stops.
        epochs: Largest number of passes over the users; the best one on validation is kept, the
            start counts as one.
        batch_size: Users per step.
        item_batch_size: Items per step for the content losses, at most: a pass has four steps or
            more.
        learning_rate: Of Adam, for the towers, with cosine decay.
        content_learning_rate: Of Adam, for the content side.
        keep_share: Bounds of the random share of a history that the user tower sees; the rest are
            the targets.
        validation_users: Of our recipe: users at most whose validation items are ranked after
            every epoch.
        hold_users: Of our recipe: users at most on whose validation items the weights are chosen
            that hold a list while a value is wanted; 0 leaves them all at 1.
        patience: Epochs without a better validation NDCG after which training stops; of the paper's
            recipe, looks at validation, one every five epochs.
        negatives: Of the paper's recipe: items drawn for each interaction, of which the hardest
            counts.
        refit: Fit again on train + validation, for the number of epochs found on validation; the
            content side on all items, for the number found on those held out.
        seed: Of every generator.
    """

    content_epochs: int = 32
    content_held_out: float = 0.1
    content_patience: int = 3
    epochs: int = 10
    batch_size: int = 256
    item_batch_size: int = 256
    learning_rate: float = 3e-4
    content_learning_rate: float = 5e-3
    keep_share: tuple[float, float] = (0.3, 0.7)
    validation_users: int = 20_000
    hold_users: int = 1500
    patience: int = 4
    negatives: int = 8
    refit: bool = True
    seed: int = 0

    def validate(self) -> None:
        """Raises `ValueError` that names the field, the value received and what is allowed."""
        _validate_range("training", "content_epochs", self.content_epochs, 0)
        _validate_range("training", "content_patience", self.content_patience, 1)
        _validate_range("training", "content_held_out", self.content_held_out, 0.0, 0.5)
        _validate_range("training", "epochs", self.epochs, 0)
        _validate_range("training", "batch_size", self.batch_size, 1)
        _validate_range("training", "item_batch_size", self.item_batch_size, 1)
        _validate_range("training", "learning_rate", self.learning_rate, 0.0)
        _validate_range("training", "content_learning_rate", self.content_learning_rate, 0.0)
        _validate_range("training", "validation_users", self.validation_users, 1)
        _validate_range("training", "hold_users", self.hold_users, 0)
        _validate_range("training", "patience", self.patience, 1)
        _validate_range("training", "negatives", self.negatives, 1)
        low, high = self.keep_share
        if not 0.0 < low <= high < 1.0:
            raise ValueError(
                "training.keep_share must satisfy 0 < low <= high < 1. "
                f"Received: {self.keep_share!r}"
            )


@dataclasses.dataclass(frozen=True)
class Config:
    """A whole model.

    Args:
        attributes: The item attributes, in the order of the chunks.
        modalities: The kinds of evidence about an item.
        start: Of our recipe: what the towers are built from.
        model: The architecture.
        losses: Weights of the training terms.
        training: How the model is fitted.
        new_items: Of our recipe: how an item without interactions gets its place.
        recipe: `construction`, ours (`addrl_keras.closed_form`), or `paper`, that of AD-DRL as
            published (`addrl_keras.paper`).

    Example:
        >>> genre, item_id = Attribute("genre", "genres"), Modality("id", encoder="id")
        >>> config = Config(attributes=(genre,), modalities=(item_id,))
        >>> config.validate()
        >>> config.chunk_names
        ('genre', 'residual', 'memory')
    """

    attributes: tuple[Attribute, ...]
    modalities: tuple[Modality, ...]
    start: StartConfig = StartConfig()
    model: ModelConfig = ModelConfig()
    losses: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    new_items: NewItemsConfig = NewItemsConfig()
    recipe: str = CONSTRUCTION

    def validate(self) -> None:
        """Raises `ValueError` that names the part, the value received and what is allowed."""
        _validate_choice("config", "recipe", self.recipe, (CONSTRUCTION, PAPER))
        if not self.attributes:
            raise ValueError("A model needs at least one attribute. Received: no attributes")
        parts: tuple[Any, ...] = (*self.attributes, *self.modalities)
        sections = (self.start, self.model, self.losses, self.training, self.new_items)
        for part in (*parts, *sections):
            part.validate()
        # One name for an attribute and a modality would make `side_information` ambiguous.
        names = (*self.attribute_names, *self.modality_names)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    "The names of attributes and modalities must be unique. "
                    f"Received: {name!r} twice"
                )
        if sum(modality.encoder == "id" for modality in self.modalities) != 1:
            raise ValueError(
                "Exactly one modality must have the encoder 'id'. "
                f"Received: {[(part.name, part.encoder) for part in self.modalities]}"
            )
        if self.start.kind == "factored":
            self._validate_factored()
        self._validate_evidence()
        if self.recipe == PAPER:
            self._validate_paper()

    def _validate_paper(self) -> None:
        """Validates what the paper's recipe has no other choice of."""
        if self.model.memory_size:
            raise ValueError(
                "The paper's recipe has no memory: set model.memory_size to 0. "
                f"Received: {self.model.memory_size}"
            )
        if self.model.residual_dim != self.model.chunk_dim:
            raise ValueError(
                "The paper's chunks are all of one width: set model.residual_dim to "
                f"model.chunk_dim, {self.model.chunk_dim}. Received: {self.model.residual_dim}"
            )

    def _validate_factored(self) -> None:
        """Validates what goes with a start that never forms a matrix of items by items."""
        parts = [name for name, weight in self.start.blend if weight]
        if self.model.memory_size and ITEM_KNN not in parts:
            raise ValueError(
                "start.kind='factored' takes the memory out of the pairs that item_knn knows; give "
                "item_knn a weight in start.blend, or set model.memory_size to 0. "
                f"Received: {', '.join(map(repr, parts))}"
            )
        if self.losses.preference_kind == "distillation":
            raise ValueError(
                "losses.preference_kind='distillation' needs the dense teacher that "
                "start.kind='factored' avoids; set start.kind to 'closed_form', or another kind of "
                "loss. Received: 'factored'"
            )

    def _validate_evidence(self) -> None:
        """Validates names that stand for an attribute or for a modality computed from content."""
        known = {*self.attribute_names, *(part.name for part in self.content_modalities)}
        for name in sorted(known & {*TEACHER_PARTS}):
            raise ValueError(
                f"{name!r} names a part of the teacher; choose another name for the attribute or "
                "modality."
            )
        for field, pairs, more in (
            ("start.side_information", self.start.side_information, set()),
            ("start.blend", self.start.blend, {*TEACHER_PARTS}),
            ("new_items.evidence", self.new_items.evidence, set()),
        ):
            for name, _ in pairs:
                if name not in known | more:
                    raise ValueError(
                        f"{field} must name attributes or content modalities, out of "
                        f"{', '.join(sorted(known | more))}. Received: {name!r}"
                    )

    @property
    def reads_auxiliary(self) -> bool:
        """Whether fitting reads auxiliary interactions: the teacher alone has a use for them."""
        has_teacher = self.start.kind != "random" or self.losses.preference_kind == "distillation"
        return self.recipe == CONSTRUCTION and has_teacher and self.start.auxiliary_weight > 0

    @property
    def content_modalities(self) -> tuple[Modality, ...]:
        """The modalities that are computed from an item's content, i.e. all but `id`."""
        return tuple(modality for modality in self.modalities if modality.encoder != "id")

    @property
    def vector_modalities(self) -> tuple[Modality, ...]:
        """The modalities whose features are dense vectors, made outside of Transform."""
        return tuple(modality for modality in self.modalities if modality.is_vector)

    @property
    def modality_names(self) -> tuple[str, ...]:
        return tuple(modality.name for modality in self.modalities)

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return tuple(attribute.name for attribute in self.attributes)

    @property
    def chunk_names(self) -> tuple[str, ...]:
        """Names of the chunks a score is a sum over, in the order of every contribution."""
        memory = (MEMORY,) if self.model.memory_size else ()
        return (*self.attribute_names, RESIDUAL, *memory)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the canonical items table that the model needs, beside `item_id`."""
        parts: tuple[Any, ...] = (*self.attributes, *self.content_modalities)
        return tuple(dict.fromkeys(part.column for part in parts))

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-able dict from which `from_dict` makes an equal configuration."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Config:
        """Inverse of `to_dict`; lists are taken for tuples, as JSON returns them."""
        start = _make_pairs(data.get("start", {}), "blend", "side_information")
        new_items = _make_pairs(data.get("new_items", {}), "evidence")
        training = dict(data.get("training", {}))
        if "keep_share" in training:
            training["keep_share"] = tuple(training["keep_share"])
        return cls(
            attributes=tuple(Attribute(**item) for item in data["attributes"]),
            modalities=tuple(Modality(**item) for item in data["modalities"]),
            start=StartConfig(**start),
            model=ModelConfig(**data.get("model", {})),
            losses=LossConfig(**data.get("losses", {})),
            training=TrainingConfig(**training),
            new_items=NewItemsConfig(**new_items),
            recipe=data.get("recipe", CONSTRUCTION),
        )


def _make_pairs(section: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    """Returns a section with its lists of (name, weight) as tuples."""
    pairs = {
        field: tuple((name, weight) for name, weight in section[field])
        for field in fields
        if field in section
    }
    return {**section, **pairs}
