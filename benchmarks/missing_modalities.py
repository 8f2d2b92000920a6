"""Measures what missing content costs: a modality taken away from 10, 50 and 100 % of the items.

    python -m benchmarks.missing_modalities hm      # after `addrl run hm --data DIR`

At serving: the model is trained with all content, and new items come without the modality. At
training: old and new items alike lack it. New items are those of `benchmarks.new_items`; the items
that lack a modality are drawn at random, the same ones for every modality.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from addrl_keras.attach import attach_items
from addrl_keras.catalogue import Catalogue
from addrl_keras.training import fit
from benchmarks.fitted import Data, drop_features, load_data
from benchmarks.new_items import FROM_PURCHASES, make_split, score_new
from benchmarks.provenance import ROOT, make_provenance, write_result

SHARES = (0.1, 0.5, 1.0)
ALL = "all content"
SEED = 0


def measure(preset: str, data: Data) -> dict[str, Any]:
    """Measures one preset's data."""
    split = make_split(data, FROM_PURCHASES.get(preset, ()))
    names = [modality.name for modality in data.config.content_modalities]
    groups = {**{name: [name] for name in names}, ALL: names}
    whole = fit(data.config, split.old, split.interactions)
    complete = score_new(split, attach_items(whole, split.new).model.compute_scores)
    rows = []
    for group, members in groups.items():
        for share in SHARES:
            new, old = (drop(part, members, share) for part in (split.new, split.old))
            serving = score_new(split, attach_items(whole, new).model.compute_scores)
            print(f"{group} {share:.0%} at serving: {serving}", flush=True)
            poorer = fit(data.config, old, split.interactions)
            training = score_new(split, attach_items(poorer, new).model.compute_scores)
            print(f"{group} {share:.0%} at training: {training}", flush=True)
            rows.append(
                {"modality": group, "share": share, "serving": serving, "training": training}
            )
    return {
        "provenance": make_provenance(preset=preset, seed=SEED),
        "complete": complete,
        "rows": rows,
    }


def drop(catalogue: Catalogue, names: list[str], share: float) -> Catalogue:
    """Takes modalities away from a random share of the items."""
    order = np.random.default_rng(SEED).permutation(catalogue.num_items)
    rows = order[: round(share * catalogue.num_items)]
    for name in names:
        catalogue = drop_features(catalogue, name, rows)
    return catalogue


def main() -> None:
    """Measures a preset and writes `results/missing_modalities_PRESET.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=sorted(FROM_PURCHASES))
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    data = load_data(options.preset, options.runs)
    print(write_result(f"missing_modalities_{options.preset}", measure(options.preset, data)))


if __name__ == "__main__":
    main()
