"""Lets the tests of this folder import their helpers; the planted data and a model fitted on it.

TensorFlow is imported inside the fixtures, so that a run without them stays quick.
"""

import sys
from pathlib import Path

import pytest

# pytest's importlib mode leaves sys.path alone, and the name `tests` belongs to another package
# of the environment.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def planted():
    from addrl_data import make_planted

    return make_planted()


@pytest.fixture(scope="session")
def fitted(planted):
    """The default recipe on the planted data: content side, closed form, training, refit."""
    from addrl_data import make_config

    from addrl_keras import fit

    return fit(make_config(), planted.catalogue, planted.interactions)


@pytest.fixture(scope="session")
def recommender(fitted):
    from addrl_keras import Recommender

    return Recommender(fitted)


@pytest.fixture(scope="session")
def saved_model(fitted, tmp_path_factory):
    """Folder of the fitted model's SavedModel, written over something that was none."""
    from addrl_keras import write_saved_model

    directory = tmp_path_factory.mktemp("export")
    (directory / "saved_model.pb").write_bytes(b"not a model")
    write_saved_model(fitted, str(directory))
    return directory
