"""Times a preset that reads its data from a folder: components, memory, and what is encoded when.

    python -m benchmarks.folder_run hm --data DIR      # writes results/run_hm.json

Three runs: with empty runs and cache folders; once more; and with an empty runs folder and the
cache of the first, as when another project uses the same texts and photos.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.provenance import ROOT, make_provenance, write_result


def measure(preset: str, data: Path, folder: Path) -> dict[str, Any]:
    """Runs the preset three times.

    Args:
        preset: Name of the preset.
        data: Folder with its source files.
        folder: Empty folder to work in.
    """
    runs = {}
    for name, place in (("first", "a"), ("second", "a"), ("other_project", "b")):
        runs[name] = run(preset, data, folder / place, folder / "cache")
        print(f"{name}: {runs[name]['seconds']} s", flush=True)
    return {"provenance": make_provenance(preset=preset), "runs": runs}


def run(preset: str, data: Path, runs: Path, cache: Path) -> dict[str, Any]:
    """Runs a preset in a process of its own and reads what it left.

    Returns:
        Seconds in all and by component, the components that came from the cache, peak memory of the
        largest process in GiB, the metrics, and what the encoders did.
    """
    command = [sys.executable, "-m", "tfx_pipeline.cli", "run", preset, "--data", str(data)]
    command += ["--runs", str(runs), "--no-baselines", "--json"]
    started = time.monotonic()
    environment = {**os.environ, "ADDRL_CACHE": str(cache)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read()
    # As `wait`, and says what the process and the children that it waited for have used.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = round(time.monotonic() - started, 1)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} ended with exit code {os.waitstatus_to_exitcode(status)}")
    result = json.loads(output)
    components = result["components"]
    return {
        "seconds": seconds,
        "components": {part["name"]: round(part["seconds"], 1) for part in components},
        "cached": [part["name"] for part in components if part["cached"]],
        "peak_memory_gib": round(usage.ru_maxrss / 2**20, 2),
        "metrics": result["metrics"],
        "slices": {
            name: result["slices"][name] for name in ("item_warmth",) if name in result["slices"]
        },
        "encoded": None
        if "ContentEncoder" in {part["name"] for part in components if part["cached"]}
        else load_summary(runs / preset),
    }


def load_summary(place: Path) -> dict[str, Any] | None:
    """Loads what the ContentEncoder counted, by modality; None where there is none."""
    found = sorted(
        place.glob("pipeline_root/ContentEncoder/report/*/summary.json"),
        key=lambda path: int(path.parent.name),
    )
    return json.loads(found[-1].read_text(encoding="utf-8")) if found else None


def main() -> None:
    """Measures a preset and writes its result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options.preset, options.data.absolute(), Path(folder))
    print(write_result(f"run_{options.preset.replace('-', '_')}", result))


if __name__ == "__main__":
    main()
