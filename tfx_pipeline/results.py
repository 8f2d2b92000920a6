"""What a run found: metrics, verdicts, times, where the model lies; kept as JSON beside the run."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tfx_pipeline.drift import NOT_LOOKED_AT, Drift

RESULT_FILE = "result.json"
# The page about a model, in the folder of its report and in that of the preset's runs.
PAGE = "report.html"
# What the ServabilityGate found, in the folder of its blessing.
SERVABILITY_FILE = "report.json"

# Metric values by name.
Metrics = dict[str, float]


class PipelineError(RuntimeError):
    """Raised when a run ends without a result.

    The message is for a person: which component failed, why, and where the log is.

    Attributes:
        component: Name of the component that failed, None where it was none of them.
        log: Path of the log, None where the run had not started.
    """

    def __init__(self, message: str, component: str | None = None, log: str | None = None):
        super().__init__(message)
        self.component = component
        self.log = log


@dataclasses.dataclass(frozen=True)
class ComponentRun:
    """How one component went.

    Attributes:
        name: Its id in the pipeline.
        seconds: Wall time.
        cached: Whether its outputs were taken from the cache.
    """

    name: str
    seconds: float
    cached: bool


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a gate decided.

    Attributes:
        gate: `data`, `quality` or `servability`.
        passed: Whether it let the model pass.
        detail: What it looked at, or why it refused; one line per reason.
    """

    gate: str
    passed: bool
    detail: str


# Other data end the run.
DATA_PASSED = Verdict("data", True, "no anomalies")


@dataclasses.dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        preset: Name of the preset.
        metrics: Metrics over all test users, such as `recall_at_20`.
        slices: Metrics by attribute (or `user_activity`) and value.
        baseline: Metrics of the last pushed model over all test users, empty where there is none.
        verdicts: The gates' decisions, in the order in which they were made.
        pushed: Folder of the version that holds this model, None where it was refused.
        components: How each component went.
        seconds: Wall time of the whole run.
        log: Path of the log.
        report: Folder of the report of the model, None where the preset has none made.
        drift: How the data differ from those of the model in service.
    """

    preset: str
    metrics: Metrics
    slices: Mapping[str, Mapping[str, Metrics]]
    baseline: Metrics
    verdicts: tuple[Verdict, ...]
    pushed: str | None
    components: tuple[ComponentRun, ...]
    seconds: float
    log: str
    report: str | None = None
    drift: Drift = NOT_LOOKED_AT

    @property
    def passed(self) -> bool:
        """Whether all gates let the model pass."""
        return all(verdict.passed for verdict in self.verdicts)

    @property
    def is_new(self) -> bool:
        """Whether this run pushed the model; a repeated run finds it pushed already."""
        pusher = [run for run in self.components if run.name == "Pusher"]
        return self.pushed is not None and any(not run.cached for run in pusher)

    @property
    def reason(self) -> str:
        """Why the model was not pushed, empty where it was."""
        refused = [f"{v.gate}: {v.detail}" for v in self.verdicts if not v.passed]
        return "; ".join(refused)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary from which `from_dict` makes an equal result."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "RunResult":
        """Make a result; inverse of `to_dict`."""
        return cls(
            **{
                **data,
                "verdicts": tuple(Verdict(**verdict) for verdict in data["verdicts"]),
                "components": tuple(ComponentRun(**run) for run in data["components"]),
                # Results from before there was drift say nothing of it.
                "drift": Drift.from_dict(data["drift"]) if "drift" in data else NOT_LOOKED_AT,
            }
        )


def write_result(result: RunResult, folder: str | os.PathLike) -> None:
    """Write a result as JSON, whole or not at all.

    Args:
        result: The result.
        folder: Folder of the preset's runs.
    """
    path = pathlib.Path(folder, RESULT_FILE)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def load_last_result(runs_dir: str | os.PathLike, preset: str) -> RunResult | None:
    """Load the result of the last run that ended.

    Args:
        runs_dir: Folder of all runs.
        preset: Name of the preset.

    Returns:
        The result, or None where there was no such run.

    Raises:
        ValueError: The file is damaged.
    """
    path = pathlib.Path(runs_dir, preset, RESULT_FILE)
    if not path.is_file():
        return None
    try:
        return RunResult.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}). Write it anew with `addrl run "
            f"{preset}`."
        ) from error


def load_evaluation(
    folder: str, model_name: str | None = None
) -> tuple[Metrics, dict[str, dict[str, Metrics]]]:
    """Load what the Evaluator wrote.

    Args:
        folder: URI of its `evaluation`.
        model_name: Name of the model; None where there was only one.

    Returns:
        Metrics over all rows, and by slice feature and value.
    """
    import tensorflow_model_analysis as tfma

    overall: Metrics = {}
    slices: dict[str, dict[str, Metrics]] = {}
    result = tfma.load_eval_result(folder, model_name=model_name)
    for key, outputs in result.slicing_metrics:
        values = {
            name: float(value["doubleValue"])
            for name, value in outputs[""][""].items()
            if "doubleValue" in value and not name.endswith("_diff")
        }
        if not key:
            overall = values
        else:
            ((feature, value),) = key
            slices.setdefault(feature, {})[str(value)] = values
    return overall, {feature: dict(sorted(rows.items())) for feature, rows in slices.items()}


def load_quality_verdict(folder: str) -> Verdict:
    """Load the decision of the Evaluator, with what was missed and by how much.

    Args:
        folder: URI of its `evaluation`.

    Returns:
        The verdict of the gate `quality`.
    """
    import tensorflow_model_analysis as tfma

    result = tfma.load_validation_result(folder)
    failures = [
        _word_failure(failure)
        for per_slice in result.metric_validations_per_slice
        for failure in per_slice.failures
    ]
    detail = "; ".join(failures) or "all thresholds are met"
    return Verdict("quality", bool(result.validation_ok), detail)


def load_servability_verdict(folder: str) -> Verdict:
    """Load the decision of the ServabilityGate.

    Args:
        folder: URI of its `blessing`.

    Returns:
        The verdict of the gate `servability`.
    """
    report = json.loads(pathlib.Path(folder, SERVABILITY_FILE).read_text(encoding="utf-8"))
    detail = "; ".join(report["problems"])
    if report["blessed"]:
        detail = (
            f"{len(report['signatures'])} signatures, {report['num_requests']} requests replayed, "
            f"recommend {report['latency_ms']:.1f} ms"
        )
    return Verdict("servability", report["blessed"], detail)


def _word_failure(failure: Any) -> str:
    """Word a threshold that was missed."""
    name = failure.metric_key.name
    value = failure.metric_value.double_value.value
    threshold = failure.metric_threshold
    if failure.metric_key.is_diff or threshold.HasField("change_threshold"):
        bound = threshold.change_threshold.absolute.value
        return f"{name} changed by {value:+.4f} against the last pushed model, allowed {bound:+.4f}"
    bound = threshold.value_threshold.lower_bound.value
    return f"{name} is {value:.4f}, required {bound:.4f}"
