"""Names of bins, and the fingerprints that the cache stands on."""

import re

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("lows", "highs", "is_integer", "names"),
    [
        ([1950, 1972, 1998], [1971, 1993, 2002], True, ("<=1971", "1972-1993", ">=1998")),
        ([0, 1, 2], [0, 1, 9], True, ("<=0", "1", ">=2")),
        ([5], [5], True, ("5",)),
        ([5], [7], True, ("5-7",)),
        ([-9, -5, 3], [-6, -2, 4], True, ("<=-6", "-5..-2", ">=3")),
        (
            [0.0011, 0.0131, 0.021],
            [0.0129, 0.0199, 0.5],
            False,
            ("<=0.013", "0.013-0.02", ">=0.021"),
        ),
        ([], [], True, ()),
    ],
)
def test_bins_are_named_after_what_is_in_them(lows, highs, is_integer, names):
    from addrl_keras.bins import make_bin_names

    assert make_bin_names(lows, highs, is_integer) == names


@pytest.mark.parametrize(
    ("names", "number", "found"),
    [
        (("<=1971", "1972-1993", ">=1998"), 1972, ("1972-1993",)),
        (("<=1971", "1972-1993", ">=1998"), -3, ("<=1971",)),
        # Nobody knows where between them the border is.
        (("<=1971", "1972-1993", ">=1998"), 1995, ("1972-1993", ">=1998")),
        (("<=0.013", "0.013-0.02", ">=0.02"), 0.02, ("0.013-0.02", ">=0.02")),
        (("<=0.9", "1-2", "2", ">=9"), 1.5, ("1-2", "2")),
        (("<=0.9", "1-2", "2", ">=9"), 1.25, ("1-2",)),
        (("<=-6", "-5..-2", ">=3"), -3.5, ("-5..-2",)),
        (("<=-9", "-5", ">=-1"), -5, ("-5",)),
        (("<=1e-05", "2e-05..0.4", ">=1e+03"), 0.3, ("2e-05..0.4",)),
        (("<=1", ">=2"), float("nan"), ()),
        (("<=1", ">=2"), float("inf"), ()),
        (("3-7",), 5, ()),
        (("<=1", ">=2", "unknown"), 1, ()),
        (("<=1-2", ">=3"), 1, ()),
    ],
)
def test_a_number_finds_its_bin_by_the_names(names, number, found):
    from addrl_keras.bins import find_bins

    assert find_bins(names, number) == find_bins(names[::-1], number) == found


def test_numbers_find_the_bin_that_they_made():
    from addrl_keras.bins import find_bins, make_bin_names

    counts = []
    for seed in range(20):
        numbers = np.sort(np.random.default_rng(seed).lognormal(-3, 1, 40))
        parts = np.split(numbers, [8, 16, 24, 32])
        names = make_bin_names([part[0] for part in parts], [part[-1] for part in parts], False)
        for part, name in zip(parts, names, strict=True):
            found = [find_bins(names, number) for number in part]
            assert all(name in each for each in found)
            counts += map(len, found)
    # Hardly ever is there more than one to choose from.
    assert np.mean(counts) < 1.1


def test_close_numbers_get_the_digits_that_tell_them_apart():
    from addrl_keras.bins import make_bin_names

    names = make_bin_names([1.0001, 1.0002, 1.0003], [1.00011, 1.00021, 1.0004], False)
    assert len(set(names)) == 3
    assert not any(" " in name for name in names)


def test_fingerprint_sees_content_and_name_but_not_place_or_time(tmp_path):
    from tfx_pipeline.fingerprint import compute_fingerprint

    def write(folder, name, text):
        path = tmp_path / folder / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return tmp_path / folder / "pkg"

    first = compute_fingerprint([write("one", "a.py", "x = 1")])
    assert first == compute_fingerprint([write("two", "a.py", "x = 1")])
    assert first != compute_fingerprint([write("two", "a.py", "x = 2")])
    assert first != compute_fingerprint([write("three", "b.py", "x = 1")])
    assert first != compute_fingerprint([write("one", "c.py", "")])
    with pytest.raises(FileNotFoundError, match="nowhere"):
        compute_fingerprint([tmp_path / "nowhere"])


def test_fingerprint_of_a_module_that_is_not_there():
    from tfx_pipeline.fingerprint import compute_module_fingerprint

    assert len(compute_module_fingerprint("addrl_keras", "serving.contract")) == 16
    with pytest.raises(ModuleNotFoundError, match="addrl_kerass"):
        compute_module_fingerprint("addrl_kerass")


@pytest.fixture
def write_pairs(tmp_path):
    """Write interactions as gzipped tf.Examples; returns the pattern of the file."""
    import tensorflow as tf

    from tfx_pipeline.examples import make_example

    def write(name, rows):
        path = str(tmp_path / f"{name}.gz")
        with tf.io.TFRecordWriter(path, options="GZIP") as writer:
            for user, item in rows:
                writer.write(make_example({"user_id": user, "item_id": item}).SerializeToString())
        return [path]

    return write


def test_interactions_are_paired_by_row(write_pairs):
    from tfx_pipeline.modules.addrl_catalogue import load_interactions

    validation = write_pairs("validation", [("u", "b")])
    made = load_interactions(("a", "b"), write_pairs("train", [("u", "a"), ("v", "b")]), validation)
    assert made.user_ids == ("u", "v") and made.train.toarray().tolist() == [[1, 0], [0, 1]]
    # As many users as items, but not of the same rows.
    torn = write_pairs("torn", [("u", None), (["v", "w"], ["a", "b"]), (None, "a")])
    with pytest.raises(ValueError, match=r"exactly one user_id.*3 of them for 3 interactions"):
        load_interactions(("a", "b"), torn, validation)


def test_auxiliary_interactions_are_read_where_there_are_files_of_them(write_pairs):
    from tfx_pipeline.modules.addrl_catalogue import load_interactions

    files = [write_pairs(name, [("u", name)]) for name in ("a", "b", "c")]
    assert load_interactions(("a", "b", "c"), *files[:2]).auxiliary is None
    assert load_interactions(("a", "b", "c"), *files).auxiliary.toarray().tolist() == [[0, 0, 1]]


def test_the_trainer_is_told_the_files_of_a_split_that_it_has(tmp_path):
    from tfx.types import artifact_utils, standard_artifacts

    from tfx_pipeline.components.example_gen import make_interactions_gen, make_patterns

    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path)
    for auxiliary in (False, True):
        gen = make_interactions_gen("data", auxiliary)
        names = re.findall(r'"name": "(\w+)"', gen.exec_properties["input_config"])
        assert names == ["train", "validation", "test", "auxiliary"][: len(names)]
        assert len(names) == 3 + auxiliary
        examples.split_names = artifact_utils.encode_split_names(names)
        found = make_patterns([examples], "auxiliary")
        expected = [f"{tmp_path}/Split-auxiliary/*"]
        assert found == (expected if auxiliary else [])


def test_an_empty_split_is_an_error_that_says_so(write_pairs):
    from tfx_pipeline.modules.addrl_catalogue import load_interactions

    with pytest.raises(ValueError, match=r"example files are empty.*train\.gz"):
        load_interactions(("a",), write_pairs("train", []), write_pairs("v", [("u", "a")]))
