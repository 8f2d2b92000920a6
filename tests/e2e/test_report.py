"""The report of a pushed model: whole, offline, and of this model."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from tfx_pipeline import cli
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
    sections = re.findall(r'<section id="(\w+)"', page)
    assert re.findall(r'<a href="#(\w+)"', page) == sections


def test_texts_of_the_data_are_escaped(planted_run):
    from tfx_pipeline.report import page as pages
    from tfx_pipeline.report.people import Person, Shown

    shown = Shown("<script>alert(1)</script>", "", "a & b")
    person = Person("<b>7</b>", ["year <1980"], [shown], [shown], "year=<1980", [shown])
    contents = _make_empty(planted_run, people=[person])
    text = pages.render(contents)
    assert "<script>" not in text and "&lt;script&gt;" in text and "User &lt;b&gt;7" in text


def _make_empty(planted_run, **parts):
    import dataclasses

    from tfx_pipeline.report.contents import Contents

    empty = {part.name: [] for part in dataclasses.fields(Contents)}
    return Contents(**{**empty, "result": planted_run.result, **parts})


@pytest.mark.parametrize("pushed", [None, "serving/1"])
def test_a_run_whose_version_is_not_there_has_no_report(planted_run, tmp_path, capsys, pushed):
    import dataclasses

    from tfx_pipeline.results import write_result

    (tmp_path / "planted" / "serving" / "7").mkdir(parents=True)
    write_result(dataclasses.replace(planted_run.result, pushed=pushed), tmp_path / "planted")
    assert cli.main(["report", "planted", "--runs", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "The last run pushed no version that is still in" in message
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
        f"addrl report: {tmp_path}/planted/serving holds no version to report on. Train with "
        "`addrl run planted`.\n"
    )
