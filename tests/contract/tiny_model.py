"""A whole SavedModel of five users and six items whose every answer is known in closed form.

It honours the serving contract with plain TensorFlow ops, so that the server and the client can be
tested without training anything. `python tiny_model.py FOLDER` writes version 1 under FOLDER, for
a test against the real TensorFlow Serving (see tests of ADDRL_SERVING_ADDRESS in docs/serving.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

USERS = ("u0", "u1", "u2", "u3", "u4")
ITEMS = ("i0", "i1", "i2", "i3", "i4", "i5")
ATTRIBUTES = ("year", "genre")
CHUNKS = ("year", "genre", "residual")
MODALITIES = ("id", "title")
# Values of each item, "" where it is unknown.
VALUES = (
    ("old", "Comedy"),
    ("old", "Drama"),
    ("new", "Comedy"),
    ("new", "Drama"),
    ("new", ""),
    ("old", "Comedy"),
)
# [users, chunks] and [items, chunks]: contribution = user x item, score = their sum.
USER_CHUNKS = ((1.0, 0.5, 0.1), (0.2, 2.0, 0.3), (0.0, 1.0, 1.0), (3.0, 0.1, 0.2), (0.5, 0.5, 0.5))
ITEM_CHUNKS = (
    (0.1, 0.9, 0.6),
    (0.2, 0.4, 0.5),
    (0.8, 0.7, 0.4),
    (0.9, 0.3, 0.3),
    (0.7, 0.0, 0.2),
    (0.3, 0.8, 0.1),
)
SEEN = (("i2",), ("i0", "i5"), (), ("i3",), ())
PRIOR = (0.0, 0.0, 1.0)
TARGET_STRENGTH = 10.0
# What `explain` and `profile` say of everybody.
HISTORY_SHARES, CATALOGUE_SHARES = (0.75, 0.5), (0.5, 0.6)
POPULATION = (0.5, 0.25, 0.25)
VALUE_NAMES = ("year=old", "year=new", "genre=Comedy", "genre=Drama")
AFFINITIES = (-1.0, 1.0, 0.5, 0.25)
HOLD_WEIGHTS = ((1.0, 2.0, 0.5), (1.5, 1.0, 1.0))
DEFAULT_K = 3


def compute_contributions(user: tuple[float, ...], item: int, weights=(1.0, 1.0, 1.0)):
    """Returns the contributions of one item for a user's chunks, in plain Python."""
    return [w * u * y for w, u, y in zip(weights, user, ITEM_CHUNKS[item], strict=True)]


def compute_ranking(user: tuple[float, ...], weights=(1.0, 1.0, 1.0)) -> list[tuple[str, float]]:
    """Returns all items with their scores, best first."""
    scores = [
        (name, sum(compute_contributions(user, number, weights)))
        for number, name in enumerate(ITEMS)
    ]
    return sorted(scores, key=lambda pair: -pair[1])


def history_chunks(history: list[str]) -> tuple[float, ...]:
    """Returns the chunks of an unknown user: the mean of the items in the history."""
    rows = [ITEM_CHUNKS[ITEMS.index(item)] for item in history]
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))


def make_module(scale: float = 1.0):
    """Makes the tf.Module; `scale` multiplies every score, to tell versions apart."""
    import tensorflow as tf

    class TinyModel(tf.Module):
        """See the module's docstring."""

        def __init__(self):
            super().__init__()
            self.user_chunks = tf.Variable(USER_CHUNKS, dtype=tf.float32)
            self.item_chunks = tf.Variable(ITEM_CHUNKS, dtype=tf.float32)
            self.scale = tf.Variable(scale, dtype=tf.float32)
            # A table, because its initialiser is what a careless loader forgets to run.
            self.item_table = _make_table(tf, ITEMS)
            self.user_table = _make_table(tf, USERS)

        def find_items(self, ids, what="item"):
            """Returns item numbers, and stops at an id that is not in the catalogue."""
            numbers = self.item_table.lookup(ids)
            bad = tf.boolean_mask(ids, numbers < 0)
            known = tf.debugging.Assert(tf.equal(tf.size(bad), 0), [f"unknown {what}:", bad])
            with tf.control_dependencies([known]):
                return tf.identity(numbers)

        def encode_users(self, user_id, history_ids):
            """Returns user chunks [B, K] and the source of each [B]."""
            users = self.user_table.lookup(user_id)
            past = self.item_table.lookup(history_ids)
            mask = tf.cast(past >= 0, tf.float32)[..., tf.newaxis]
            rows = tf.gather(self.item_chunks, tf.maximum(past, 0)) * mask
            count = tf.broadcast_to(tf.reduce_sum(mask, axis=1), [tf.size(user_id), 1])
            mean = tf.reduce_sum(rows, axis=1) / tf.maximum(count, 1.0)
            stored = tf.gather(self.user_chunks, tf.maximum(users, 0))
            prior = tf.constant([PRIOR])
            chunks = tf.where(count > 0, mean, tf.where(users[:, tf.newaxis] >= 0, stored, prior))
            source = tf.where(count[:, 0] > 0, "history", tf.where(users >= 0, "user", "prior"))
            return chunks * self.scale, source

        def match(self, wanted):
            """Returns, for each attribute, which items have one of the wanted values: [A, B, N]."""
            names = [f"{a}={row[n]}" for n, a in enumerate(ATTRIBUTES) for row in VALUES]
            known = tf.reduce_any(wanted[..., tf.newaxis] == tf.constant([*names, ""]), axis=-1)
            bad = tf.boolean_mask(wanted, ~known)
            valid = tf.debugging.Assert(
                tf.equal(tf.size(bad), 0), ["unknown attribute or value:", bad]
            )
            with tf.control_dependencies([valid]):
                wanted = tf.identity(wanted)
            masks = []
            for number, attribute in enumerate(ATTRIBUTES):
                items = tf.constant([f"{attribute}={row[number]}" for row in VALUES])
                hits = tf.reduce_any(wanted[..., tf.newaxis] == items, axis=1)
                asked = tf.reduce_any(
                    tf.strings.regex_full_match(wanted, f"{attribute}=.*"), axis=1
                )
                masks.append((hits, asked))
            return masks

        def steer(self, chunks, weights, targets, strength, hold):
            """Returns all contributions [B, N, K], and what of them is wished [B, N, A]."""
            parts = chunks[:, tf.newaxis] * self.item_chunks * weights[:, tf.newaxis]
            matches = [tf.cast(hits, tf.float32) for hits, _ in self.match(targets)]
            wanted = tf.minimum(tf.add_n(matches), 1.0)[..., tf.newaxis]
            parts *= 1.0 + wanted * (hold[:, tf.newaxis] - 1.0)
            wished = strength[:, tf.newaxis, tf.newaxis] * tf.stack(matches, axis=-1)
            wished = tf.pad(wished, [[0, 0], [0, 0], [0, 1]])
            return parts + wished, wished

        def rank(
            self, user_id, k, history, exclude, seen, weights, targets, filters, strength, hold
        ):
            """Does the work of recommend."""
            valid = tf.debugging.Assert(
                (k >= 1) & (k <= len(ITEMS)), ["k must be in 1..6, received:", k]
            )
            with tf.control_dependencies([valid]):
                k = tf.identity(k)
            chunks, source = self.encode_users(user_id, history)
            parts, _ = self.steer(chunks, weights, targets, strength, hold)
            banned = tf.reduce_any(exclude[..., tf.newaxis] == tf.constant(ITEMS), axis=1)
            for hits, asked in self.match(filters):
                banned |= asked[:, tf.newaxis] & ~hits
            known = tf.constant([[item in row for item in ITEMS] for row in (*SEEN, ())])
            owner = self.user_table.lookup(user_id)
            owner = tf.where(owner < 0, tf.constant(len(USERS), tf.int64), owner)
            banned |= seen & tf.gather(known, owner)
            scores = tf.where(banned, float("-inf"), tf.reduce_sum(parts, axis=-1))
            top, order = tf.math.top_k(scores, k)
            missing = tf.math.is_inf(top)
            picked = tf.gather(tf.constant(ITEMS), order)
            values = tf.gather(tf.constant(VALUES), order)
            return {
                "item_ids": tf.where(missing, "", picked),
                "scores": top,
                "contributions": tf.gather(parts, order, batch_dims=1),
                "average_contributions": tf.reduce_mean(parts, axis=1),
                "contribution_names": tf.constant(CHUNKS),
                "attribute_values": tf.where(missing[..., tf.newaxis], "", values),
                "source": source,
            }

    return TinyModel()


def _make_table(tf, names):
    rows = tf.lookup.KeyValueTensorInitializer(
        tf.constant(names), tf.range(len(names), dtype=tf.int64)
    )
    return tf.lookup.StaticHashTable(rows, -1)


def _parse(tf, examples):
    features = {name: tf.io.FixedLenFeature([], tf.string, "") for name in ("user_id", "item_id")}
    return tf.io.parse_example(examples, features)


def make_signatures(module) -> dict:
    """Makes the eight signatures of the contract, with defaults for the optional inputs."""
    import tensorflow as tf

    ids, rows = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)
    none = tf.constant([[""]])
    default_k, no = tf.constant(DEFAULT_K), tf.constant(False)
    ones, strong = tf.ones([1, len(CHUNKS)]), tf.constant([TARGET_STRENGTH])
    scalar_k = tf.TensorSpec([], tf.int32)
    weights_spec = tf.TensorSpec([None, len(CHUNKS)], tf.float32)

    @tf.function(
        input_signature=[
            ids, scalar_k, rows, rows, tf.TensorSpec([], tf.bool), weights_spec, rows, rows,
            tf.TensorSpec([None], tf.float32), weights_spec,
        ]
    )  # fmt: skip
    def recommend(
        user_id,
        k=default_k,
        history_ids=none,
        exclude_ids=none,
        exclude_seen=no,
        attribute_weights=ones,
        attribute_targets=none,
        attribute_filters=none,
        target_strength=strong,
        hold_weights=ones,
    ):
        return module.rank(
            user_id, k, history_ids, exclude_ids, exclude_seen,
            attribute_weights, attribute_targets, attribute_filters, target_strength, hold_weights,
        )  # fmt: skip

    @tf.function(
        input_signature=[
            ids, ids, rows, weights_spec, rows, tf.TensorSpec([None], tf.float32), weights_spec
        ]
    )  # fmt: skip
    def explain(
        user_id,
        item_id,
        history_ids=none,
        attribute_weights=ones,
        attribute_targets=none,
        target_strength=strong,
        hold_weights=ones,
    ):
        chunks, _ = module.encode_users(user_id, history_ids)
        items, batch = module.find_items(item_id), tf.size(user_id)
        all_parts, wished = module.steer(
            chunks, attribute_weights, attribute_targets, target_strength, hold_weights
        )
        parts = tf.gather(all_parts, items, batch_dims=1)
        weights = tf.constant([[[0.75, 0.25]] * len(CHUNKS)])
        # One piece of evidence, the first item, that argues with half of the score.
        return {
            "score": tf.reduce_sum(parts, axis=-1),
            "contributions": parts,
            "target_contributions": tf.gather(
                tf.broadcast_to(wished, tf.shape(all_parts)), items, batch_dims=1
            ),
            "modality_weights": tf.tile(weights, [batch, 1, 1]),
            "contribution_names": tf.constant(CHUNKS),
            "modality_names": tf.constant(MODALITIES),
            "evidence_ids": tf.tile([["i0", ""]], [batch, 1]),
            "evidence_contributions": tf.stack([parts / 2.0, tf.zeros_like(parts)], axis=1),
            "average_contributions": tf.reduce_mean(all_parts, axis=1),
            "attribute_values": tf.gather(tf.constant(VALUES), items),
            "typical_values": tf.gather(tf.constant(VALUES), items),
            "history_shares": tf.tile([HISTORY_SHARES], [batch, 1]),
            "catalogue_shares": tf.tile([CATALOGUE_SHARES], [batch, 1]),
        }

    @tf.function(input_signature=[ids, rows])
    def profile(user_id, history_ids=none):
        chunks, source = module.encode_users(user_id, history_ids)
        batch = tf.size(user_id)
        return {
            "source": source,
            "importance": chunks / tf.reduce_sum(chunks, axis=1, keepdims=True),
            "population_importance": tf.constant(POPULATION),
            "contribution_names": tf.constant(CHUNKS),
            "value_names": tf.constant(VALUE_NAMES),
            "value_affinities": tf.tile([AFFINITIES], [batch, 1]) * chunks[:, :1],
            "value_expected_shares": tf.tile([[0.75, 0.25, 0.5, 0.5]], [batch, 1]),
            "population_expected_shares": tf.constant([0.5, 0.5, 0.6, 0.4]),
            "value_history_shares": tf.tile([[0.75, 0.25, 0.5, 0.5]], [batch, 1]),
            "value_catalogue_shares": tf.constant([0.5, 0.5, 0.6, 0.4]),
            "hold_weights": tf.constant(HOLD_WEIGHTS),
        }

    @tf.function(input_signature=[ids, scalar_k, weights_spec])
    def similar_items(item_id, k=default_k, attribute_weights=ones):
        found = tf.gather(module.item_chunks, module.find_items(item_id))
        parts = found[:, tf.newaxis] * module.item_chunks * attribute_weights[:, tf.newaxis]
        scores = tf.reduce_sum(parts, axis=-1)
        scores = tf.where(item_id[:, tf.newaxis] == tf.constant(ITEMS), float("-inf"), scores)
        top, order = tf.math.top_k(scores, k)
        return {
            "item_ids": tf.where(tf.math.is_inf(top), "", tf.gather(tf.constant(ITEMS), order)),
            "scores": top,
            "contributions": tf.gather(parts, order, batch_dims=1),
        }

    @tf.function(input_signature=[ids, rows])
    def score(user_id, item_ids):
        chunks, _ = module.encode_users(user_id, none)
        numbers = module.item_table.lookup(item_ids)
        items = tf.gather(module.item_chunks, tf.maximum(numbers, 0))
        scores = tf.reduce_sum(chunks[:, tf.newaxis] * items, axis=-1)
        return {"scores": tf.where(numbers < 0, float("nan"), scores)}

    @tf.function(input_signature=[ids])
    def serving_default(examples):
        user_id = _parse(tf, examples)["user_id"]
        neutral = (none, none, no, ones, none, none, strong, ones)
        outputs = module.rank(user_id, default_k, *neutral)
        outputs["contribution_names"] = tf.tile([CHUNKS], [tf.size(examples), 1])
        return outputs

    @tf.function(input_signature=[ids])
    def evaluate(examples):
        rows = _parse(tf, examples)
        chunks, _ = module.encode_users(rows["user_id"], none)
        scores = tf.linalg.matmul(chunks, module.item_chunks, transpose_b=True)
        own = tf.gather(scores, module.find_items(rows["item_id"]), batch_dims=1)
        better = tf.cast(scores > own[:, tf.newaxis], tf.int64)
        rank = 1 + tf.reduce_sum(better, axis=1)
        return {"rank": rank, "relevant_count": tf.ones_like(rank)}

    @tf.function(input_signature=[ids])
    def evaluate_slices(examples):
        numbers = module.find_items(_parse(tf, examples)["item_id"])
        values = tf.gather(tf.constant(VALUES), numbers)
        return {name: values[:, n] for n, name in enumerate(ATTRIBUTES)}

    functions = (recommend, explain, profile, similar_items, score, serving_default, evaluate)
    return {f.__name__: f for f in (*functions, evaluate_slices)}


def write_tiny_model(base: Path, version: int = 1, scale: float = 1.0, warmup: str = "i0") -> Path:
    """Writes a version of the model.

    Args:
        base: folder of the versions.
        version: its number.
        scale: multiplies every score, to tell versions apart.
        warmup: item id asked for in the warm-up record; an unknown one makes the version fail.

    Returns:
        The version's folder. It appears under its number only when it is whole.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    draft = base / f"draft-{version}"
    module = make_module(scale)
    tf.saved_model.save(module, str(draft), signatures=make_signatures(module))
    extra = draft / "assets.extra"
    extra.mkdir()
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.signature_name = "similar_items"
    request.inputs["item_id"].CopyFrom(tf.make_tensor_proto([warmup]))
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    return draft.rename(base / str(version))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    print(write_tiny_model(folder))
