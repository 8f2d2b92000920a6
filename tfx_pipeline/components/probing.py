"""Running of the probe that the servability gate decides by, free of TFX."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

_PROBE = "tfx_pipeline.components.servability_probe"
_REPORT = "report.json"
_TIMEOUT_SECONDS = 600


def run_probe(export: str | os.PathLike) -> dict[str, Any]:
    """Probe an export in a process of its own.

    Args:
        export: Folder of the SavedModel.

    Returns:
        The fields of `ProbeReport`. A process that dies or hangs is a problem like any other.
    """
    root = str(pathlib.Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory() as folder:
        output = pathlib.Path(folder, _REPORT)
        command = [sys.executable, "-m", _PROBE, str(export), str(output)]
        try:
            done = subprocess.run(
                command, env=environment, timeout=_TIMEOUT_SECONDS, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired:
            return {"problems": [f"the model server did not answer in {_TIMEOUT_SECONDS} s"]}
        if output.is_file():
            return json.loads(output.read_text(encoding="utf-8"))
        tail = " | ".join(done.stderr.strip().splitlines()[-3:])
        return {"problems": [f"the loader died with exit code {done.returncode}: {tail}"]}


def find_problems(report: dict[str, Any], max_latency_ms: float, max_sum_error: float) -> list[str]:
    """Find why a model must not be served.

    Args:
        report: What `run_probe` returned.
        max_latency_ms: Bound of the latency, in milliseconds.
        max_sum_error: Bound of the difference between a score and the sum of its contributions.

    Returns:
        One line per reason; none if it may be served.
    """
    problems = list(report["problems"])
    latency = report.get("latency_ms")
    if latency is not None and latency > max_latency_ms:
        problems.append(
            f"a recommend call took {latency:.0f} ms (median), allowed are {max_latency_ms:.0f}"
        )
    error = report.get("max_sum_error", 0.0)
    if error > max_sum_error:
        problems.append(
            f"contributions miss the score by up to {error:.2g}, allowed are {max_sum_error:.2g}"
        )
    return problems
