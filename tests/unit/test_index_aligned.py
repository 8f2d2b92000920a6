"""New items through the transform graph of a fitted model, and named as it names values."""

import types

import numpy as np
import pytest
import scipy.sparse

from addrl_keras.catalogue import AttributeValues, Catalogue
from addrl_keras.config import Attribute, Config, Modality
from tfx_pipeline.index.about import About
from tfx_pipeline.index.table import NewItems

OLD = [
    {"item_id": f"o{number}", "title": title, "year": year, "genres": genres}
    for number, (title, year, genres) in enumerate(
        [
            ("Robot robot galaxy", 1950, ["x", "y"]),
            ("ROBOT dawn", 1950, ["x"]),
            ("Galaxy dusk", 1950, ["z", "x"]),
            ("dawn", 1950, ["y"]),
            (None, 2000, []),
            ("dusk", 2001, ["x", "y", "w"]),
        ]
    )
]
NEW = [
    {"item_id": "n0", "title": "A galaxy of robots", "year": 1890, "genres": ["x", "never"]},
    {"item_id": "n1", "title": "unheard", "year": 2024, "genres": ["never", "seen"]},
    {"item_id": "n2", "title": None, "year": None, "genres": []},
]
YEAR = Attribute("year", "year", kind="numeric", bins=3)
GENRE = Attribute("genre", "genres", max_values=2)
CONFIG = Config(
    attributes=(YEAR, GENRE),
    modalities=(
        Modality("id", encoder="id"),
        Modality("words", "title", encoder="text", min_count=2),
        Modality("sound", "sound", encoder="precomputed"),
    ),
)


def serialize(rows):
    from tfx_pipeline.examples import make_example

    return [make_example(row).SerializeToString() for row in rows]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The rows that analysis transformed, and the folder of the graph."""
    import tensorflow as tf
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam

    from tfx_pipeline.modules import addrl_preprocessing

    kinds = {"item_id": tf.string, "title": tf.string, "year": tf.int64, "genres": tf.string}
    spec = {name: tf.io.VarLenFeature(kind) for name, kind in kinds.items()}
    folder = tmp_path_factory.mktemp("graph")
    rows = [
        {
            name: value if isinstance(value, list) else [] if value is None else [value]
            for name, value in row.items()
        }
        for row in OLD
    ]
    metadata = tft.DatasetMetadata.from_feature_spec(spec)
    custom = {"model": CONFIG.to_dict()}
    with tft_beam.Context(temp_dir=str(folder / "temp"), force_tf_compat_v1=True):
        (found, _), transform = (rows, metadata) | tft_beam.AnalyzeAndTransformDataset(
            lambda inputs: addrl_preprocessing.preprocessing_fn(inputs, custom)
        )
        _ = transform | tft_beam.WriteTransformFn(str(folder / "out"))
        # As the Transform component does, which writes what it has read.
        metadata_io = tft.TFTransformOutput.RAW_METADATA_DIR
        from tensorflow_transform.tf_metadata import metadata_io as writer

        writer.write_metadata(metadata, str(folder / "out" / metadata_io))
    return {bytes(row["item_id"][0]).decode(): row for row in found}, folder / "out"


def test_the_graph_gives_what_it_gave_in_training(graph):
    from tfx_pipeline.index.aligned import transform_items

    rows, folder = graph
    columns = transform_items(folder, serialize(OLD))
    for name in ("year_xf", "genre_xf", "words_xf_index", "words_xf_weight"):
        places, values = columns[name]
        for number, row in enumerate(OLD):
            np.testing.assert_array_equal(values[places == number], rows[row["item_id"]][name])


def make_extras(folder, used, names):
    from tfx_pipeline.index.extras import Extras

    empty = scipy.sparse.csr_matrix((len(OLD), 2), dtype=np.float32)
    values = {name: AttributeValues(each, empty) for name, each in names.items()}
    catalogue = Catalogue(tuple(row["item_id"] for row in OLD), values, {})
    model = types.SimpleNamespace(config=CONFIG)
    result = types.SimpleNamespace(model=model, catalogue=catalogue)
    about = About("p", "d", {}, used, {})
    return Extras(result, about, folder, {})


def test_new_items_have_the_models_names_and_widths(graph):
    from tfx_pipeline.index.aligned import (
        count_values,
        find_empty,
        make_catalogue,
        take_items,
        transform_items,
    )

    folder = graph[1]
    columns = transform_items(folder, serialize(NEW))
    # Bin 1 of the three is one that no item had; `(other)` is the graph's third genre.
    used = {"year": (0, 2), "genre": (0, 1, 2)}
    names = {"year": ("<=1950", ">=2000"), "genre": ("x", "y", "(other)")}
    items = NewItems(tuple(NEW), (None,) * 3)
    sound = np.zeros((3, 4), np.float32)
    extras = make_extras(folder, used, names)
    catalogue = make_catalogue(extras, items, columns, {"sound": sound})
    counts = count_values(extras, items, catalogue)
    assert catalogue.item_ids == ("n0", "n1", "n2")
    assert catalogue.values["year"].rows() == [("<=1950",), (">=2000",), ()]
    assert catalogue.values["genre"].rows() == [("x", "(other)"), ("(other)",), ()]
    words = catalogue.features["words"].toarray()
    # Of the four words in two titles or more, one is in the first title; nothing is learnt anew.
    assert words.shape == (3, 4) and (words > 0).sum(axis=1).tolist() == [1, 0, 0]
    assert catalogue.features["sound"] is sound
    year, genre = counts["year"], counts["genre"]
    assert (year.known, year.missing, year.new_values) == (2, 1, {})
    assert (genre.known, genre.missing, genre.as_other) == (2, 1, 1)
    assert genre.new_values == {"never": 2, "seen": 1}
    assert find_empty(catalogue, ["words", "sound", "genre"]) == [2]
    assert find_empty(catalogue, ["words"]) == [1, 2]
    assert take_items(catalogue, [2, 0]).values["genre"].rows() == [(), ("x", "(other)")]


def test_without_other_a_value_never_seen_is_missing(graph):
    from tfx_pipeline.index.aligned import count_values, make_catalogue, transform_items

    folder = graph[1]
    columns = transform_items(folder, serialize(NEW))
    names = {"year": ("a", "b"), "genre": ("x", "y")}
    extras = make_extras(folder, {"year": (0, 2), "genre": (0, 1)}, names)
    sound = np.zeros((3, 4), np.float32)
    items = NewItems(tuple(NEW), ())
    catalogue = make_catalogue(extras, items, columns, {"sound": sound})
    counts = count_values(extras, items, catalogue)
    assert catalogue.values["genre"].rows() == [("x",), (), ()]
    assert (counts["genre"].known, counts["genre"].missing, counts["genre"].as_other) == (1, 2, 0)


@pytest.mark.parametrize(
    ("kind", "index", "used", "expected"),
    [
        ("numeric", [0, 1, 2, 3, 4], (1, 4), [0, 0, 0, 1, 1]),
        ("categorical", [0, 1, 2, 5], (0, 2), [0, None, 1, None]),
        ("categorical", [5], (), [None]),
    ],
)
def test_values_are_aligned(kind, index, used, expected):
    from tfx_pipeline.index.aligned import align_values

    attribute = Attribute("a", "a", kind=kind)
    matrix = align_values(attribute, range(len(index)), index, used, len(index)).toarray()
    assert matrix.shape == (len(index), len(used))
    found = [int(row.argmax()) if row.any() else None for row in matrix]
    assert found == expected


def test_the_nearest_known_item_is_found_by_what_both_have():
    from tfx_pipeline.index.likeness import find_alike

    config = Config(
        attributes=(GENRE,),
        modalities=(Modality("id", encoder="id"), Modality("photo", "p", "precomputed")),
    )
    photo = np.array([[9, 0], [9, 2], [0, 0], [9, 3], [0, 0]], np.float32)
    genres = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [0, 0]], np.float32)
    values = {"genre": AttributeValues(("x", "y"), scipy.sparse.csr_matrix(genres))}
    catalogue = Catalogue(tuple("abcde"), values, {"photo": photo})
    alike = find_alike(config, catalogue, 3, [3, 4], 2)
    # Against the mean of the old photos, 9 and 1, only b points the way of d.
    assert [name for name, _ in alike[0]] == ["b"] and alike[0][0][1] == pytest.approx(1.0)
    assert alike[1] == []
