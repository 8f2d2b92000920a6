"""A fitted model on disk: all that it takes to go on with it, without the data it came from.

    arrays.npz   weights, features, value matrices, interactions; sparse ones as their CSR parts
    state.json   configuration, ids, value names, history

A SavedModel answers requests and can do nothing else. This form can be loaded again, be given new
items (`addrl_keras.attach`) and be exported anew.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import AttributeValues, Catalogue, Features, Interactions
from addrl_keras.config import Config
from addrl_keras.content import ContentTower, make_content_tower
from addrl_keras.fit_state import ARRAYS, FORMAT, STATE, load_state
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.training import FitResult

# Of `zlib`: more would take twice the time for a few percent.
_COMPRESSION = 1


def write_fit_result(result: FitResult, directory: str | os.PathLike) -> None:
    """Writes a fitted model.

    Args:
        result: What to write.
        directory: Made where missing; files of these names in it are overwritten.
    """
    os.makedirs(directory, exist_ok=True)
    catalogue, interactions = result.catalogue, result.interactions
    arrays: dict[str, np.ndarray] = {
        "modality_weights": result.modality_weights,
        "hold_weights": result.hold_weights,
    }
    arrays |= {f"model/{i}": value for i, value in enumerate(result.model.get_weights())}
    if result.content is not None:
        arrays |= {f"content/{i}": value for i, value in enumerate(result.content.get_weights())}
    for name, values in catalogue.values.items():
        arrays |= _pack(f"values/{name}", values.matrix)
    for name, features in catalogue.features.items():
        arrays |= _pack(f"features/{name}", features)
    arrays |= _pack("train", interactions.train) | _pack("validation", interactions.validation)
    _write_arrays(os.path.join(directory, ARRAYS), arrays)
    state = {
        "format": FORMAT,
        "config": result.model.config.to_dict(),
        "item_ids": catalogue.item_ids,
        "user_ids": interactions.user_ids,
        "values": {name: values.names for name, values in catalogue.values.items()},
        "features": list(catalogue.features),
        "history": result.history,
        "epochs": result.epochs,
        "has_content": result.content is not None,
    }
    with open(os.path.join(directory, STATE), "w", encoding="utf-8") as file:
        json.dump(state, file, default=float)


def load_fit_result(directory: str | os.PathLike) -> FitResult:
    """Loads a fitted model; inverse of `write_fit_result`.

    Args:
        directory: Where it was written.

    Returns:
        A model that scores as the one written did.

    Raises:
        ValueError: There is no fitted model, or one of another format.
    """
    state = load_state(directory)
    config = Config.from_dict(state["config"])
    with np.load(os.path.join(directory, ARRAYS)) as arrays:
        catalogue = Catalogue(
            tuple(state["item_ids"]),
            {
                name: AttributeValues(tuple(names), _unpack(f"values/{name}", arrays))
                for name, names in state["values"].items()
            },
            {name: _unpack(f"features/{name}", arrays) for name in state["features"]},
        )
        interactions = Interactions(
            tuple(state["user_ids"]), _unpack("train", arrays), _unpack("validation", arrays)
        )
        return FitResult(
            _load_model(config, catalogue, interactions, arrays),
            catalogue,
            interactions,
            arrays["modality_weights"],
            arrays["hold_weights"],
            state["history"],
            state["epochs"],
            _load_content(config, catalogue, arrays) if state["has_content"] else None,
        )


def _write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes what `np.savez_compressed` would, which has no setting for how much."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def _load_model(
    config: Config, catalogue: Catalogue, interactions: Interactions, arrays: Mapping[str, Any]
) -> AdDrl:
    sizes = tuple(len(catalogue.values[name].names) for name in config.attribute_names)
    model = AdDrl(config, ModelShape(catalogue.num_items, len(interactions.user_ids), sizes))
    model.set_weights([arrays[f"model/{i}"] for i in range(len(model.get_weights()))])
    return model


def _load_content(config: Config, catalogue: Catalogue, arrays: Mapping[str, Any]) -> ContentTower:
    tower = make_content_tower(config, catalogue)
    tower.set_weights([arrays[f"content/{i}"] for i in range(len(tower.get_weights()))])
    return tower


def _pack(name: str, matrix: Features) -> dict[str, np.ndarray]:
    if isinstance(matrix, np.ndarray):
        return {f"{name}/dense": matrix}
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
    parts["shape"] = np.array(matrix.shape)
    return {f"{name}/{part}": value for part, value in parts.items()}


def _unpack(name: str, arrays: Mapping[str, Any]) -> Any:
    if f"{name}/dense" in arrays:
        return arrays[f"{name}/dense"]
    parts = [arrays[f"{name}/{part}"] for part in ("data", "indices", "indptr")]
    return scipy.sparse.csr_matrix(tuple(parts), shape=tuple(arrays[f"{name}/shape"]))
