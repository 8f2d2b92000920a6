"""Drift: what is compared, what is told, and what the model carries for it."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_pipeline.components.drift import compare, load_statistics
from tfx_pipeline.drift import ColumnDrift, Drift, TableSize, load_drift, write_drift

_SCHEMA = text_format.Parse(
    """
    feature {
      name: "genre" type: BYTES
      drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }
    }
    feature {
      name: "price" type: FLOAT
      drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }
    }
    feature { name: "title" type: BYTES }
    dataset_constraints {
      num_examples_drift_comparator { min_fraction_threshold: 0.5 max_fraction_threshold: 2.0 }
    }
    """,
    schema_pb2.Schema(),
)


def _describe(shares, prices, count=1000, missing=0):
    generator = np.random.default_rng(0)
    present = count - missing
    genres = np.full(count, None, object)
    genres[:present] = np.repeat(list(shares), [round(s * present) for s in shares.values()])
    frame = pd.DataFrame(
        {
            "genre": genres,
            "price": generator.normal(*prices, count),
            "title": map(str, range(count)),
        }
    )
    return tfdv.generate_statistics_from_dataframe(frame)


@pytest.fixture(scope="module")
def before():
    return _describe({"drama": 0.5, "comedy": 0.5}, (10.0, 1.0))


def test_what_is_alike_has_not_drifted(before):
    columns, size = compare("items", before, before, _SCHEMA)
    assert [each.column for each in columns] == ["genre", "price"]
    assert all(each.distance == pytest.approx(0.0, abs=1e-6) for each in columns)
    assert Drift("1", tuple(columns), (size,)).describe() == []


def test_other_shares_other_numbers_and_other_sizes_are_told(before):
    now = _describe({"drama": 0.05, "comedy": 0.95}, (14.0, 1.0), count=3000, missing=300)
    columns, size = compare("items", before, now, _SCHEMA)
    genre, price = columns
    # By hand: H(m) - (H(p) + H(q)) / 2 in bits, of (1/2, 1/2) and (1/20, 19/20).
    p, q = np.array([0.5, 0.5]), np.array([0.05, 0.95])

    def entropy(x):
        return -np.sum(x * np.log2(x))

    expected = entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2
    assert genre.distance == pytest.approx(expected, abs=1e-4)
    assert price.distance > 0.5
    assert (genre.present_before, genre.present_now) == (1.0, pytest.approx(0.9))
    assert (size.before, size.now) == (1000, 3000)
    lines = Drift("7", tuple(columns), (size,)).describe()
    assert lines[0] == (
        "drifted since version 7: items: 1,000 rows -> 3,000, allowed 0.5 to 2 times as many"
    )
    assert lines[1].startswith("drifted since version 7: items.price: Jensen-Shannon divergence 0.")
    assert lines[2].endswith("allowed 0.1")


def test_a_column_that_one_has_not_is_not_compared(before):
    frame = pd.DataFrame({"price": np.arange(10.0)})
    columns, size = compare(
        "items", before, tfdv.generate_statistics_from_dataframe(frame), _SCHEMA
    )
    assert [each.column for each in columns] == ["price"]
    assert size.drifted


def test_without_limits_no_size_drifts():
    size = TableSize("items", 10, 10_000, None, None)
    assert not size.drifted and size.allowed == "anything"
    few = TableSize("items", 10, 4, 0.5, None)
    many = TableSize("items", 10, 21, None, 2.0)
    assert few.drifted and few.allowed == "at least 0.5 times"
    assert many.drifted and many.allowed == "at most 2 times"


def test_it_survives_being_written(tmp_path):
    drift = Drift(
        "3",
        (ColumnDrift("items", "price", 0.25, 0.1, 1.0, 0.5),),
        (TableSize("items", 1, 2, None, 2.0),),
    )
    write_drift(drift, tmp_path / "new")
    assert load_drift(tmp_path / "new") == drift
    # RunResult and `addrl run --json` have it too, where only JSON's own numbers may stand.
    text = json.dumps(drift.to_dict(), allow_nan=False)
    assert Drift.from_dict(json.loads(text)) == drift


def test_damaged_statistics_are_named(tmp_path):
    (tmp_path / "items.pb").write_bytes(b"\xff\xff\xff")
    with pytest.raises(ValueError, match=r"Statistics cannot be read.*items\.pb"):
        load_statistics(tmp_path / "items.pb")
