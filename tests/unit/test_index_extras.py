"""What a version carries for new items, where it is damaged: one error, which says what to do."""

import json

import numpy as np
import pytest
from test_index_about import ABOUT

from addrl_keras import fit_state
from tfx_pipeline.configs import get_preset
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index.about import FOLDER, write_about
from tfx_pipeline.index.extras import load_extras


@pytest.fixture
def fit(tmp_path):
    """The folder of a fitted model of which only the beginning is read."""
    write_about(ABOUT, tmp_path)
    folder = tmp_path / FOLDER / "fit"
    folder.mkdir()
    config = get_preset("planted").model.to_dict()
    state = {"format": fit_state.FORMAT, "config": config, "item_ids": [], "values": {"a": []}}
    (folder / fit_state.STATE).write_text(json.dumps(state))
    np.savez(folder / fit_state.ARRAYS, rest=np.arange(1000))
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def set_format(path):
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


@pytest.mark.parametrize(
    ("name", "damage", "reason"),
    [
        (fit_state.ARRAYS, cut, "a damaged file"),
        (fit_state.ARRAYS, lambda path: path.write_bytes(b""), "a damaged file"),
        (fit_state.ARRAYS, lambda path: None, "a damaged file"),  # An array is missing.
        (fit_state.ARRAYS, lambda path: path.unlink(), "There is no fitted model"),
        (fit_state.STATE, cut, "Expecting|Unterminated"),
        (fit_state.STATE, lambda path: path.write_text("[]"), "a damaged file"),
        (fit_state.STATE, set_format, "must be of format"),
    ],
)
def test_a_damaged_fitted_model_says_what_to_do(fit, tmp_path, name, damage, reason):
    damage(fit / name)
    with pytest.raises(DataError, match=f"({reason}).*Train and push it again") as caught:
        load_extras(tmp_path)
    assert "\n" not in str(caught.value)
