"""Draws items by their chunks in the plane, before training and after, and counts what is seen.

    python -m benchmarks.chunk_maps hm --runs RUNS   # writes results/chunk_maps.json and the
                                                     # picture docs/chunks-hm.png

What having an item says of a user's taste in one attribute, brought to the plane by t-SNE: the rows
of the user tower's chunk, of the items taken most. Three systems: the architecture with random
weights; the default with its vectors rotated, which keeps every score; and the default. A picture
can be read into, so beside it stands the purity: of an item's ten nearest in the plane, the share
that has its value.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot
from PIL import Image

from addrl_keras import fit
from addrl_keras.config import Config
from addrl_keras.probing import get_labels
from benchmarks.fitted import Data, load_data, make_parser
from benchmarks.provenance import ROOT, load_result, make_provenance, write_result
from tfx_pipeline.report.figures import place_in_plane, scatter_values

POINTS = 1000
NEAREST = 10
# Of t-SNE; and colours of the picture.
_PASSES, _COLOURS = 500, 48
SYSTEMS = ("untrained", "rotated", "default")


def make_vectors(data: Data) -> dict[str, dict[str, np.ndarray]]:
    """Makes each system's vectors of the items, by attribute.

    Returns:
        By system and attribute float `[num_items, width]`.
    """
    training = dataclasses.replace(data.config.training, hold_users=0)
    config = dataclasses.replace(data.config, training=training)
    random = dataclasses.replace(
        config,
        start=dataclasses.replace(config.start, kind="random"),
        training=dataclasses.replace(training, epochs=0, content_epochs=0),
    )
    model = fit(config, data.catalogue, data.interactions).model
    query, ends = model.compute_item_preferences(), np.cumsum(model.chunk_dims)[:-1]
    noise = np.random.default_rng(0).standard_normal((query.shape[1], query.shape[1]))
    found = {
        "untrained": _get_query(random, data),
        "rotated": query @ np.linalg.qr(noise)[0].astype(np.float32),
        "default": query,
    }
    names = config.attribute_names
    return {
        # The chunks after the attributes' have no values to be coloured by.
        system: dict(zip(names, np.split(found[system], ends, axis=1), strict=False))
        for system in SYSTEMS
    }


def _get_query(config: Config, data: Data) -> np.ndarray:
    model = fit(config, data.catalogue, data.interactions).model
    return np.asarray(model.compute_item_preferences())


def compute_purity(points: np.ndarray, labels: np.ndarray, nearest: int = NEAREST) -> float:
    """Computes the share of the nearest points that have a point's own label.

    Args:
        points: Float `[num_points, 2]`.
        labels: Int `[num_points]`.
        nearest: How many others are looked at.

    Returns:
        The mean over all points; the sum of squared shares of the labels is what chance gives.

    Example:
        >>> compute_purity(np.array([[0, 0], [0, 1], [9, 0], [9, 1]]), np.array([0, 0, 1, 1]), 1)
        1.0
    """
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=nearest).fit(points).kneighbors(return_distance=False)
    return float((labels[found] == labels[:, None]).mean())


def measure(preset: str, data: Data) -> dict[str, Any]:
    """Measures one preset, and draws its picture.

    Returns:
        By system and attribute the purity, and by attribute that of chance, under `chance`.
    """
    labels = get_labels(data.config, data.catalogue)
    taken = np.asarray(data.interactions.known.sum(axis=0)).ravel()
    vectors = make_vectors(data)
    size = (3.4 * len(labels), 3.2 * len(SYSTEMS))
    figure, axes = pyplot.subplots(len(SYSTEMS), len(labels), figsize=size, squeeze=False)
    purity: dict[str, dict[str, float]] = {name: {} for name in (*SYSTEMS, "chance")}
    for column, (name, values) in enumerate(labels.items()):
        known = np.flatnonzero(values >= 0)
        rows = np.sort(known[np.argsort(-taken[known], kind="stable")[:POINTS]])
        shares = np.bincount(values[rows]) / len(rows)
        purity["chance"][name] = round(float((shares**2).sum()), 4)
        for row, system in enumerate(SYSTEMS):
            points = place_in_plane(vectors[system][name][rows], _PASSES)
            found = compute_purity(points, values[rows])
            purity[system][name] = round(found, 4)
            scatter_values(axes[row, column], points, values[rows])
            axes[row, column].set_title(f"{name}, {system}: {found:.2f}", fontsize=9)
            print(f"{preset} {name} {system}: {found:.4f}", flush=True)
    print(_write_picture(figure, ROOT / "docs" / f"chunks-{preset}.png"))
    return {"purity": purity}


def _write_picture(figure: Any, path: Path) -> Path:
    """Writes a figure in few colours, which takes a third of the room."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=70)
    pyplot.close(figure)
    buffer.seek(0)
    with Image.open(buffer) as picture:
        picture.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
    return path


def main() -> None:
    """Measures the presets that are named and writes the result."""
    options = make_parser(__doc__).parse_args()
    try:
        found: dict[str, Any] = load_result("chunk_maps")["presets"]
    except FileNotFoundError:
        found = {}
    provenance = make_provenance(points=POINTS, nearest=NEAREST)
    for name in options.presets:
        measured = measure(name, load_data(name, options.runs))
        found[name] = {**measured, "commit": provenance["commit"]}
        print(write_result("chunk_maps", {"provenance": provenance, "presets": found}))


if __name__ == "__main__":
    main()
