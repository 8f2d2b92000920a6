"""The report of a pushed model: whole, offline, and of this model."""

import dataclasses
import html
import json
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pyarrow.parquet as pq
import pytest

from addrl_keras.config import Attribute, Config, Modality, TrainingConfig
from tfx_pipeline import cli
from tfx_pipeline.drift import FIRST, ColumnDrift, Drift, TableSize, load_drift
from tfx_pipeline.index.extras import load_extras
from tfx_pipeline.results import load_last_result


@pytest.fixture(scope="module")
def page(planted_run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "page.html"
    words = ["report", "planted", "--runs", str(planted_run.runs_dir), "--out", str(path)]
    assert cli.main(words) == 0
    return path.read_text(encoding="utf-8")


def test_it_is_one_small_page_that_loads_nothing(page):
    assert len(page.encode()) < 5 * 2**20
    addresses = re.findall(r"""(?:src|href)=["']([^"']*)""", page)
    assert addresses
    assert all(each.startswith(("#", "data:image/")) for each in addresses)
    assert not re.search(r"<script|@import|url\(http", page)
    # A hash of an id has no place to break a line at, and would make the page wider than a phone.
    assert re.search(r"body \{[^}]*overflow-wrap: break-word", page)


def test_figures_are_sound_and_their_text_can_be_read(page):
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(figures) > 5
    for figure in figures:
        ElementTree.fromstring(figure)
    assert any("what each chunk tells of each attribute" in figure for figure in figures)


def test_it_is_of_the_last_run_and_its_model(planted_run, page):
    """Other tests may have trained again in the same folder."""
    last = load_last_result(planted_run.runs_dir, "planted")
    assert f"{last.metrics['recall_at_20']:.4f}" in page
    version = last.pushed.rsplit("/", 1)[1]
    assert f"planted: report of version {version}" in page
    for name in load_extras(last.pushed).result.model.config.attribute_names:
        assert f"a wish for a {name}" in page
    assert "REFUSED" not in page and page.count(">passed<") == 3
    assert "You often choose " in page or "and this goes with it." in page
    # The steered list has reasons of its own; nothing that rounds to nought is a part of one.
    assert "You asked for " in page
    assert re.search(r"With the wish .+: \d of \d+ have it, \d of \d+ without the wish", page)
    assert not re.search(r"[+-]0\.00 ", page)
    sections = re.findall(r'<section id="(\w+)"', page)
    assert re.findall(r'<a href="#(\w+)"', page) == sections


def test_texts_of_the_data_are_escaped(planted_run):
    from tfx_pipeline.report import page as pages
    from tfx_pipeline.report.people import Person, Shown

    shown = Shown("<script>alert(1)</script>", "", "a & b")
    person = Person("<b>7</b>", ["year <1980"], [shown], [shown], "year=<1980", [shown])
    contents = _make_empty(people=[person], verdicts=planted_run.result.verdicts)
    text = pages.render(contents)
    assert "<script>" not in text and "&lt;script&gt;" in text and "User &lt;b&gt;7" in text


def _make_empty(**parts):
    from tfx_pipeline.report.contents import Contents

    empty = {part.name: [] for part in dataclasses.fields(Contents)}
    return Contents(**{**empty, "drift": FIRST, **parts})


# Opens the page in a frame of a width, and says how much wider it is than that.
FRAME = """<!DOCTYPE html><html><head><title></title></head><body>
<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>
  const frame = document.querySelector("iframe");
  frame.addEventListener("load", () => {{
    const root = frame.contentDocument.documentElement;
    document.title = `wider by ${{root.scrollWidth - root.clientWidth}}`;
  }});
</script></body></html>"""


@pytest.mark.parametrize("width", [400, 1400])
def test_a_browser_shows_it_without_errors_and_as_wide_as_its_window(page, width, tmp_path):
    from tfx_pipeline.report import page as pages
    from tfx_pipeline.report.people import Person

    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if not browser:
        pytest.skip(f"needs one of {', '.join(names)} on PATH")
    # Ids of shops may be hashes, which have no place to break a line at.
    person = Person("0123456789abcdef" * 4, ["year <1980"], [], [], "year=<1980", [])
    for number, text in enumerate((page, pages.render(_make_empty(people=[person])))):
        path = tmp_path / f"{number}.html"
        path.write_text(FRAME.format(width=width, page=html.escape(text)), encoding="utf-8")
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
        words += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1500,900"]
        words += ["--virtual-time-budget=5000", "--dump-dom", path.as_uri()]
        shown = subprocess.run(
            [browser, *words], capture_output=True, text=True, timeout=120, check=True
        )
        assert "<title>wider by 0</title>" in shown.stdout
        assert "CONSOLE" not in shown.stderr


def test_what_drifted_is_in_a_table_and_said_first():
    from tfx_pipeline.report import page as pages

    drift = Drift(
        "17",
        (
            ColumnDrift("items", "studio", 0.25, 0.1, 0.98, 0.5),
            ColumnDrift("items", "genres", 0.01, 0.1, 1.0, 1.0),
        ),
        (TableSize("items", 100, 1000, 0.5, 2.0),),
    )
    text = pages.render(_make_empty(drift=drift))
    assert "These drifted further than the schema allows" in text
    words = "98.0% of the rows had a value, now 50.0%, Jensen-Shannon divergence 0.250, allowed 0.1"
    assert f"items.studio: {words}" in text
    assert "98.0&nbsp;%" in text and "1,000" in text
    # Both its distance and the share of rows that have a value are beyond what is allowed.
    assert text.count('class="refused verdict">') == text.count('<td class="refused">') == 1
    calm = dataclasses.replace(drift, columns=drift.columns[1:], sizes=())
    assert "Nothing drifted further" in pages.render(_make_empty(drift=calm))
    assert "Nothing to compare the data with: there was no model in service." in pages.render(
        _make_empty()
    )
    assert "The schema compares no column" in pages.render(_make_empty(drift=Drift("17")))


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        (
            {"year": [2.0, 1.0, 3.0], "genre": [1.0, 2.0, 3.0]},
            "from title, got as many passes over the items as were best on items held out: year 2, "
            "genre 1 (3 were made, of 9 at most). ",
        ),
        (
            {"genre": [3.0, 2.0]},
            "genre 2 (2 were made, of 9 at most). Too few values to choose by: year. ",
        ),
        ({}, ""),
    ],
)
def test_the_passes_that_attributes_got_are_said(held_out, words):
    from tfx_pipeline.report.contents import _word_content

    config = Config(
        attributes=(Attribute("year", "year", kind="numeric"), Attribute("genre", "genres")),
        modalities=(Modality("id", encoder="id"), Modality("title", "title", encoder="text")),
        training=TrainingConfig(content_epochs=9),
    )
    assert _word_content(held_out, config).endswith(words)


@pytest.fixture(scope="module")
def made(planted_run, tmp_path_factory):
    """What the components of the last run made, as a pipeline passes it on.

    Other tests may have trained in the same folder, so it is told by what is in it.
    """
    from tfx_pipeline.results import load_evaluation, load_servability_verdict

    last = load_last_result(planted_run.runs_dir, "planted")
    place = planted_run.runs_dir / "planted"

    def find(pattern, fits=lambda folder: True):
        folders = sorted(place.glob(f"pipeline_root/{pattern}"), key=lambda path: -int(path.name))
        return str(next(folder for folder in folders if fits(str(folder))))

    def has_its_metrics(folder):
        names = _load_model_names(folder)
        return load_evaluation(folder, "candidate" if len(names) > 1 else None)[0] == last.metrics

    tables = pq.read_table(place / "data" / "interactions" / "test", columns=["user_id", "item_id"])
    pairs = set(zip(*(column.to_pylist() for column in tables.columns), strict=True))
    model = tmp_path_factory.mktemp("model")
    (model / "Format-Serving").symlink_to(last.pushed)
    return {
        "model": str(model),
        "evaluation": find("Evaluator/evaluation/*", has_its_metrics),
        "blessing": find(
            "ServabilityGate/blessing/*",
            lambda folder: load_servability_verdict(folder) == last.verdicts[2],
        ),
        "interactions": find(
            "InteractionsGen/examples/*", lambda folder: _load_pairs(folder) == pairs
        ),
        "items": find("ItemsGen/examples/*"),
        "drift": find("DataDrift/drift/*", lambda folder: load_drift(folder) == last.drift),
    }


def _load_model_names(evaluation):
    text = pathlib.Path(evaluation, "eval_config.json").read_text(encoding="utf-8")
    return [spec.get("name", "") for spec in json.loads(text)["evalConfig"]["modelSpecs"]]


def _load_pairs(examples):
    import tensorflow as tf

    from tfx_pipeline.modules.addrl_catalogue import load_columns

    names = ("user_id", "item_id")
    columns = load_columns(
        [f"{examples}/Split-test/*"], {name: tf.io.VarLenFeature(tf.string) for name in names}
    )
    decoded = ([value.decode() for value in columns[name][1]] for name in names)
    return set(zip(*decoded, strict=True))


def _run_component(made, page, pushed, preset="planted"):
    from tfx.types import artifact_utils, standard_artifacts

    from tfx_pipeline.components.artifacts import DriftReport, ReportPage
    from tfx_pipeline.components.report import Report

    types = {
        "model": standard_artifacts.Model,
        "evaluation": standard_artifacts.ModelEvaluation,
        "blessing": standard_artifacts.InfraBlessing,
        "interactions": standard_artifacts.Examples,
        "items": standard_artifacts.Examples,
        "drift": DriftReport,
    }
    inputs = {name: kind() for name, kind in types.items()}
    for name, artifact in inputs.items():
        artifact.uri = made[name]
    inputs["interactions"].split_names = artifact_utils.encode_split_names(["test"])
    inputs["items"].split_names = artifact_utils.encode_split_names(["catalogue"])
    inputs["pushed"] = standard_artifacts.PushedModel()
    inputs["pushed"].set_int_custom_property("pushed", int(bool(pushed)))
    inputs["pushed"].set_string_custom_property("pushed_destination", pushed)
    output = ReportPage()
    output.uri = str(page)
    function = Report.EXECUTOR_SPEC.executor_class._FUNCTION
    function(**inputs, page=output, preset=preset, photo_column="", fingerprint="")


def test_the_pipeline_makes_the_same_page(planted_run, made, page, tmp_path, capsys):
    from tfx_pipeline.commands.report import write_report
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.report.page import load_contents
    from tfx_pipeline.results import write_result
    from tfx_pipeline.workspace import Workspace

    last = load_last_result(planted_run.runs_dir, "planted")
    _run_component(made, tmp_path, last.pushed)
    contents = load_contents(tmp_path)
    assert contents.version == last.pushed.rsplit("/", 1)[1]
    assert contents.verdicts == list(last.verdicts) and contents.drift == last.drift
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (accuracy,) = contents.accuracy
    assert accuracy[1] in page and accuracy[1] in text
    assert contents.facts[1][1] in page and "The baselines are measured after a run" in text
    # `addrl report` takes what the run made, and adds the baselines.
    place = Workspace(planted_run.runs_dir, "planted")
    lines = []
    try:
        write_result(dataclasses.replace(last, report=str(tmp_path)), place.root)
        out = tmp_path / "again.html"
        write_report(get_preset("planted"), place, lines.append, out)
    finally:
        write_result(last, place.root)
    assert lines == [] and accuracy[1] in out.read_text(encoding="utf-8")


def test_a_model_that_was_refused_has_a_page_that_says_so(made, tmp_path):
    _run_component(made, tmp_path, "")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "planted: report of a model that was refused" in text


def test_a_report_that_cannot_be_made_does_not_stop_the_run(made, tmp_path, caplog):
    _run_component({**made, "model": str(tmp_path / "gone")}, tmp_path / "page", "")
    # TFX takes from the cache only what is there, so the next run tries again.
    assert not (tmp_path / "page").exists()
    assert "the report was not made" in caplog.text


def test_contents_survive_json_and_nothing_else_is_taken(tmp_path):
    from tfx_pipeline.commands.report import add_baselines
    from tfx_pipeline.report.contents import Contents
    from tfx_pipeline.report.page import load_contents
    from tfx_pipeline.report.people import Person, Shown
    from tfx_pipeline.results import Verdict

    shown = Shown("A", "", "x", "because", [["year", 0.5]])
    contents = _make_empty(
        people=[Person("7", ["p"], [shown], [shown], "w", [shown])],
        verdicts=[Verdict("data", True, "no anomalies")],
        accuracy=[["this model", "0.5", "0.4"]],
        drift=Drift("3", (ColumnDrift("items", "a", 0.5, 0.1, 1.0, 1.0),), ()),
    )
    assert Contents.from_json(contents.to_json()) == contents
    rows = {"ease": {"recall_at_20": 0.25, "ndcg_at_20": 0.125}, "short": {"recall_at_5": 1.0}}
    assert add_baselines(contents, rows).accuracy[1:] == [("EASE", "0.2500", "0.1250")]
    old = json.loads(contents.to_json())
    del old["drift"]
    assert "before drift" in Contents.from_json(json.dumps(old)).drift.reason
    assert load_contents(tmp_path) is None
    for text in ("{", "{}", '{"people": [1], "verdicts": []}', '{"people": [], "verdicts": []}'):
        (tmp_path / "contents.json").write_text(text)
        assert load_contents(tmp_path) is None


@pytest.mark.parametrize("pushed", [None, "serving/1"])
def test_a_run_whose_version_is_not_there_has_no_report(planted_run, tmp_path, capsys, pushed):
    from tfx_pipeline.results import write_result

    (tmp_path / "planted" / "serving" / "7").mkdir(parents=True)
    write_result(dataclasses.replace(planted_run.result, pushed=pushed), tmp_path / "planted")
    assert cli.main(["report", "planted", "--runs", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "The last run pushed no version that is still in" in message
    assert "and it made no report itself." in message
    assert f"Received: {pushed or 'nothing pushed'}." in message


def test_formulas_and_attributes_of_lists_do_not_stop_it():
    import numpy as np
    import scipy.sparse

    from addrl_keras.probing import compute_floor
    from addrl_keras.watching import get_single_labels
    from tfx_pipeline.report import figures

    assert "foo$" in figures.draw_bars({r"$\\foo$": 0.5}, "x", "cost $1 to $2")
    lists = get_single_labels(scipy.sparse.csr_matrix(np.ones((12, 2))))
    floor = compute_floor({"tags": lists, "kind": np.arange(12) % 2})
    assert np.isnan(floor["tags"]["tags"]) and floor["kind"]["kind"] == 1.0


def test_where_it_cannot_be_written_is_said_first(planted_run, tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    for out, message in (
        (tmp_path, f"--out is a folder. Received: '{tmp_path}'."),
        (tmp_path / "file" / "page.html", "--out cannot be written ("),
    ):
        words = ["report", "planted", "--runs", str(planted_run.runs_dir), "--out", str(out)]
        assert cli.main(words) == 2
        assert message in capsys.readouterr().err


def test_nothing_pushed_is_said(capsys, tmp_path):
    assert cli.main(["report", "planted", "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"addrl report: {tmp_path}/planted holds no run to report on. Train with `addrl run "
        "planted`.\n"
    )
