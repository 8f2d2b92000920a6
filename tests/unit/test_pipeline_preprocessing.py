"""Preprocessing on a handful of items, against values counted by hand."""

import dataclasses
import math

import numpy as np
import pytest

from addrl_keras.config import Attribute, Config, Modality

ITEMS = [
    {"item_id": ["a"], "title": ["Robot, Robot & Galaxy"], "year": [1950], "genres": ["x", "y"]},
    {"item_id": ["b"], "title": ["ROBOT dawn"], "year": [1960], "genres": ["x"]},
    {"item_id": ["c"], "title": ["Galaxy Dusk"], "year": [1970], "genres": ["z"]},
    {"item_id": ["d"], "title": [], "year": [], "genres": []},
    {"item_id": ["e"], "title": ["!!!"], "year": [1980], "genres": ["x", "y", "w"]},
]
CONFIG = Config(
    attributes=(
        Attribute("year", "year", kind="numeric", bins=2),
        Attribute("genre", "genres", max_values=2),
    ),
    modalities=(
        Modality("id", encoder="id"),
        Modality("title", "title", encoder="text", min_count=2),
        Modality("tags", "genres", encoder="bag", min_count=1),
    ),
)


def _transform(config, items=ITEMS, num_bundles=1):
    import tempfile

    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam

    from tfx_pipeline.modules import addrl_preprocessing

    kinds = {"item_id": tf.string, "title": tf.string, "year": tf.int64, "genres": tf.string}
    spec = {name: tf.io.VarLenFeature(kind) for name, kind in kinds.items()}
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    custom = {"model": config.to_dict()}
    with tft_beam.Context(temp_dir=tempfile.mkdtemp()):
        (rows, _), transform = (items, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: addrl_preprocessing.preprocessing_fn(inputs, custom)
        )
        folder = tempfile.mkdtemp() + "/out"
        _ = transform | tft_beam.WriteTransformFn(folder)
    return {bytes(row["item_id"][0]).decode(): row for row in rows}, tft.TFTransformOutput(folder)


@pytest.fixture(scope="module")
def transformed():
    return _transform(CONFIG)


def test_numeric_bins_hold_equal_shares_and_missing_stays_missing(transformed):
    rows, _ = transformed
    assert [rows[name]["year_xf"].tolist() for name in "abce"] == [[0], [0], [1], [1]]
    assert rows["d"]["year_xf"].tolist() == []
    assert rows["c"]["year_raw"].tolist() == [1970.0]


def test_vocabulary_keeps_the_frequent_values_and_maps_the_rest_to_one_index(transformed):
    rows, output = transformed
    assert [value.decode() for value in output.vocabulary_by_name("genre_values")] == ["x", "y"]
    assert rows["a"]["genre_xf"].tolist() == [0, 1]
    assert rows["c"]["genre_xf"].tolist() == [2]
    assert rows["e"]["genre_xf"].tolist() == [0, 1, 2]
    assert rows["d"]["genre_xf"].tolist() == []


def test_text_counts_items_not_occurrences(transformed):
    rows, output = transformed
    terms = [value.decode() for value in output.vocabulary_by_name("title_terms")]
    # "robot" is in a and b, "galaxy" in a and c; "dawn" and "dusk" in one item each.
    assert sorted(terms) == ["galaxy", "robot"]
    assert rows["d"]["title_xf_index"].tolist() == rows["e"]["title_xf_index"].tolist() == []
    idf = 1 + math.log((len(ITEMS) + 1) / (2 + 1))
    weights = dict(zip(rows["a"]["title_xf_index"], rows["a"]["title_xf_weight"], strict=True))
    np.testing.assert_allclose(weights[terms.index("robot")], 2 / 3 * idf, rtol=1e-5)
    np.testing.assert_allclose(weights[terms.index("galaxy")], 1 / 3 * idf, rtol=1e-5)


def test_a_term_repeated_in_one_item_does_not_reach_the_minimum():
    items = [{"item_id": ["a"], "title": ["bye bye"], "year": [1], "genres": ["g"]},
             {"item_id": ["b"], "title": ["other bird"], "year": [2], "genres": ["g"]},
             {"item_id": ["c"], "title": ["bird"], "year": [3], "genres": ["g"]}]  # fmt: skip
    _, output = _transform(CONFIG, items)
    assert output.vocabulary_by_name("title_terms") == [b"bird"]


def test_bag_weights_every_entity(transformed):
    rows, output = transformed
    assert output.vocabulary_size_by_name("tags_terms") == 4
    assert len(rows["e"]["tags_xf_index"]) == 3


def test_missing_column_is_named():
    from tfx_pipeline.modules import addrl_preprocessing

    broken = dataclasses.replace(CONFIG, attributes=(Attribute("price", "price_eur"),))
    with pytest.raises(ValueError, match=r"lacks: price_eur.*Received: genres, item_id"):
        addrl_preprocessing.preprocessing_fn(
            dict.fromkeys(("item_id", "title", "genres")), {"model": broken.to_dict()}
        )
