"""The gates that decide on files and artifacts: anomalies, baseline, pushes."""

import pathlib

import pytest

SCHEMAS = ("schema/movielens/items.pbtxt", "schema/interactions.pbtxt")


@pytest.fixture
def make_anomalies(tmp_path):
    """Write an ExampleAnomalies artifact with the given anomalies (column: type) of each split."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2
    from tfx.types import artifact_utils
    from tfx.types.standard_artifacts import ExampleAnomalies

    def make(name, splits):
        artifact = ExampleAnomalies()
        artifact.uri = str(tmp_path / name)
        artifact.splits = list(splits)
        for split, columns in splits.items():
            message = anomalies_pb2.Anomalies()
            for column, (kind, text) in columns.items():
                info = message.anomaly_info[column]
                info.description = text
                info.reason.add(type=getattr(anomalies_pb2.AnomalyInfo, kind))
            folder = pathlib.Path(artifact_utils.get_split_uri([artifact], split))
            folder.mkdir(parents=True)
            (folder / "SchemaDiff.pb").write_bytes(message.SerializeToString())
        return artifact

    return make


def test_no_anomaly_passes(make_anomalies):
    from tfx_pipeline.components.anomaly_gate import validate_no_anomalies

    items = make_anomalies("t", {"catalogue": {}})
    interactions = make_anomalies("i", {"train": {}, "validation": {}, "test": {}})
    assert validate_no_anomalies(items, interactions, *SCHEMAS) == 4


def test_anomalies_of_both_tables_are_listed_with_file_column_and_remedy(make_anomalies):
    from tfx_pipeline.components.anomaly_gate import DataAnomalyError, validate_no_anomalies

    items = make_anomalies(
        "t", {"catalogue": {"brand": ("SCHEMA_NEW_COLUMN", "New column (column in data)")}}
    )
    dropped = ("FEATURE_TYPE_LOW_FRACTION_PRESENT", "The feature was present in fewer examples.")
    interactions = make_anomalies("i", {"train": {}, "test": {"user_id": dropped}})
    with pytest.raises(DataAnomalyError) as caught:
        validate_no_anomalies(items, interactions, *SCHEMAS)
    text = str(caught.value)
    assert "2 anomalies" in text
    assert "items/*.parquet: column 'brand'" in text
    assert "Add it to schema/movielens/items.pbtxt" in text
    assert "interactions/test/*.parquet: column 'user_id': The feature was present" in text


def _check_schema(table, rows):
    """Anomalies of rows against the repository's schema, as ExampleValidator finds them."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    from tfx_pipeline.components.anomaly_gate import find_anomalies
    from tfx_pipeline.schemas import find_schema

    statistics = tfdv.generate_statistics_from_dataframe(pd.DataFrame(rows))
    schema = tfdv.load_schema_text(str(find_schema(table, "movielens")))
    found = tfdv.validate_statistics(statistics, schema)
    return find_anomalies(f"schema/{table}.pbtxt", found, f"{table}/*.parquet")


INTERACTIONS = [{"user_id": "u", "item_id": "a"}, {"user_id": "v", "item_id": "b"}]


def test_schema_takes_interactions_without_the_optional_columns():
    assert _check_schema("interactions", INTERACTIONS) == []
    timed = [{**row, "timestamp": 880_000_000, "weight": 0.5} for row in INTERACTIONS]
    assert _check_schema("interactions", timed) == []


@pytest.mark.parametrize(
    ("rows", "column"),
    [
        ([{"user_id": "u"}], "item_id"),
        ([{"user_id": 1, "item_id": "a"}], "user_id"),
        ([{"user_id": "u", "item_id": "a", "device": "phone"}], "device"),
        ([{"user_id": "u", "item_id": "a"}, {"user_id": None, "item_id": "b"}], "user_id"),
    ],
)
def test_schema_refuses_interactions(rows, column):
    (line,) = _check_schema("interactions", rows)
    assert f"column '{column}'" in line and "schema/interactions.pbtxt" in line


def _make_artifacts(kind, *properties):
    from tfx.types import standard_artifacts

    artifacts = []
    for number, values in enumerate(properties, start=1):
        artifact = getattr(standard_artifacts, kind)()
        artifact.id = values.pop("id", number)
        for name, value in values.items():
            if isinstance(value, str):
                artifact.set_string_custom_property(name, value)
            else:
                artifact.set_int_custom_property(name, value)
        artifacts.append(artifact)
    return artifacts


@pytest.mark.parametrize(
    ("pushes", "candidate", "baseline"),
    [
        ([], 1, None),
        ([(1, 1)], 1, None),  # An unchanged second run: its own push is no baseline.
        ([(1, 1)], 2, 1),
        ([(1, 1), (2, 1)], 2, 1),  # The run that pushed model 2, repeated.
        ([(1, 1), (2, 1)], 3, 2),
        ([(1, 1), (2, 0)], 3, 1),  # Model 2 was refused.
        ([(1, 1), (2, 1), (1, 1)], 3, 1),  # Model 1 came back and is served.
        ([(9, 1)], 3, None),  # Its artifact is gone.
    ],
)
def test_baseline_is_the_last_pushed_model_but_the_candidate(
    pushes, candidate, baseline, resolve_baseline
):
    assert resolve_baseline(pushes, candidate) == baseline


@pytest.mark.parametrize(
    ("candidate", "withdrawn", "baseline"),
    [
        (4, {3}, 2),  # The newest version was rolled back: the one in service is the bar.
        (4, {2, 3}, 1),
        (4, {1, 2, 3}, None),
        (3, {2, 3}, 2),  # Its own model was withdrawn: a repeated run finds what it had found.
        (3, {2}, 1),
    ],
)
def test_a_withdrawn_model_is_no_bar(candidate, withdrawn, baseline, resolve_baseline):
    pushes = [(1, 1), (2, 1), (3, 1)]
    assert resolve_baseline(pushes, candidate, withdrawn=withdrawn) == baseline


@pytest.mark.parametrize(
    ("outputs", "baseline"),
    [
        ({3: ("genre", "brand")}, None),  # The candidate has an attribute that no other has.
        ({1: ("genre", "brand"), 3: ("genre", "brand")}, 1),
        ({1: ("genre", "brand"), 2: ("genre", "brand")}, 2),  # An attribute was removed.
        ({1: None, 2: None}, None),  # Exports without a signature to evaluate.
        ({2: ()}, 1),
    ],
)
def test_a_model_that_cannot_be_sliced_alike_is_no_baseline(
    outputs, baseline, resolve_baseline, caplog
):
    with caplog.at_level("INFO"):
        assert resolve_baseline([(1, 1), (2, 1)], 3, outputs=outputs) == baseline
    assert ("There is no pushed model to compare with" in caplog.text) == (baseline is None)
    if outputs.get(3):
        assert "it lacks output 'brand' of the signature 'evaluate_slices'" in caplog.text


@pytest.fixture
def resolve_baseline(tmp_path):
    """Resolve the baseline among models 1 to 4 after pushes of (model, whether it was pushed)."""
    from tfx_pipeline.components.latest_model import LatestPushedModelStrategy

    def resolve(pushes, candidate, withdrawn=(), outputs=None):
        models = _make_artifacts("Model", *({"id": number} for number in range(1, 5)))
        for model in models:
            model.uri = str(tmp_path / f"model-{model.id}")
            _write_signatures(model.uri, (outputs or {}).get(model.id, ("genre",)))
        places = [tmp_path / "serving" / str(number) for number, _ in enumerate(pushes)]
        for place, (model, _) in zip(places, pushes, strict=True):
            if model not in withdrawn:
                place.mkdir(parents=True, exist_ok=True)
        pushed = _make_artifacts(
            "PushedModel",
            *(
                {"model_id": model, "pushed": flag, "pushed_destination": str(place)}
                for place, (model, flag) in zip(places, pushes, strict=True)
            ),
        )
        given = [models[candidate - 1]]
        found = LatestPushedModelStrategy().resolve_artifacts(
            None, {"model": models, "pushed_model": pushed, "candidate": given}
        )
        assert found["candidate"] == given
        ids = [model.id for model in found["model"]]
        # The newest push in service, whose data can be compared with where its model cannot.
        assert len(ids) <= len(found["pushed_model"]) <= 1
        return ids[0] if ids else None

    return resolve


def test_a_model_whose_version_gave_way_to_an_update_of_it_is_the_baseline(
    resolve_baseline, tmp_path
):
    """Old versions are cleared away; items were added to the newest one that was trained."""
    from tfx_pipeline.index.about import About, Update, write_about

    pushes = [(1, 1), (2, 1)]
    assert resolve_baseline(pushes, candidate=3, withdrawn=[2]) == 1
    about = About("p", "d", {}, {}, {}, (Update(1, ("new",)),))
    write_about(about, tmp_path / "serving" / "9")
    assert resolve_baseline(pushes, candidate=3, withdrawn=[2]) == 2


def _write_signatures(uri, slices):
    """Write the description of a SavedModel that can be evaluated and sliced; None: it cannot."""
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel()
    definitions = message.meta_graphs.add().signature_def
    outputs = {} if slices is None else {"evaluate": ("rank",), "evaluate_slices": slices}
    for name, keys in outputs.items():
        definitions[name].inputs["examples"].dtype = 7
        for key in keys:
            definitions[name].outputs[key].dtype = 7
    folder = pathlib.Path(uri, "Format-Serving")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "export"
    (folder / "assets.extra").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"requests")
    return folder


def test_pushes_within_a_second_are_all_kept_and_rise(export, tmp_path):
    from tfx_pipeline.components.versions import load_versions, push_model

    versions = [int(push_model(export, tmp_path / "serving").name) for _ in range(3)]
    assert versions == sorted(set(versions)) == load_versions(tmp_path / "serving")
    newest = tmp_path / "serving" / str(versions[-1])
    assert (newest / "assets.extra" / "tf_serving_warmup_requests").read_bytes() == b"requests"
    assert not list((tmp_path / "serving").glob(".partial*"))


def test_a_version_is_above_those_there_whatever_the_clock_says(export, tmp_path):
    from tfx_pipeline.components.versions import push_model

    future = 99_999_999_999
    (tmp_path / "serving" / str(future)).mkdir(parents=True)
    assert push_model(export, tmp_path / "serving").name == str(future + 1)


def test_copies_of_killed_processes_are_removed_and_of_living_ones_not(export, tmp_path):
    import os
    import subprocess
    import sys

    from tfx_pipeline.components.versions import push_model

    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    serving = tmp_path / "serving"
    for name in (str(killed.pid), str(os.getppid()), str(os.getpid())):
        (serving / f".partial-{name}" / "variables").mkdir(parents=True)
    assert push_model(export, serving).is_dir()
    assert [path.name for path in serving.glob(".partial*")] == [f".partial-{os.getppid()}"]


def test_receipts_of_replaced_pushes_go_and_refusals_stay(tmp_path):
    from tfx_pipeline.components.pusher import RECEIPT, remove_receipts

    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    (tmp_path / "1" / RECEIPT).touch()
    (tmp_path / "2" / RECEIPT).touch()
    assert remove_receipts(tmp_path) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["3"]


def test_a_schema_is_staged_by_content(tmp_path):
    from tfx_pipeline.pipeline import stage_schema

    schema = tmp_path / "items.pbtxt"
    schema.write_text('feature { name: "a" type: INT }')
    first = stage_schema(schema, tmp_path / "copies")
    assert first == stage_schema(schema, tmp_path / "copies")
    schema.write_text('feature { name: "x" type: INT }')
    second = stage_schema(schema, tmp_path / "copies")
    assert first != second and "x" in pathlib.Path(second).read_text()


def test_a_schema_is_found_by_name_or_path_and_interactions_are_common(tmp_path):
    from tfx_pipeline.schemas import find_schema, get_schema_name

    assert get_schema_name("items", "movielens") == SCHEMAS[0]
    with pytest.raises(FileNotFoundError, match=r"'items'.*schema/README"):
        find_schema("items", tmp_path)
    assert get_schema_name("interactions", tmp_path) == SCHEMAS[1]
    for table in ("items", "interactions"):
        (tmp_path / f"{table}.pbtxt").touch()
        assert find_schema(table, tmp_path) == tmp_path / f"{table}.pbtxt"
        assert get_schema_name(table, tmp_path) == str(tmp_path / f"{table}.pbtxt")
    with pytest.raises(FileNotFoundError, match="'interactions'"):
        find_schema("interactions", tmp_path / "nowhere")
