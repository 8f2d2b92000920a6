"""The pipeline on planted data: run, repeated, edited, refused. The tests build on each other."""

import dataclasses
import fcntl
import io
import json
import pathlib

import pytest

from tfx_pipeline.configs import get_preset
from tfx_pipeline.local_runner import PipelineError, load_last_result, run
from tfx_pipeline.modules import addrl_warmup  # noqa: F401 (TensorFlow, before it is redirected)

GATED = {"data", "quality", "servability"}


def _push_update(planted_run):
    """Push what `addrl index add` pushes: a version that ML Metadata has never heard of."""
    from tfx_pipeline.components.versions import push_model
    from tfx_pipeline.index.about import Update, load_about, write_about

    serving = planted_run.runs_dir / "planted" / "serving"
    newest = _versions(planted_run)[-1]
    version = push_model(serving / str(newest), serving)
    about = load_about(version)
    write_about(dataclasses.replace(about, updates=(Update(newest, ("new",)),)), version)
    return int(version.name)


def _count_executions(runs_dir, *states):
    """Number of executions in ML Metadata by component, of those in one of the states."""
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration import metadata

    path = runs_dir / "planted" / "metadata.sqlite"
    wanted = {getattr(metadata_store_pb2.Execution, state) for state in states}
    connection = metadata.sqlite_metadata_connection_config(str(path))
    with metadata.Metadata(connection) as handle:
        executions = handle.store.get_executions()
    return sum(execution.last_known_state in wanted for execution in executions)


def _rerun(planted_run, config=None, **options):
    return run(config or get_preset("planted"), runs_dir=planted_run.runs_dir,
               out=io.StringIO(), **options)  # fmt: skip


def _versions(planted_run):
    folder = planted_run.runs_dir / "planted" / "serving"
    return sorted(int(path.name) for path in folder.iterdir())


def test_first_run_trains_judges_and_pushes(planted_run):
    result = planted_run.result
    assert {verdict.gate for verdict in result.verdicts} == GATED
    assert result.passed and result.is_new and result.reason == ""
    assert result.metrics["recall_at_20"] > 0.5
    assert result.baseline == {} and result.drift.reason == "there was no model in service"
    pushed = pathlib.Path(result.pushed)
    assert (pushed / "saved_model.pb").is_file()
    assert (pushed / "assets.extra" / "tf_serving_warmup_requests").is_file()
    assert not any(component.cached for component in result.components)


def test_every_component_has_a_line_as_it_starts_and_ends(planted_run):
    for component in planted_run.result.components:
        assert f"{component.name} ..." in planted_run.printed
        assert f"{component.name} done in" in planted_run.printed
    assert f"log: {planted_run.result.log}" in planted_run.printed
    # Beside these, indented ones say how far the training is.
    lines = [line for line in planted_run.printed.splitlines() if not line.startswith("      ")]
    assert len(lines) == 2 * len(planted_run.result.components) + 4
    told = [line for line in planted_run.printed.splitlines() if line not in lines]
    assert told and all(line.startswith("      Trainer ") for line in told)
    log = pathlib.Path(planted_run.result.log).read_text()
    assert "Going to run a new execution" in log and "content: epoch 1 of " in log
    events = planted_run.runs_dir.glob("planted/pipeline_root/Trainer/model_run/**/events.*")
    assert {file.parent.name for file in events} >= {"content"}


def test_metrics_are_those_of_the_pushed_model(planted_run):
    """Recall and NDCG again, from the lists that the pushed SavedModel returns."""
    import numpy as np
    import pyarrow.parquet as pq
    import tensorflow as tf

    data = planted_run.runs_dir / "planted" / "data" / "interactions"
    known, relevant = {}, {}
    for split, target in (("train", known), ("validation", known), ("test", relevant)):
        for row in pq.read_table(data / split).to_pylist():
            target.setdefault(row["user_id"], set()).add(row["item_id"])
    users = sorted(user for user in relevant if user in known)
    recommend = tf.saved_model.load(planted_run.result.pushed).signatures["recommend"]
    defaults = recommend.structured_input_signature[1]
    lists = _recommend(recommend, defaults, users)
    recalls, ndcgs = [], []
    for user, items in zip(users, lists, strict=True):
        assert not known[user] & set(items)
        hits = np.array([item in relevant[user] for item in items])
        discount = 1 / np.log2(np.arange(2, 22))
        recalls.append(hits.sum() / len(relevant[user]))
        ndcgs.append((hits * discount).sum() / discount[: len(relevant[user])].sum())
    np.testing.assert_allclose(planted_run.result.metrics["users"], len(users), rtol=1e-6)
    np.testing.assert_allclose(
        planted_run.result.metrics["recall_at_20"], np.mean(recalls), atol=1e-6
    )
    np.testing.assert_allclose(planted_run.result.metrics["ndcg_at_20"], np.mean(ndcgs), atol=1e-6)


def _recommend(signature, specs, users):
    """Ask for 20 items of each user, known ones left out, neutral otherwise."""
    import tensorflow as tf

    count = len(users)
    ones = tf.ones((count, len(get_preset("planted").model.chunk_names)))
    given = {
        "user_id": tf.constant(users),
        "k": tf.constant(20),
        "exclude_seen": tf.constant(True),
        "attribute_weights": ones,
        "hold_weights": ones,
        "target_strength": tf.ones(count),
    }
    for name in specs:
        if name not in given:
            given[name] = tf.fill((count, 1), "")
    answer = signature(**given)
    return [[item.decode() for item in row] for row in answer["item_ids"].numpy()]


def test_slices_are_the_models_own_values(planted_run):
    slices = planted_run.result.slices
    names = get_preset("planted").model.attribute_names
    assert set(slices) == {*names, "item_warmth", "user_activity"}
    assert {"Comedy", "Western", "(missing)"} <= set(slices["genre"])
    assert any(name.startswith("<=") for name in slices["year"])
    # Items have one year at most, so the years share the users out.
    shares = sum(row["users"] for row in slices["year"].values())
    assert shares == pytest.approx(planted_run.result.metrics["users"], rel=1e-6)


def test_no_item_loses_a_popularity_of_zero(planted_run):
    popularity = planted_run.result.slices["popularity"]
    assert "(missing)" not in popularity


def test_the_result_is_kept(planted_run):
    assert load_last_result(planted_run.runs_dir, "planted") == planted_run.result
    assert load_last_result(planted_run.runs_dir, "movielens") is None


def test_a_second_run_takes_everything_from_the_cache(planted_run):
    executed = _count_executions(planted_run.runs_dir, "COMPLETE")
    cached = _count_executions(planted_run.runs_dir, "CACHED")
    versions = _versions(planted_run)
    result = _rerun(planted_run)
    runs = {component.name: component.cached for component in result.components}
    assert runs.pop("LatestModel") is False  # A resolver asks ML Metadata at every run.
    assert all(runs.values()), runs
    # The one new complete execution is the resolver's.
    assert _count_executions(planted_run.runs_dir, "COMPLETE") == executed + 1
    assert _count_executions(planted_run.runs_dir, "CACHED") == cached + len(runs)
    assert result.metrics == planted_run.result.metrics
    assert result.pushed == planted_run.result.pushed and not result.is_new
    assert _versions(planted_run) == versions


def test_added_items_stay_where_nothing_has_changed(planted_run):
    from tfx_pipeline import workspace
    from tfx_pipeline.commands import rollback
    from tfx_pipeline.commands.run import describe_updates

    place = workspace.Workspace(planted_run.runs_dir, "planted")
    base = _versions(planted_run)[-1]
    update = _push_update(planted_run)
    assert update > base
    result = _rerun(planted_run)
    assert {run.name for run in result.components if not run.cached} == {"LatestModel"}
    assert result.pushed == planted_run.result.pushed and not result.is_new
    assert _versions(planted_run)[-1] == update
    assert describe_updates(place, result) == [
        f"version {update} stays the newest: an index update of {base}, 1 items added"
    ]
    rollback.retire(place, update)
    assert describe_updates(place, result) == []


def test_a_bar_too_high_refuses_without_training_again(planted_run):
    config = get_preset("planted")
    gates = dataclasses.replace(config.gates, min_recall=0.99)
    versions = _versions(planted_run)
    result = _rerun(planted_run, dataclasses.replace(config, gates=gates))
    assert not result.passed and result.pushed is None
    assert "recall_at_20 is 0." in result.reason and "required 0.9900" in result.reason
    assert {run.name for run in result.components if not run.cached} == {
        "LatestModel", "Evaluator", "Pusher"
    }  # fmt: skip
    assert _versions(planted_run) == versions


def test_an_edit_of_the_sources_trains_again_and_compares_with_the_last_push(
    planted_run, monkeypatch
):
    from tfx_pipeline import pipeline, workspace
    from tfx_pipeline.commands.run import describe_updates

    compute = pipeline.compute_module_fingerprint

    def edited(*modules):
        return compute(*modules) + ("-edited" if "addrl_keras" in modules else "")

    monkeypatch.setattr(pipeline, "compute_module_fingerprint", edited)
    # Items that were added since are in nobody's way: what they were added to is the last push.
    _push_update(planted_run)
    versions = _versions(planted_run)
    result = _rerun(planted_run)
    assert {run.name for run in result.components if not run.cached} == {
        "Trainer", "LatestModel", "DataDrift", "ServabilityGate", "Evaluator", "Pusher"
    }  # fmt: skip
    # The data are those that the model in service was trained on, whose statistics it carries.
    drift = result.drift
    assert drift.version == pathlib.Path(planted_run.result.pushed).name
    assert {each.table for each in drift.sizes} == {"items", "interactions"}
    assert {"studio", "genres", "release_year"} <= {each.column for each in drift.columns}
    assert not drift.describe() and max(each.distance for each in drift.columns) < 1e-6
    # The same sources and seed make the same model, so it ties with the last one and passes.
    assert result.baseline == pytest.approx(planted_run.result.metrics)
    assert result.metrics == pytest.approx(planted_run.result.metrics, abs=1e-6)
    assert result.is_new
    assert _versions(planted_run) == [*versions, int(pathlib.Path(result.pushed).name)]
    place = workspace.Workspace(planted_run.runs_dir, "planted")
    (line,) = describe_updates(place, result)
    assert "1 items that `addrl index add` had added are not in the data set" in line
    assert line.endswith("does not know them: new. Put them there, or add them again.")

    repeated = _rerun(planted_run)
    assert repeated.pushed == result.pushed and not repeated.is_new


def test_an_edit_taken_back_pushes_the_old_model_again(planted_run):
    """The edit of the test before is gone: its model is newest, so the first one must come back."""
    versions = _versions(planted_run)
    result = _rerun(planted_run)
    assert {run.name for run in result.components if not run.cached} == {
        "LatestModel", "DataDrift", "Evaluator", "Pusher"
    }  # fmt: skip
    assert result.is_new and _versions(planted_run) == [
        *versions, int(pathlib.Path(result.pushed).name)
    ]  # fmt: skip


def test_models_with_other_attributes_are_compared_where_they_can_be(planted_run):
    """Without an attribute a model has the bar of the last; a model that has one more has not."""
    config = get_preset("planted")
    attributes = tuple(part for part in config.model.attributes if part.name != "studio")
    fewer = dataclasses.replace(
        config, model=dataclasses.replace(config.model, attributes=attributes)
    )
    result = _rerun(planted_run, fewer)
    assert result.is_new and result.baseline == pytest.approx(planted_run.result.metrics)
    assert "studio" not in result.slices

    # `studio` comes as a new attribute would: no pushed model but the candidate itself has it.
    result = _rerun(planted_run)
    assert result.is_new and "studio" in result.slices
    assert "lacks output 'studio' of the signature" in pathlib.Path(result.log).read_text()


def test_an_attribute_without_a_column_stops_before_anything_runs(planted_run, tmp_path):
    from addrl_keras.config import Attribute

    config = get_preset("planted")
    attributes = (*config.model.attributes, Attribute("brand", "brand_name"))
    broken = dataclasses.replace(
        config, model=dataclasses.replace(config.model, attributes=attributes)
    )
    with pytest.raises(PipelineError, match="no column 'brand_name'") as caught:
        _rerun(planted_run, broken)
    assert caught.value.component == "Data"
    assert caught.value.log in str(caught.value)


def test_anomalous_data_stop_the_run_with_the_column_and_the_remedy(planted_run, tmp_path):
    from tfx_pipeline.schemas import find_schema

    text = find_schema("items", "movielens").read_text()
    (tmp_path / "items.pbtxt").write_text(text.replace('name: "studio"', 'name: "label"'))
    config = dataclasses.replace(get_preset("planted"), schema=str(tmp_path))
    with pytest.raises(PipelineError) as caught:
        _rerun(planted_run, config)
    assert caught.value.component == "AnomalyGate"
    assert "items/*.parquet: column 'studio'" in str(caught.value)
    assert f"Add it to {tmp_path}/items.pbtxt" in str(caught.value)
    assert "column 'label'" in str(caught.value)
    kept = json.loads((planted_run.runs_dir / "planted" / "result.json").read_text())
    assert kept["pushed"], "a failed run must not replace the last result"


def test_two_runs_of_one_preset_do_not_clash(planted_run):
    with open(planted_run.runs_dir / "planted" / ".lock", "a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(PipelineError, match="Another run of the preset 'planted'"):
            _rerun(planted_run)
