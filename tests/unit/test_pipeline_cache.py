"""What TFX's cache looks at: an edit or an upgrade changes the parameters of whom it concerns."""

import dataclasses
import importlib.util
import shutil

import pytest

OURS = {
    "InteractionsGen", "ItemsGen", "AnomalyGate", "Transform", "Trainer", "EvaluationRows",
    "Evaluator", "ServabilityGate", "DataDrift", "Report",
}  # fmt: skip


def _load_parameters(root):
    """The parameters of each component in the compiled pipeline, as TFX hashes them."""
    from tfx.dsl.compiler import compiler

    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.pipeline import PipelinePaths, make_pipeline

    config = dataclasses.replace(get_preset("planted"), report=True)
    made = make_pipeline(config, PipelinePaths(root))
    nodes = [node.pipeline_node for node in compiler.Compiler().compile(made).nodes]
    return {node.node_info.id: node.parameters.SerializeToString(True) for node in nodes}


def test_presets_have_a_report_made_after_the_push_unless_they_say_not(tmp_path):
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.pipeline import PipelinePaths, make_pipeline

    planted = get_preset("planted")
    assert get_preset("movielens").report and not planted.report
    for report in (False, True):
        config = dataclasses.replace(planted, report=report)
        made = make_pipeline(config, PipelinePaths(tmp_path))
        names = [component.id for component in made.components]
        assert ("Report" in names) == report
        assert not report or names.index("Report") > names.index("Pusher")


@pytest.fixture
def find_changes(tmp_path):
    before = _load_parameters(tmp_path)

    def find():
        after = _load_parameters(tmp_path)
        return {name for name, parameters in after.items() if parameters != before[name]}

    assert find() == set()
    return find


@pytest.mark.parametrize(
    ("module", "components"),
    [
        ("tfx_pipeline.modules.addrl_metrics", {"Evaluator"}),
        ("tfx_pipeline.components.example_gen", {"InteractionsGen", "ItemsGen"}),
        ("tfx_pipeline.components.trainer", {"Trainer"}),
        ("tfx_pipeline.components.evaluation_rows", {"EvaluationRows"}),
        ("tfx_pipeline.components.anomaly_gate", {"AnomalyGate"}),
        ("tfx_pipeline.components.servability_probe", {"ServabilityGate"}),
        ("tfx_pipeline.components.report", {"Report"}),
        ("tfx_pipeline.components.drift", {"DataDrift"}),
        ("tfx_pipeline.components.statistics", {"Trainer", "DataDrift"}),
        ("tfx_pipeline.index.about", {"Trainer", "DataDrift", "Report"}),
        ("tfx_pipeline.modules.addrl_warmup", {"Trainer", "ServabilityGate"}),
        ("tfx_pipeline.modules.addrl_preprocessing", {"Transform"}),
        ("addrl_keras.config", {"Transform"}),
    ],
)
def test_an_edit_changes_the_parameters_of_whom_it_concerns(
    module, components, find_changes, tmp_path, monkeypatch
):
    find_spec = importlib.util.find_spec
    edited = tmp_path / "edited.py"
    shutil.copyfile(find_spec(module).origin, edited)
    edited.write_text(edited.read_text() + "# edited\n")

    def find_edited(name, *rest):
        return importlib.util.spec_from_file_location(name, edited) if name == module else (
            find_spec(name, *rest)
        )  # fmt: skip

    monkeypatch.setattr("tfx_pipeline.fingerprint.importlib.util.find_spec", find_edited)
    assert find_changes() == components


@pytest.mark.parametrize(
    "library", ["tensorflow", "keras", "tensorflow-data-validation", "tensorflow-transform", "tfx"]
)
def test_an_upgrade_changes_the_parameters_of_all_our_components(
    library, find_changes, monkeypatch
):
    from tfx_pipeline import fingerprint

    load = fingerprint.load_version
    assert load(library)
    monkeypatch.setattr(
        fingerprint, "load_version", lambda name: "99.0" if name == library else load(name)
    )
    assert find_changes() == OURS
