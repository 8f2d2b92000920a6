"""Vectors of a catalogue: each content encoded once, each bad one listed by reason."""

import dataclasses
import pathlib

import numpy as np
import pytest
import tiny_encoders
from tiny_encoders import make_bomb, make_noise, make_photo

from addrl_keras.config import Modality
from tfx_pipeline.encoders import items as encoding
from tfx_pipeline.encoders import report
from tfx_pipeline.encoders.encode import EncodeFn
from tfx_pipeline.encoders.hub_module import HubEncoder


@pytest.fixture(scope="module")
def handles(tmp_path_factory):
    """Handles of a module for texts and one for photos."""
    folder = tmp_path_factory.mktemp("modules")
    return {
        "text": tiny_encoders.write_text_module(folder / "text"),
        "photo": tiny_encoders.write_image_module(folder / "photo"),
    }


@pytest.fixture
def modalities(handles):
    """One modality of each kind."""
    return {
        "words": Modality("words", "description", "hub", handle=handles["text"]),
        "photo": Modality("photo", "file", "hub", handle=handles["photo"], preprocessing="image"),
        "given": Modality("given", "numbers", "precomputed"),
    }


@dataclasses.dataclass
class Found:
    """What `EncodeItems` found: vectors by (item, modality), problems, and the summary."""

    vectors: dict
    problems: list
    summary: dict


@pytest.fixture
def encode(tmp_path):
    """Encodes items; those of a test share a cache."""

    def run(rows, modalities):
        import apache_beam as beam

        from tfx_pipeline.datasets.writing import make_pipeline

        totals = {modality.name: len(rows) for modality in modalities}
        groups = encoding.make_groups(modalities, tmp_path / "cache", totals)
        kept = {}
        with make_pipeline() as pipeline:
            found = (
                pipeline
                | beam.Create(list(rows.items()))
                | encoding.EncodeItems(modalities, groups)
            )
            for key, values in found.items():
                path = str(tmp_path / key)
                pathlib.Path(path).unlink(missing_ok=True)
                _ = (
                    values
                    | f"List_{key}" >> beam.combiners.ToList()
                    | f"Keep_{key}" >> beam.Map(_pickle, path)
                )
        for key in found:
            kept[key] = _unpickle(tmp_path / key)
        return Found(
            {
                (item, name): np.frombuffer(data, "<f4")
                for item, vectors in kept[encoding.VECTORS]
                for name, data in vectors.items()
            },
            sorted(kept[encoding.PROBLEMS]),
            report.make_summary(modalities, dict(kept[encoding.COUNTS])),
        )

    return run


def _pickle(values, path):
    import pickle

    pathlib.Path(path).write_bytes(pickle.dumps(values))


def _unpickle(path):
    import pickle

    return pickle.loads(path.read_bytes())


@pytest.fixture
def calls(monkeypatch):
    """Counts the contents that go through an encoder, in all runs of a test."""
    counted = []
    encode = HubEncoder.encode

    def count(self, prepared):
        counted.extend(prepared)
        return encode(self, prepared)

    monkeypatch.setattr(HubEncoder, "encode", count)
    monkeypatch.setattr(HubEncoder, "_try", lambda self, _: 8)
    return counted


def make_texts(count):
    return {f"i{n:03}": {"words": f"text number {n}"} for n in range(count)}


def test_every_kind_of_modality_gives_its_vector(encode, modalities, tmp_path):
    (tmp_path / "red.png").write_bytes(make_photo((255, 0, 0), kind="PNG"))
    rows = {
        "a": {"words": "abc", "photo": str(tmp_path / "red.png"), "given": np.float32([1, 2])},
        "b": {"words": "abcd", "photo": f"{tmp_path}/red.png", "given": np.float32([3, 4])},
    }
    found = encode(rows, list(modalities.values()))
    assert not found.problems and len(found.vectors) == 6
    assert found.vectors["a", "words"][0] == 3 and found.vectors["b", "words"][0] == 4
    np.testing.assert_allclose(found.vectors["b", "photo"], [2, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(found.vectors["b", "given"], [3, 4])
    assert found.summary["given"]["given"] == 2
    assert (
        found.summary["photo"]["encoded"] == 2 and found.summary["photo"]["contents_encoded"] == 1
    )


def test_equal_contents_are_encoded_once(encode, modalities, calls):
    rows = {f"i{n}": {"words": f"text {n % 5}"} for n in range(40)}
    found = encode(rows, [modalities["words"]])
    assert sorted(calls) == [f"text {n}" for n in range(5)]
    assert len(found.vectors) == 40
    np.testing.assert_array_equal(found.vectors["i2", "words"], found.vectors["i37", "words"])
    numbers = found.summary["words"]
    assert (numbers["items"], numbers["encoded"], numbers["contents_encoded"]) == (40, 40, 5)
    assert numbers["seconds"] > 0


def test_reading_and_encoding_tell_how_far_they_are(encode, modalities, monkeypatch):
    from tfx_pipeline import progress
    from tfx_pipeline.encoders import encode as encode_module

    reports = []
    monkeypatch.setattr(encode_module, "_SECONDS_PER_REPORT", 0)
    monkeypatch.setattr(progress, "report", reports.append)
    encode(make_texts(40), [modalities["words"]])
    assert "ContentEncoder words 40 of 40 read" in reports
    assert "ContentEncoder words 40 of 40" in reports


def test_a_second_run_encodes_nothing_and_loads_no_encoder(encode, modalities, monkeypatch):
    first = encode(make_texts(150), [modalities["words"]])

    def load(*_):
        raise AssertionError("the encoder was loaded")

    monkeypatch.setattr(HubEncoder, "__init__", load)
    second = encode(make_texts(150), [modalities["words"]])
    assert first.summary["words"]["encoded"] == second.summary["words"]["from_cache"] == 150
    assert second.summary["words"]["encoded"] == second.summary["words"]["seconds"] == 0
    assert first.vectors.keys() == second.vectors.keys()
    for key, vector in first.vectors.items():
        np.testing.assert_array_equal(second.vectors[key], vector)


def test_of_a_grown_catalogue_only_new_items_are_encoded(encode, modalities, calls):
    encode(make_texts(200), [modalities["words"]])
    calls.clear()
    found = encode(make_texts(202), [modalities["words"]])
    assert sorted(calls) == ["text number 200", "text number 201"]
    assert found.summary["words"]["from_cache"] == 200


def test_another_preset_with_the_same_encoder_shares_its_vectors(encode, modalities, calls):
    encode(make_texts(50), [modalities["words"]])
    calls.clear()
    other = dataclasses.replace(modalities["words"], name="summary", column="other")
    rows = {item: {"summary": values["words"]} for item, values in make_texts(50).items()}
    assert encode(rows, [other]).summary["summary"]["from_cache"] == 50 and not calls


def test_two_columns_with_one_encoder_share_their_contents(encode, modalities, calls):
    other = dataclasses.replace(modalities["words"], name="summary", column="other")
    rows = {"a": {"words": "x", "summary": "y"}, "b": {"words": "y", "summary": "x"}}
    found = encode(rows, [modalities["words"], other])
    assert sorted(calls) == ["x", "y"] and len(found.vectors) == 4


def test_a_killed_run_goes_on_where_it_was(encode, modalities, calls, monkeypatch):
    batches = []
    encode_batch = EncodeFn._encode

    def stop_at_third(self, size):
        batches.append(size)
        if len(batches) == 3:
            raise KeyboardInterrupt
        yield from encode_batch(self, size)

    with monkeypatch.context() as patch:
        patch.setattr(EncodeFn, "_encode", stop_at_third)
        with pytest.raises((KeyboardInterrupt, RuntimeError)):
            encode(make_texts(300), [modalities["words"]])
    done = set(calls)
    assert len(done) == 128
    calls.clear()
    found = encode(make_texts(300), [modalities["words"]])
    assert len(found.vectors) == 300 and len(calls) == 172 and not done & set(calls)


def test_a_damaged_segment_is_encoded_again(encode, modalities, calls, tmp_path):
    first = encode(make_texts(150), [modalities["words"]])
    segment = min((tmp_path / "cache" / "vectors").glob("*/*.npy"))
    segment.write_bytes(segment.read_bytes()[:-1])
    calls.clear()
    second = encode(make_texts(150), [modalities["words"]])
    assert len(calls) in (64, 22)
    for key, vector in first.vectors.items():
        np.testing.assert_array_equal(second.vectors[key], vector)


def test_photos_are_decoded_no_further_ahead_than_is_said(
    encode, modalities, tmp_path, monkeypatch
):
    from tfx_pipeline.encoders.preprocessing import Photos

    monkeypatch.setattr(Photos, "batch_size", 4)
    monkeypatch.setattr(Photos, "lookahead", 4)
    held, most = set(), []
    prepare, collate = Photos.prepare, Photos.collate

    def count(self, content):
        held.add(content)
        most.append(len(held))
        return prepare(self, content)

    def release(self, prepared):
        for _ in prepared:
            held.pop()
        return collate(self, prepared)

    monkeypatch.setattr(Photos, "prepare", count)
    monkeypatch.setattr(Photos, "collate", release)
    rows = {}
    for n in range(30):
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(make_noise(n))
        rows[f"i{n:02}"] = {"photo": str(path)}
    monkeypatch.setattr(HubEncoder, "_try", lambda self, _: 3)
    found = encode(rows, [modalities["photo"]])
    assert len(found.vectors) == 30 and max(most) <= 8


SOUND = {"words": "a text", "given": np.float32([1, 2, 3])}
# Of each bad input: what is put in the place of something sound, the kind, and the reason.
BAD = {
    "no photo": ({"photo": ""}, "missing", "no file is named"),
    "no such file": ({"photo": "{}/nowhere.jpg"}, "missing", "no such file"),
    "truncated JPEG": ({"photo": make_noise(1)[:700]}, "broken", "a damaged JPEG (image file is"),
    "text named .jpg": ({"photo": b"just words"}, "broken", "not an image in one of the formats"),
    "empty file": ({"photo": b""}, "broken", "the file is empty (0 bytes)"),
    "100 megapixels": ({"photo": make_bomb()}, "broken", "100 megapixels (10000 x 10000), more"),
    "NaN": ({"given": np.float32([1, np.nan, 3])}, "broken", "NaN at position 1 (1 of 3 are not"),
    "infinity": ({"given": np.float32([np.inf, 2, 3])}, "broken", "infinity at position 0"),
    "wrong length": (
        {"given": np.float32([1, 2])},
        "broken",
        "2 numbers where most vectors have 3",
    ),
    "no vector": ({"given": np.float32([])}, "missing", "no vector"),
    "zeros": ({"given": np.float32([0, 0, 0])}, "broken", "a vector of zeros, which says nothing"),
    "empty text": ({"words": ""}, "missing", "an empty text"),
    "blank text": ({"words": " \n"}, "missing", "an empty text"),
}


def make_bad_rows(tmp_path):
    """Sound items, and one for each bad input."""
    rows = {}
    for number, name in enumerate(["sound 1", "sound 2", "sound 3", *BAD]):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(make_noise(number))
        rows[name] = {**SOUND, "photo": str(path)}
        for modality, value in BAD.get(name, ({},))[0].items():
            if isinstance(value, bytes):
                path.write_bytes(value)
            else:
                rows[name][modality] = value.format(tmp_path) if isinstance(value, str) else value
    return rows


def test_each_bad_input_costs_one_item_one_modality(encode, modalities, tmp_path):
    rows = make_bad_rows(tmp_path)
    found = encode(rows, list(modalities.values()))
    assert len(found.problems) == len(BAD)
    for problem in found.problems:
        replaced, kind, reason = BAD[problem.item_id]
        (modality,) = replaced
        assert (problem.modality, problem.kind) == (modality, kind), problem
        assert problem.reason.startswith(reason), problem
        assert (problem.item_id, modality) not in found.vectors
        if modality == "photo" and rows[problem.item_id]["photo"]:
            assert problem.source == rows[problem.item_id]["photo"]
    for item in rows:
        kept = {name for name in modalities if (item, name) in found.vectors}
        assert kept == set(modalities) - set(BAD.get(item, ({},))[0])
    numbers = found.summary["photo"]
    assert (numbers["missing"], numbers["broken"], numbers["encoded"]) == (2, 4, 10)
    assert (found.summary["given"]["missing"], found.summary["given"]["broken"]) == (1, 4)
    assert found.summary["words"]["missing"] == 2
    for numbers in found.summary.values():
        assert numbers["items"] == len(rows)


def test_an_encoder_that_returns_no_numbers_masks_the_item(encode, tmp_path):
    import tensorflow as tf

    def make(count):
        return tf.fill([count, 2], float("nan"))

    handle = tiny_encoders.write_constant_module(tmp_path / "nan", make)
    found = encode(make_texts(3), [Modality("words", "w", "hub", handle=handle)])
    assert not found.vectors and len(found.problems) == 3
    assert "returned NaN" in found.problems[0].reason
    assert found.summary["words"]["broken"] == 3


def test_a_catalogue_without_any_vector_is_all_missing(encode, modalities):
    found = encode({"a": {"given": np.float32([])}}, [modalities["given"]])
    assert found.summary["given"]["missing"] == 1 and not found.vectors


def test_the_list_and_the_refusal(tmp_path, modalities):
    problems = [
        report.Problem(f"i{n}", "photo", f"{n}.jpg", "no such file", "missing") for n in range(9)
    ]
    photo = dataclasses.replace(modalities["photo"], max_missing_share=0.44)
    counts = {("photo", "missing"): 9, ("photo", "encoded"): 11}
    summary = report.make_summary([photo], counts)
    path = report.write_report(tmp_path, reversed(problems), summary)
    assert report.load_problems(tmp_path) == problems
    assert report.find_refused([photo], summary) == [photo]
    text = str(report.make_refusal([photo], summary, problems, str(path)))
    assert "'photo' (column 'file') is missing or broken for 9 of 20 items, 45.0%" in text
    assert "at most 44.0% may lack it" in text and "item 'i4', 4.jpg: no such file" in text
    assert "and 4 more" in text and f"The whole list is {path}" in text
    assert not report.find_refused([modalities["photo"]], summary)
    assert report.make_lines(summary) == ["photo: 11 encoded, 9 missing"]
