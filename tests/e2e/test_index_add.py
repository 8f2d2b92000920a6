"""New items for a pushed model: added without training, served at once, refused, killed.

The tests build on each other. They work on a copy of what was pushed, because others look at the
versions there.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tfx_pipeline import cli, workspace
from tfx_pipeline.commands.local_server import start_server
from tfx_pipeline.modules import addrl_warmup  # noqa: F401 (TensorFlow, before it is redirected)

ITEMS = """\
item_id,title,release_year,studio,genres,people
new-western,Dusty Sheriff,1975,Aurora,Western,actor:aurora-western-1|director:aurora-1970
new-comedy,Silly Wedding,1955,Borealis,Comedy,actor:borealis-comedy-2
new-bare,Winter Letter,,,,
new-odd,,1893,Nova,Musical|Western,
new-empty,,,,,
"""
ADDED = ["new-western", "new-comedy", "new-bare", "new-odd"]


@pytest.fixture(scope="module")
def place(planted_run, tmp_path_factory):
    """A copy of the pushed version, and of the tables."""
    runs = tmp_path_factory.mktemp("index")
    pushed = pathlib.Path(planted_run.result.pushed)
    shutil.copytree(planted_run.runs_dir / "planted" / "data", runs / "planted" / "data")
    shutil.copytree(pushed, runs / "planted" / "serving" / pushed.name)
    return workspace.Workspace(runs, "planted")


@pytest.fixture(scope="module")
def base(place):
    return place.list_versions()[-1]


@pytest.fixture(scope="module")
def address(place):
    """A server that runs while versions come and go."""
    with start_server(place) as found:
        yield found


@pytest.fixture
def client(address):
    from serving.client import Client

    with Client(address, timeout=30) as connected:
        yield connected


@pytest.fixture
def addrl(place, capsys, monkeypatch):
    monkeypatch.setenv("ADDRL_RUNS", str(place.runs))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*argv):
        code = cli.main([str(part) for part in argv])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def write(tmp_path):
    def write_text(text):
        path = tmp_path / "items.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write_text


def find_westerns(place):
    """Known items of one genre, by the data."""
    import pyarrow.parquet as pq

    rows = pq.read_table(place.data / "items").to_pylist()
    return [row["item_id"] for row in rows if row["genres"] == ["Western"]]


def wait_for(client, version):
    deadline = time.monotonic() + 60
    while (version, "AVAILABLE") not in [(each.version, each.state) for each in client.status()]:
        assert time.monotonic() < deadline, "the server does not take the version"
        time.sleep(0.2)


def test_a_version_carries_all_that_new_items_need(place, base):
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.datasets import loading
    from tfx_pipeline.datasets.planted import ITEM_COLUMNS
    from tfx_pipeline.index.extras import load_extras

    extras = load_extras(place.serving / str(base))
    about, catalogue = extras.about, extras.result.catalogue
    assert (about.preset, about.dataset, about.updates) == ("planted", "planted", ())
    lists = {"int64": "int64s"}
    kinds = {name: lists.get(kind, kind) for name, kind in ITEM_COLUMNS.items()}
    assert about.columns == {"title": "string", **kinds}
    assert catalogue.item_ids == loading.load_item_ids(place.data)
    assert extras.result.model.config == get_preset("planted").model
    assert {name: len(used) for name, used in about.used.items()} == {
        name: len(values.names) for name, values in catalogue.values.items()
    }
    assert extras.titles == loading.load_titles(place.data)
    assert (extras.transform / "transform_fn" / "saved_model.pb").is_file()


def test_a_gate_that_refuses_leaves_the_old_version(addrl, place, base, write, monkeypatch):
    from addrl_keras import export
    from tfx_pipeline.components import probing

    def copy(result, folder):
        shutil.copytree(place.serving / str(base), folder, dirs_exist_ok=True)

    monkeypatch.setattr(export, "write_saved_model", copy)
    monkeypatch.setattr(probing, "run_probe", lambda export: {"problems": ["it is haunted"]})
    code, out, err = addrl("index", "add", "planted", write(ITEMS))
    assert (code, err) == (1, "")
    assert "servability gate: REFUSED, it is haunted" in out
    assert f"not pushed: version {base} stays in service" in out
    assert place.list_versions() == [base]


def test_a_killed_run_leaves_nothing_half_pushed(place, base, write):
    command = [sys.executable, "-m", "tfx_pipeline.cli", "index", "add", "planted"]
    process = subprocess.Popen(
        [*command, str(write(ITEMS)), "--runs", str(place.runs)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    for line in process.stdout:
        if "ServabilityGate ..." in line:
            break
    # With its children: the probe would go on for nothing.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert place.list_versions() == [base]
    assert (place.root / "index" / "work" / "export").is_dir()


def test_new_items_are_added_without_training(addrl, place, base, write, address):
    assert address
    code, out, err = addrl("index", "add", "planted", write(ITEMS))
    assert (code, err) == (0, "")
    newest = place.list_versions()[0]
    assert place.list_versions() == [newest, base] and newest > base
    text = " ".join(out.split())
    assert "5 items read" in text and "left out: item 'new-empty', " in text
    assert "items.csv, line 6: nothing is known of it" in text
    assert "year 3 1" in text and "popularity 0 4" in text
    assert "studio 2 2 Nova (1)" in text and "genre 3 1 Musical (1)" in text
    assert "Dusty Sheriff (new-western) looks like " in text
    assert f"pushed to {place.serving / str(newest)}: version {base} and 4 new items" in text
    assert "put these items there, too" in text
    # What the killed run had left is gone, and no copy is half done.
    assert not (place.root / "index" / "work").exists()
    assert not list(place.serving.glob(".*"))


def test_they_are_served_recommended_and_explained(client, place, base):
    newest = place.list_versions()[0]
    wait_for(client, newest)
    westerns = find_westerns(place)
    answer = client.recommend("nobody", 20, history_ids=westerns[:4])
    assert answer.model_version == newest and answer.source == "history"
    names = [item.item_id for item in answer.items]
    assert "new-western" in names and "new-comedy" not in names
    comedy = client.recommend("nobody", 20, attribute_filters={"genre": "Comedy"})
    assert "new-comedy" in [item.item_id for item in comedy.items] or len(comedy.items) == 20
    explained = client.explain(["nobody"] * 4, ADDED, history_ids=[westerns[:4]] * 4)
    for each in explained:
        assert sum(each.contributions.values()) == pytest.approx(each.score, abs=1e-4)
    scores = {each.item_id: each.score for each in explained}
    assert scores["new-western"] > max(scores["new-comedy"], scores["new-bare"])
    similar = client.similar_items("new-western", 5)
    assert {item.item_id for item in similar} & {*westerns, "new-odd"}


def test_the_scores_of_old_items_are_unchanged(place, base):
    import tensorflow as tf

    from tfx_pipeline.datasets import loading

    items = list(loading.load_item_ids(place.data))
    users = [f"u{number:05d}" for number in range(20)]
    scores = []
    for version in place.list_versions():
        score = tf.saved_model.load(str(place.serving / str(version))).signatures["score"]
        given = {"user_id": tf.constant(users), "item_ids": tf.constant([items] * len(users))}
        scores.append(score(**given)["scores"].numpy())
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-5)


def test_titles_and_status_know_of_them(addrl, place, base, address):
    assert place.load_titles()["new-western"] == "Dusty Sheriff"
    assert place.load_titles()["i00004"]
    newest = place.list_versions()[0]
    code, out, _ = addrl("status", "planted", "--address", address)
    assert code == 0 and f"index update of {base}: 4 items added" in out and "training" in out
    _, out, _ = addrl("status", "planted", "--json", "--address", address)
    assert json.loads(out)["updates"] == {str(newest): {"base": base, "added": 4}}


@pytest.mark.parametrize("item", ["new-comedy", "i00004"])
def test_what_is_there_is_not_added_again(addrl, place, write, item):
    versions = place.list_versions()
    code, out, err = addrl("index", "add", "planted", write(f"item_id,genres\nx,War\n{item},War\n"))
    assert code == 1
    assert "Read FAILED" in out
    assert "items.csv, line 3, column 'item_id': the item is in the catalogue already" in err
    assert "addrl run" in err and "Traceback" not in err
    assert place.list_versions() == versions


def test_items_are_added_to_what_was_added_to(addrl, place, base, write, monkeypatch):
    """A dry run tells all and pushes nothing."""
    from tfx_pipeline.components import probing

    verdict = {"problems": [], "latency_ms": 1.0, "num_requests": 1}
    monkeypatch.setattr(probing, "run_probe", lambda export: verdict)
    newest = place.list_versions()[0]
    path = write("item_id,genres,title\nlater,Western,Canyon Outlaw\n")
    code, out, err = addrl("index", "add", "planted", path, "--dry-run", "--json")
    document = json.loads(out)
    assert code == 0 and "[1/7] Read ..." in err
    assert document["base"] == newest and document["pushed"] is None and document["passed"]
    assert document["num_items"] == 120 + 4 + 1
    assert document["alike"]["later"][0]["similarity"] > 0.5
    assert place.list_versions() == [newest, base]


def test_rollback_takes_them_back(addrl, place, base, client):
    code, out, _ = addrl("rollback", "planted")
    assert code == 0 and f"version {base} is now the newest" in out
    deadline = time.monotonic() + 60
    while client.recommend("nobody", 5).model_version != base:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "new-western" not in place.load_titles()


def test_nothing_pushed_and_nothing_to_read_are_said_at_once(addrl, write, tmp_path):
    path = write(ITEMS)
    code, _, err = addrl("index", "add", "planted", path, "--runs", tmp_path)
    assert code == 1 and "There is no version to add items to." in err
    assert "Push one with `addrl run planted`" in err
    code, _, err = addrl("index", "add", "planted", tmp_path / "none.csv")
    assert code == 2 and "there is no such file" in err
