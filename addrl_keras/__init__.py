"""AD-DRL: recommendations that add up, attribute by attribute.

Make a catalogue and interactions out of tables, `fit` a model, ask a `Recommender`, and export
with `write_saved_model`. Names are imported on first use, so that importing the package, and
reading or validating a configuration, costs milliseconds instead of TensorFlow's seconds.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from addrl_keras.version import __version__

# TensorFlow Recommenders refuses to be imported unless tf.keras means Keras 2. The models here are
# Keras 3, imported as `keras`, which this does not touch.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

if TYPE_CHECKING:
    from addrl_keras.catalogue import (
        AttributeValues,
        Catalogue,
        Interactions,
        make_interactions,
    )
    from addrl_keras.config import (
        Attribute,
        Config,
        LossConfig,
        Modality,
        ModelConfig,
        NewItemsConfig,
        StartConfig,
        TrainingConfig,
    )
    from addrl_keras.export import write_saved_model
    from addrl_keras.model import AdDrl
    from addrl_keras.recommender import Recommender
    from addrl_keras.tables import evaluate, make_catalogue, split_interactions
    from addrl_keras.training import FitResult, fit

_MODULES = {
    "catalogue": ("AttributeValues", "Catalogue", "Interactions", "make_interactions"),
    "config": (
        "Attribute",
        "Config",
        "LossConfig",
        "Modality",
        "ModelConfig",
        "NewItemsConfig",
        "StartConfig",
        "TrainingConfig",
    ),
    "export": ("write_saved_model",),
    "model": ("AdDrl",),
    "recommender": ("Recommender",),
    "tables": ("evaluate", "make_catalogue", "split_interactions"),
    "training": ("FitResult", "fit"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "AdDrl",
    "Attribute",
    "AttributeValues",
    "Catalogue",
    "Config",
    "FitResult",
    "Interactions",
    "LossConfig",
    "Modality",
    "ModelConfig",
    "NewItemsConfig",
    "Recommender",
    "StartConfig",
    "TrainingConfig",
    "__version__",
    "evaluate",
    "fit",
    "make_catalogue",
    "make_interactions",
    "split_interactions",
    "write_saved_model",
]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
