"""The order of an index update: what it pushes, and when it does not."""

import dataclasses
import io

import pytest
from test_cli_index import OUTCOME
from test_index_about import ABOUT

from tfx_pipeline.components.versions import load_versions
from tfx_pipeline.configs import get_preset
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index import update
from tfx_pipeline.index.about import write_about


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
