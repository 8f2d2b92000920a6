"""Presets: known, validated, and quick to import."""

import dataclasses
import subprocess
import sys

import pytest

from addrl_keras.config import Attribute
from tfx_pipeline.configs import GateConfig, get_preset
from tfx_pipeline.presets import PRESETS


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_valid_and_documents_itself(name):
    config = get_preset(name)
    assert config.name == name
    for word in ("Command:", "Expected"):
        assert word in PRESETS[name].__doc__


def test_unknown_preset_names_the_nearest_and_all():
    with pytest.raises(ValueError, match=r"'movielen'.*mean 'movielens'.*movielens-paper, planted"):
        get_preset("movielen")


def test_columns_follow_from_the_model_alone():
    from tfx_pipeline.datasets.canonical import make_column_kinds

    config = get_preset("planted")
    assert make_column_kinds(config.model)["release_year"] == ("numeric",)
    assert make_column_kinds(config.model)["people"] == ("strings",)
    brand = Attribute("brand", "brand")
    model = dataclasses.replace(config.model, attributes=(*config.model.attributes, brand))
    assert "brand" in make_column_kinds(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must lie in.*Received: 0"),
        ({"name": "a b"}, "Received: 'a b'"),
        ({"gates": GateConfig(min_recall=1.5)}, "gates.min_recall.*Received: 1.5"),
    ],
)
def test_bad_values_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(get_preset("planted"), **change).validate()


def test_configuration_imports_neither_tensorflow_nor_beam():
    code = (
        "import sys, tfx_pipeline.configs, tfx_pipeline.local_runner, tfx_pipeline.results;"
        "print([m for m in ('tensorflow', 'tfx', 'apache_beam') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_thresholds_hold_overall_and_not_in_every_slice():
    from tfx_pipeline.eval_config import get_slice_features, make_eval_config

    config = get_preset("movielens")
    made = make_eval_config(config)
    recall, ndcg, users = made.metrics_specs[0].metrics
    for metric, bound in ((recall, config.gates.min_recall), (ndcg, config.gates.min_ndcg)):
        assert not metric.HasField("threshold")
        (overall,) = metric.per_slice_thresholds
        assert [len(spec.feature_keys) for spec in overall.slicing_specs] == [0]
        assert overall.threshold.value_threshold.lower_bound.value == bound
        assert overall.threshold.change_threshold.absolute.value == -config.gates.max_drop
    assert not users.per_slice_thresholds
    sliced = [spec.feature_keys[0] for spec in made.slicing_specs if spec.feature_keys]
    assert tuple(sliced) == get_slice_features(config)
    assert [spec.is_baseline for spec in made.model_specs] == [False, True]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_columns_of_a_preset_are_in_its_data_set_and_in_its_schema(name):
    import importlib

    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from tfx_pipeline.datasets import DATASETS
    from tfx_pipeline.datasets.canonical import make_column_kinds
    from tfx_pipeline.schemas import find_schema

    config = get_preset(name)
    adapter = importlib.import_module(DATASETS[config.dataset].split(":")[0])
    written = {"title": "string", **adapter.ITEM_COLUMNS}
    for column, kinds in make_column_kinds(config.model).items():
        is_number = written[column] in ("int64", "int64s", "float", "floats")
        assert written[column] in kinds or ("numeric" in kinds and is_number)
    schema = text_format.Parse(find_schema("items", config.schema).read_text(), schema_pb2.Schema())
    assert {feature.name for feature in schema.feature} == {"item_id", *written}
    # A list has no upper bound of values; all else has one value at most.
    for feature in schema.feature:
        is_list = written.get(feature.name) == "strings"
        assert feature.value_count.max == (0 if is_list else 1), feature.name
