"""The gate that only models pass which TensorFlow Serving can load and which keep the contract.

TFX's InfraValidator needs Docker or Kubernetes; this one needs neither, see `servability_probe.py`.
"""

import json
import pathlib
from typing import Any

from tfx import v1 as tfx
from tfx.types.standard_artifacts import InfraBlessing, Model
from tfx.utils import path_utils

from tfx_pipeline.components.probing import find_problems, run_probe
from tfx_pipeline.results import SERVABILITY_FILE

# What TFX's InfraValidator writes, and its Pusher reads.
_BLESSED = "INFRA_BLESSED"
_NOT_BLESSED = "INFRA_NOT_BLESSED"


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
    (folder / SERVABILITY_FILE).write_text(text, encoding="utf-8")
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
