"""The networks of the local encoders, against numpy, with small random weights."""

import math

import numpy as np
import pytest

WIDTH, INNER, WORDS = 24, 48, 30
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """Weights by PyTorch's names, and the module made of them."""
    from tfx_pipeline.encoders.minilm import MiniLM

    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(0.0, 0.3, shape).astype(np.float32)

    weights = {
        "embeddings.position_ids": np.arange(9)[np.newaxis],
        "embeddings.word_embeddings.weight": draw(WORDS, WIDTH),
        "embeddings.position_embeddings.weight": draw(9, WIDTH),
        "embeddings.token_type_embeddings.weight": draw(2, WIDTH),
        "embeddings.LayerNorm.weight": 1 + draw(WIDTH),
        "embeddings.LayerNorm.bias": draw(WIDTH),
    }
    for number in range(6):
        prefix = f"encoder.layer.{number}."
        for name, rows, columns in (
            ("attention.self.query", WIDTH, WIDTH),
            ("attention.self.key", WIDTH, WIDTH),
            ("attention.self.value", WIDTH, WIDTH),
            ("attention.output.dense", WIDTH, WIDTH),
            ("intermediate.dense", INNER, WIDTH),
            ("output.dense", WIDTH, INNER),
        ):
            weights[f"{prefix}{name}.weight"] = draw(rows, columns)
            weights[f"{prefix}{name}.bias"] = draw(rows)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            weights[f"{prefix}{name}.weight"] = 1 + draw(WIDTH)
            weights[f"{prefix}{name}.bias"] = draw(WIDTH)
    vocabulary = tmp_path_factory.mktemp("minilm") / "vocab.txt"
    vocabulary.write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n")
    return weights, MiniLM(weights, str(vocabulary))


def compute_minilm(weights, ids):
    """The vector of one sentence, by the formulas of BERT in float64."""

    def normalize(name, x):
        mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
        scaled = (x - mean) / np.sqrt(variance + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def dense(name, x):
        return x @ weights[f"{name}.weight"].T.astype(float) + weights[f"{name}.bias"]

    words = weights["embeddings.word_embeddings.weight"][ids].astype(float)
    places = weights["embeddings.position_embeddings.weight"][: len(ids)]
    types = weights["embeddings.token_type_embeddings.weight"][0]
    x = normalize("embeddings.LayerNorm", words + places + types)
    erf = np.vectorize(math.erf)
    for number in range(6):
        name = f"encoder.layer.{number}"
        query, key, value = (
            dense(f"{name}.attention.self.{part}", x).reshape(len(ids), 12, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        logits = query @ key.swapaxes(1, 2) / np.sqrt(WIDTH / 12)
        share = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        joined = (share @ value).swapaxes(0, 1).reshape(len(ids), WIDTH)
        attended = dense(f"{name}.attention.output.dense", joined)
        x = normalize(f"{name}.attention.output.LayerNorm", x + attended)
        inner = dense(f"{name}.intermediate.dense", x)
        inner = inner * 0.5 * (1 + erf(inner / np.sqrt(2)))
        x = normalize(f"{name}.output.LayerNorm", x + dense(f"{name}.output.dense", inner))
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def run_minilm(module, sentences):
    from tfx_pipeline.encoders.preprocessing import WordPiece

    inputs = WordPiece.collate(None, sentences)
    return module(inputs)["default"].numpy()


def test_minilm_is_bert_with_mean_pooling(minilm):
    weights, module = minilm
    sentences = [[2, 7, 9, 3], [2, 3], [2, 29, 28, 27, 5, 5, 5, 5, 3]]
    expected = [compute_minilm(weights, ids) for ids in sentences]
    np.testing.assert_allclose(run_minilm(module, sentences), expected, atol=2e-6)


def test_minilm_gives_a_sentence_the_same_vector_in_any_batch(minilm):
    _, module = minilm
    sentences = [[2, 7, 9, 3], [2, 29, 28, 27, 5, 5, 5, 5, 3]]
    together = run_minilm(module, sentences)
    alone = np.concatenate([run_minilm(module, [ids]) for ids in sentences])
    np.testing.assert_allclose(together, alone, atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-6)


@pytest.fixture(scope="module")
def efficientnet():
    """Random weights in the shapes of the network, narrow where they may be, and its module."""
    from tfx_pipeline.encoders.efficientnet import EfficientNetLite0

    rng = np.random.default_rng(0)
    weights = {}

    def add(convolution, norm, *shape):
        scale = 1.0 / np.sqrt(np.prod(shape[1:]))
        weights[f"{convolution}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        weights[f"{norm}.weight"] = rng.uniform(0.5, 2.0, shape[0]).astype(np.float32)
        weights[f"{norm}.bias"] = rng.normal(0, 0.5, shape[0]).astype(np.float32)
        weights[f"{norm}.running_mean"] = rng.normal(0, 0.5, shape[0]).astype(np.float32)
        weights[f"{norm}.running_var"] = rng.uniform(0.5, 2.0, shape[0]).astype(np.float32)

    add("_conv_stem", "_bn0", 4, 3, 3, 3)
    for number in range(sum(_BLOCKS)):
        prefix = f"_blocks.{number}."
        if number:
            add(f"{prefix}_expand_conv", f"{prefix}_bn0", 8, 4, 1, 1)
        wide = 8 if number else 4
        size = 5 if number % 2 else 3
        add(f"{prefix}_depthwise_conv", f"{prefix}_bn1", wide, 1, size, size)
        add(f"{prefix}_project_conv", f"{prefix}_bn2", 4, wide, 1, 1)
    add("_conv_head", "_bn1", 10, 4, 1, 1)
    return weights, EfficientNetLite0(weights)


def test_efficientnet_counts_its_blocks_and_strides(efficientnet):
    _, module = efficientnet
    assert [block.stride for block in module.blocks] == [
        1,
        2,
        1,
        2,
        1,
        2,
        1,
        1,
        1,
        1,
        1,
        2,
        1,
        1,
        1,
        1,
    ]
    images = np.random.default_rng(1).uniform(size=(3, 224, 224, 3)).astype(np.float32)
    vectors = module(images).numpy()
    assert vectors.shape == (3, 10) and vectors.min() >= 0 and vectors.max() <= 6
    alone = np.concatenate([module(images[i : i + 1]).numpy() for i in range(3)])
    np.testing.assert_allclose(vectors, alone, atol=1e-5)


def test_a_folded_convolution_is_convolution_then_normalisation(efficientnet):
    from tfx_pipeline.encoders.efficientnet import _convolve, _fold

    weights, _ = efficientnet
    x = np.random.default_rng(2).normal(size=(2, 5, 5, 4)).astype(np.float32)
    folded = _convolve(_fold(weights, "_conv_head", "_bn1"), x).numpy()
    plain = x.astype(float) @ weights["_conv_head.weight"][:, :, 0, 0].T
    scale = weights["_bn1.weight"] / np.sqrt(weights["_bn1.running_var"] + 1e-3)
    expected = (plain - weights["_bn1.running_mean"]) * scale + weights["_bn1.bias"]
    np.testing.assert_allclose(folded, expected, atol=1e-5)


def test_strided_convolutions_pad_as_tensorflow_does(efficientnet):
    """A kernel of ones counts the places it covers: with stride 2, 'SAME' pads right and below."""
    import tensorflow as tf

    from tfx_pipeline.encoders.efficientnet import _convolve

    layer = (tf.ones((3, 3, 1, 1)), tf.zeros(1))
    counts = _convolve(layer, tf.ones((1, 4, 4, 1)), stride=2).numpy()[0, :, :, 0]
    np.testing.assert_array_equal(counts, [[9, 6], [6, 4]])
