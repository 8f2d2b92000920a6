"""Times training until it reaches the best that the best learnt peer reaches, beside that peer.

    python -m benchmarks.time_to_accuracy hm --runs RUNS --peer MMREC --peer-python PYTHON

The peer is MGCN in MMRec, public code in a checkout that is given, run by an interpreter that has
PyTorch. Both train on the same interactions, texts and images, on the same cores, one after the
other, and both are judged by Recall@20 on the same validation. Of the peer the seconds of its
training steps alone are counted; of ours everything that `fit` does. Writes
results/time_to_accuracy.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curves import find_median_time, find_time
from benchmarks.fitted import Data, load_data
from benchmarks.provenance import ROOT, make_provenance, write_result

TURNS = 3
# By then it gains a thousandth in ten epochs.
EPOCHS = 80
# The modality that is the peer's text, and that is its image.
FEATURES = {"text_feat": "text", "image_feat": "image"}
_RECALL = re.compile(r"Recall@20 ([\d.]+)")


def measure_peer(data: Data, checkout: Path, python: str, epochs: int) -> list[dict[str, float]]:
    """Trains the peer for some epochs, or until its own early stopping.

    Returns:
        A point an epoch: seconds of training so far, and Recall@20 on validation.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "peer"
        place.mkdir()
        write_peer_data(data, place)
        source = Path(folder) / "src"
        subprocess.run(["cp", "-r", str(checkout / "src"), str(source)], check=True)
        command = [python, str(ROOT / "benchmarks" / "peer_mgcn.py")]
        command += [str(source), str(place), str(epochs)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"The peer ended with exit code {done.returncode}.")
    points: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return points


def write_peer_data(data: Data, place: Path) -> None:
    """Writes train and validation, and the features, as MMRec reads them.

    It insists on a test. That is the validation again: the real one stays out of sight.
    """
    lines = ["userID\titemID\tx_label"]
    parts = (data.interactions.train, data.interactions.validation, data.interactions.validation)
    for label, part in enumerate(parts):
        pairs = part.tocoo()
        lines += [
            f"{user}\t{item}\t{label}" for user, item in zip(pairs.row, pairs.col, strict=True)
        ]
    (place / "peer.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for file, modality in FEATURES.items():
        np.save(place / f"{file}.npy", np.asarray(data.catalogue.features[modality], np.float32))


def measure_own(data: Data) -> list[dict[str, float]]:
    """Fits the preset's model on train.

    Returns:
        A point each time that validation is measured: seconds since `fit` was called, and Recall@20
        on validation.
    """
    from addrl_keras import fit

    training = dataclasses.replace(data.config.training, refit=False)
    points = []
    started = time.monotonic()

    def look(line: str) -> None:
        found = _RECALL.search(line)
        if found:
            seconds = round(time.monotonic() - started, 2)
            points.append({"seconds": seconds, "recall_at_20": float(found[1])})

    fit(
        dataclasses.replace(data.config, training=training),
        data.catalogue,
        data.interactions,
        progress=look,
    )
    return points


def compare(own: list[list[dict[str, float]]], peer: list[dict[str, float]]) -> dict[str, Any]:
    """Compares our curves with the peer's.

    Returns:
        The curves; the peer's best Recall@20 and the seconds that it and we took to it, ours the
        median; and their `ratio`, None where one of ours never reached it.
    """
    best = max(point["recall_at_20"] for point in peer)
    seconds = find_median_time(own, best)
    peer_seconds = find_time(peer, best)
    assert peer_seconds is not None, "its best is on its curve"
    return {
        "peer": {"best_recall_at_20": best, "seconds": peer_seconds, "curve": peer},
        "own": {"seconds": seconds, "curves": own},
        "ratio": None if seconds is None else round(seconds / peer_seconds, 4),
    }


def main() -> None:
    """Measures both and writes the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset", choices=["hm"], help="one that has texts and images")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--peer", type=Path, required=True, help="a checkout of MMRec")
    parser.add_argument("--peer-epochs", type=int, default=EPOCHS, help="at most")
    parser.add_argument("--peer-python", required=True, help="an interpreter with PyTorch")
    options = parser.parse_args()
    data = load_data(options.preset, options.runs)
    own = [measure_own(data) for _ in range(TURNS)]
    print(f"ours: {own}", flush=True)
    peer = measure_peer(data, options.peer, options.peer_python, options.peer_epochs)
    commit = subprocess.run(
        ["git", "-C", str(options.peer), "rev-parse", "--short=12", "HEAD"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    provenance = make_provenance(preset=options.preset, peer="MGCN", peer_commit=commit)
    result = {"provenance": provenance, **compare(own, peer)}
    print(write_result("time_to_accuracy", result))


if __name__ == "__main__":
    main()
