"""The example in examples/ does what it says, in this process, and leaves a model behind."""

import importlib.util
from pathlib import Path

import tensorflow as tf

EXAMPLE = Path(__file__).parents[2] / "examples" / "notebook_free_quickstart.py"


def _load():
    spec = importlib.util.spec_from_file_location("notebook_free_quickstart", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_quickstart_recommends_explains_steers_and_exports(tmp_path, capsys):
    _load().main(str(tmp_path))
    printed = capsys.readouterr().out
    sections = printed.split("\n\n")
    wanted = next(part for part in sections if part.startswith("wants horror"))
    assert wanted.count("horror") == 4, "the title, and all three films"
    assert "genre" in wanted
    assert "memory" in wanted
    assert ", because of film " in printed
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    answer = signatures["score"](
        user_id=tf.constant(["user 00"]), item_ids=tf.constant([["film 00", "none"]])
    )
    assert tf.math.is_finite(answer["scores"]).numpy().tolist() == [[True, False]]
