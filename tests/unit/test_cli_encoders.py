"""`addrl encoders`: what there is, and the building of one."""

import json

import pytest

from tfx_pipeline import cli
from tfx_pipeline.encoders import building


@pytest.fixture
def addrl(capsys, monkeypatch, tmp_path):
    """Runs a command with a cache of its own; returns exit code, output, error output."""
    monkeypatch.setenv("ADDRL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*argv):
        code = cli.main(list(argv))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_list_says_what_each_is(addrl, tmp_path):
    code, out, _ = addrl("encoders", "list")
    assert code == 0 and "minilm" in out and "wordpiece" in out and "when needed" in out
    (tmp_path / "cache" / "encoders" / "minilm").mkdir(parents=True)
    code, out, _ = addrl("encoders", "list", "--json")
    document = json.loads(out)
    assert document["efficientnet-lite0"]["dim"] == 1280
    assert (document["minilm"]["built"], document["efficientnet-lite0"]["built"]) == (True, False)


def test_building_says_where_it_lies_and_whether_there_was_anything_to_do(
    addrl, monkeypatch, tmp_path
):
    builds = iter([True, False])
    monkeypatch.setattr(building.Builder, "build", lambda self, cache_dir: next(builds))
    folder = tmp_path / "cache" / "encoders" / "minilm"
    code, out, _ = addrl("encoders", "build", "minilm")
    assert code == 0 and out.startswith("minilm: built in ") and out.endswith(f"{folder}\n")
    _, out, _ = addrl("encoders", "build", "minilm")
    assert out == f"minilm: whole and up to date, {folder}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["encoders"], "addrl encoders: the following arguments are required: ACTION."),
        (["encoders", "bild"], "no such choice. Received: 'bild'. Did you mean 'build'?"),
        (
            ["encoders", "build", "minlm"],
            "no such encoder. Received: 'minlm'. Did you mean 'minilm'?",
        ),
    ],
)
def test_mistakes_are_one_line(addrl, argv, message):
    code, _, err = addrl(*argv)
    assert code == 2 and message in err and err.count("\n") == 1
