"""The gate that only models pass which TensorFlow Serving can load and which keep the contract.

TFX's InfraValidator needs Docker or Kubernetes; this one needs neither, see `servability_probe.py`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from tfx import v1 as tfx
from tfx.types.standard_artifacts import InfraBlessing, Model
from tfx.utils import path_utils

REPORT = "report.json"
_PROBE = "tfx_pipeline.components.servability_probe"
_TIMEOUT_SECONDS = 600
# What TFX's InfraValidator writes, and its Pusher reads.
_BLESSED = "INFRA_BLESSED"
_NOT_BLESSED = "INFRA_NOT_BLESSED"


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
        output = pathlib.Path(folder, REPORT)
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


def write_verdict(blessing: InfraBlessing, report: dict[str, Any], problems: list[str]) -> None:
    """Write the verdict in the form that TFX's Pusher understands.

    Args:
        blessing: The artifact to mark.
        report: What `run_probe` returned.
        problems: Why the model must not be served.
    """
    folder = pathlib.Path(blessing.uri)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**report, "problems": problems, "blessed": not problems}, indent=2)
    (folder / REPORT).write_text(text, encoding="utf-8")
    (folder / (_NOT_BLESSED if problems else _BLESSED)).touch()
    blessing.set_int_custom_property("blessed", 0 if problems else 1)


@tfx.dsl.components.component
def ServabilityGate(  # noqa: N802 (components are named like classes)
    model: tfx.dsl.components.InputArtifact[Model],
    blessing: tfx.dsl.components.OutputArtifact[InfraBlessing],
    max_latency_ms: tfx.dsl.components.Parameter[float],
    max_sum_error: tfx.dsl.components.Parameter[float],
    fingerprint: tfx.dsl.components.Parameter[str],
) -> None:
    """Bless a model that loads, keeps the contract, answers its warm-up requests and is fast."""
    del fingerprint  # A parameter only so that an edit of gate or contract runs the gate again.
    report = run_probe(path_utils.serving_model_path(model.uri))
    write_verdict(blessing, report, find_problems(report, max_latency_ms, max_sum_error))
