"""Runs MGCN out of a checkout of MMRec, by MMRec's own code, and prints its curve as JSON.

    PYTHON benchmarks/peer_mgcn.py CHECKOUT/src DATA EPOCHS

It runs in the peer's interpreter, one that has PyTorch, so it imports nothing of this project.
DATA is a folder as MMRec reads it: `peer.inter`, `image_feat.npy`, `text_feat.npy`. Nothing of
MMRec is changed; what it imports and does not use for this model may be missing, and what it
sends to a GPU stays where it is.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

_TRAINED = re.compile(r"epoch (\d+) training \[time: ([\d.]+)s")
_VALIDATED = re.compile(r"epoch (\d+) evaluating \[time: ([\d.]+)s, valid_score: ([\d.]+)\]")


class Curve(logging.Handler):
    """Collects the validation score of every epoch from what MMRec logs, and times training."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.points: list[dict[str, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if found := _TRAINED.search(message):
            self.seconds += float(found[2])
        if found := _VALIDATED.search(message):
            self.points.append({"seconds": round(self.seconds, 2), "recall_at_20": float(found[3])})
            print(self.points[-1], file=sys.stderr, flush=True)


def main() -> None:
    """Trains until the peer's own early stopping ends it, or for EPOCHS."""
    source, data, epochs = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute(), sys.argv[3]
    for name in ("torchvision", "lmdb", "matplotlib"):
        if importlib.util.find_spec(name) is None:
            for part in (name, *_SUBMODULES.get(name, ())):
                sys.modules[part] = mock.MagicMock()
    import numpy as np
    import torch

    # MMRec is written for a NumPy that still had these names.
    for name, kind in (("float", float), ("int", int)):
        if not hasattr(np, name):
            setattr(np, name, kind)
    if importlib.util.find_spec("torch_scatter") is None:
        # Used once, for the degrees of the items' graph.
        scatter = types.ModuleType("torch_scatter")
        scatter.scatter_add = lambda source, index, dim=0, dim_size=None: torch.zeros(
            dim_size, dtype=source.dtype
        ).scatter_add_(dim, index, source)
        sys.modules["torch_scatter"] = scatter
    torch.Tensor.cuda = lambda self, *_, **__: self
    os.chdir(source)
    sys.path.insert(0, str(source))
    from utils import quick_start as peer

    curve = Curve()
    settings: dict[str, Any] = {
        "gpu_id": 0,
        "use_gpu": False,
        "data_path": f"{data.parent}/",
        "inter_file_name": "peer.inter",
        "USER_ID_FIELD": "userID",
        "ITEM_ID_FIELD": "itemID",
        "TIME_FIELD": "timestamp",
        "vision_feature_file": "image_feat.npy",
        "text_feature_file": "text_feat.npy",
        "user_graph_dict_file": "none.npy",
        "field_separator": "\t",
        "epochs": int(epochs),
        # The middle of its grid.
        "cl_loss": [0.01],
        "seed": [999],
        "save_recommended_topk": False,
    }
    original = peer.init_logger

    def init_logger(config: Any) -> None:
        original(config)
        logging.getLogger().addHandler(curve)

    peer.init_logger = init_logger
    peer.quick_start("MGCN", data.name, settings, save_model=False)
    print(json.dumps(curve.points))


_SUBMODULES = {
    "torchvision": (
        "torchvision.transforms",
        "torchvision.transforms.functional",
    ),
    "matplotlib": ("matplotlib.pyplot",),
}

if __name__ == "__main__":
    main()
