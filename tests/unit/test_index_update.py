"""The order of an index update: what it pushes, and when it does not."""

import dataclasses
import io
import json
import os
import pathlib
import subprocess
import sys

import pytest
from test_cli_index import OUTCOME
from test_index_about import ABOUT

from addrl_keras.fit_state import ARRAYS, FORMAT, STATE
from tfx_pipeline.components.versions import load_versions
from tfx_pipeline.configs import get_preset
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index import update
from tfx_pipeline.index.about import FIT, FOLDER, write_about
from tfx_pipeline.results import PipelineError


@pytest.fixture
def root(tmp_path):
    """The folder of a preset with two pushed versions."""
    for version in ("3", "7"):
        write_about(ABOUT, tmp_path / "planted" / "serving" / version)
    return tmp_path / "planted"


@pytest.fixture
def add_items(root, monkeypatch):
    """An update whose gate takes the time that `meanwhile` needs."""

    def call(meanwhile, **settings):
        def make_outcome(config, path, paths, progress):
            paths.export.mkdir(parents=True)
            meanwhile()
            return dataclasses.replace(OUTCOME, base=7, pushed=None)

        monkeypatch.setattr(update, "_make_outcome", make_outcome)
        out = io.StringIO()
        return update.add_items(
            get_preset("planted"), "new.csv", root.parent, root / "cache", out=out, **settings
        )

    return call


def test_the_larger_version_is_pushed(root, add_items):
    outcome = add_items(lambda: None)
    assert load_versions(root / "serving") == [3, 7, outcome.pushed]
    assert not (root / "index" / "work").exists()


def test_a_base_that_was_withdrawn_meanwhile_does_not_come_back(root, add_items):
    def withdraw():
        (root / "serving" / "7").rename(root / "7")

    with pytest.raises(DataError, match=r"base version 7 was withdrawn meanwhile.*now 3.*again"):
        add_items(withdraw)
    assert load_versions(root / "serving") == [3]


def test_a_version_that_was_pushed_meanwhile_stays_the_newest(root, add_items):
    def push():
        (root / "serving" / "9").mkdir()

    with pytest.raises(DataError, match="whose newest is now 9"):
        add_items(push)
    assert load_versions(root / "serving") == [3, 7, 9]


def test_what_nobody_expected_names_the_log(root, add_items):
    def fail():
        raise KeyError("genre")

    with pytest.raises(PipelineError, match="The update failed: KeyError: 'genre'") as caught:
        add_items(fail)
    log = pathlib.Path(caught.value.log)
    assert str(caught.value).endswith(f"The log is {log}")
    assert log.parent == root / "logs" and "Traceback" in log.read_text()
    assert load_versions(root / "serving") == [3, 7]


def test_a_file_is_checked_before_anything_heavy_is_loaded(root):
    """In a process of its own: others have TensorFlow loaded already."""
    fit = root / "serving" / "7" / FOLDER / FIT
    fit.mkdir()
    config = get_preset("planted").model.to_dict()
    state = {"format": FORMAT, "config": config, "item_ids": ["old"], "values": {}}
    (fit / STATE).write_text(json.dumps(state))
    (fit / ARRAYS).write_bytes(b"damaged, as nobody looks at it")
    for number, (text, message) in enumerate(
        (
            ("item_id,titel\nnew,x\n", "column 'titel': there is no such column"),
            ("item_id\nold\n", "'old'"),
        )
    ):
        path = root / f"{number}.csv"
        path.write_text(text)
        code = (
            "import sys\n"
            "from tfx_pipeline import cli\n"
            f"assert cli.main(['index', 'add', 'planted', {str(path)!r}]) == 1\n"
            "assert 'tensorflow' not in sys.modules\n"
        )
        environment = {**os.environ, "ADDRL_RUNS": str(root.parent)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert message in done.stderr and "Traceback" not in done.stderr
