"""Drift: what is compared, what is told, and what the model carries for it."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfx_pipeline.components.drift import compare, load_statistics
from tfx_pipeline.drift import FIRST, ColumnDrift, Drift, TableSize, load_drift, write_drift
from tfx_pipeline.index.about import FOLDER
from tfx_pipeline.results import RunResult

_SCHEMA = text_format.Parse(
    """
    feature {
      name: "genre" type: BYTES
      drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }
    }
    feature {
      name: "price" type: FLOAT
      drift_comparator {
        jensen_shannon_divergence { threshold: 0.15 source { type: QUANTILES } }
      }
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
    drift = Drift("1", tuple(columns), (size,))
    assert drift.describe() == []
    assert drift.summarize() == ["nothing drifted since version 1: 1 tables, 2 columns compared"]
    assert FIRST.summarize() == []


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
    assert lines[2].endswith("allowed 0.1") and len(lines) == 3


def test_one_outlier_and_a_long_tail_drawn_anew_are_no_drift():
    generator = np.random.default_rng(0)

    def draw(outlier=None):
        prices = generator.lognormal(3, 1, 3000)
        if outlier:
            prices[0] = outlier
        frame = pd.DataFrame({"genre": ["drama"] * 3000, "price": prices})
        return tfdv.generate_statistics_from_dataframe(frame)

    first = draw()
    for other in (draw(), draw(outlier=1e6)):
        columns, _ = compare("items", first, other, _SCHEMA)
        assert not Drift("1", tuple(columns)).describe()


@pytest.mark.parametrize("swap", [False, True])
def test_a_column_that_only_one_has_has_drifted(before, swap):
    after = tfdv.generate_statistics_from_dataframe(pd.DataFrame({"price": np.full(1000, 10.0)}))
    pair = (after, before) if swap else (before, after)
    columns, _ = compare("items", *pair, _SCHEMA)
    genre = columns[0]
    assert (genre.column, genre.distance, genre.drifted) == ("genre", 1.0, True)
    words = "0.0% of the rows had a value, now 100.0%" if swap else "now 0.0%"
    assert words in genre.describe()


def test_fewer_values_are_told_though_they_are_alike(before):
    now = _describe({"drama": 0.5, "comedy": 0.5}, (10.0, 1.0), missing=400)
    (genre, _), _ = compare("items", before, now, _SCHEMA)
    assert genre.distance < 0.01 and genre.drifted
    assert "100.0% of the rows had a value, now 60.0%, allowed 0.1" in genre.describe()


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
    with pytest.raises(ValueError, match=r"Statistics cannot be read.*items\.pb.*next version"):
        load_statistics(tmp_path / "items.pb")
    (tmp_path / "items.pb").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must be of one dataset.*items\.pb with 0"):
        load_statistics(tmp_path / "items.pb")


@pytest.fixture
def run_component(before, tmp_path):
    """Run DataDrift over items that are alike and interactions that have doubled and more."""
    from tfx.types import artifact_utils
    from tfx.types.standard_artifacts import ExampleStatistics, PushedModel, Schema

    from tfx_pipeline.components.artifacts import DriftReport
    from tfx_pipeline.components.drift import DataDrift
    from tfx_pipeline.components.statistics import SPLITS

    more = _describe({"drama": 0.5, "comedy": 0.5}, (10.0, 1.0), count=2500)

    def run(destination):
        inputs = {}
        for table, now in (("items", before), ("interactions", more)):
            statistics, schema = ExampleStatistics(), Schema()
            statistics.uri, schema.uri = str(tmp_path / table), str(tmp_path / f"{table}_schema")
            split = SPLITS[table]
            statistics.split_names = artifact_utils.encode_split_names([split])
            folder = tmp_path / table / f"Split-{split}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "FeatureStats.pb").write_bytes(now.SerializeToString())
            (tmp_path / f"{table}_schema").mkdir(exist_ok=True)
            text = text_format.MessageToString(_SCHEMA)
            (tmp_path / f"{table}_schema" / "schema.pbtxt").write_text(text)
            inputs |= {table: statistics, f"{table}_schema": schema}
        if destination:
            inputs["pushed_model"] = PushedModel()
            inputs["pushed_model"].set_string_custom_property(
                "pushed_destination", str(destination)
            )
        output = DriftReport()
        output.uri = str(tmp_path / "drift")
        DataDrift.EXECUTOR_SPEC.executor_class._FUNCTION(**inputs, drift=output, fingerprint="")
        return load_drift(output.uri)

    return run


def test_the_component_compares_with_what_the_model_in_service_carries(
    run_component, before, tmp_path
):
    carried = tmp_path / "serving" / "17" / FOLDER / "statistics"
    carried.mkdir(parents=True)
    for table in ("items", "interactions"):
        (carried / f"{table}.pb").write_bytes(before.SerializeToString())
    drift = run_component(tmp_path / "serving" / "17")
    assert (drift.version, drift.reason) == ("17", "")
    sizes = {each.table: (each.before, each.now, each.drifted) for each in drift.sizes}
    assert sizes == {"items": (1000, 1000, False), "interactions": (1000, 2500, True)}
    assert [each.split(": ")[1] for each in drift.describe()] == ["interactions"]


def test_what_cannot_be_compared_says_why_and_stops_nothing(run_component, tmp_path):
    assert run_component(None) == FIRST and FIRST.describe() == []
    version = tmp_path / "serving" / "17"
    assert run_component(version).describe() == [
        "drift not told: version 17 does not carry the statistics of its data, or is not there"
    ]
    carried = version / FOLDER / "statistics"
    carried.mkdir(parents=True)
    for table in ("items", "interactions"):
        (carried / f"{table}.pb").write_bytes(b"\xff\xff\xff")
    (line,) = run_component(version).describe()
    assert line.startswith("drift not told: Statistics cannot be read. Received: ")


def test_results_from_before_there_was_drift_are_read():
    result = RunResult("p", {}, {}, {}, (), None, (), 1.0, "log")
    old = {name: value for name, value in result.to_dict().items() if name != "drift"}
    assert RunResult.from_dict(old).drift.describe() == []
    assert "before drift" in RunResult.from_dict(old).drift.reason
