"""Runs a preset on this machine: data, pipeline, gates, result; everything under `runs/PRESET/`.

Example:
    result = run(get_preset("planted"))
    print(result.metrics["recall_at_20"], result.pushed)

TFX takes 16 seconds to import, so this module imports it when something is run.
"""

import contextlib
import datetime
import logging
import os
import pathlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from tfx_pipeline.configs import DEFAULT_CACHE_DIR, PipelineConfig
from tfx_pipeline.datasets.local_sources import validate_data_dir
from tfx_pipeline.drift import load_drift
from tfx_pipeline.locks import hold_lock
from tfx_pipeline.progress import Progress, redirect_output
from tfx_pipeline.results import (
    DATA_PASSED,
    PipelineError,
    RunResult,
    load_evaluation,
    load_last_result,
    load_quality_verdict,
    load_servability_verdict,
    write_result,
)

if TYPE_CHECKING:
    from tfx_pipeline.dag_runner import WatchedRunner

__all__ = ["PipelineError", "RunResult", "load_last_result", "run"]

_DATA_STEP = "Data"
_MESSAGE_LINES = 12

_logger = logging.getLogger(__name__)


def run(
    config: PipelineConfig,
    data_dir: str | os.PathLike | None = None,
    runs_dir: str | os.PathLike = "runs",
    cache_dir: str | os.PathLike = DEFAULT_CACHE_DIR,
    out: TextIO | None = None,
) -> RunResult:
    """Run a pipeline, from source files to a pushed model or a refusal.

    A refusal by a gate is a result; an error is an exception.

    Args:
        config: What to run.
        data_dir: Folder with source files; None has them fetched, where the data set can be.
        runs_dir: Folder of all runs; this one's is named by the preset.
        cache_dir: Folder that keeps fetched files.
        out: Where one line per component goes; standard output by default.

    Returns:
        The result, which is also written to `result.json`.

    Raises:
        PipelineError: If another run of the preset is going on, or a component fails.
    """
    config.validate()
    root = pathlib.Path(runs_dir).expanduser().resolve() / config.name
    root.mkdir(parents=True, exist_ok=True)
    log = root / "logs" / f"{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    with hold_lock(root, config.name), redirect_output(log, out) as visible, log_everything(log):
        progress = Progress(visible)
        started = time.monotonic()
        try:
            runner = _run_steps(config, data_dir, root, cache_dir, progress)
            result = _make_result(config, runner, time.monotonic() - started, log)
        except Exception as error:
            _logger.exception("the run failed")
            raise make_error(error, log) from error
        finally:
            progress.note(f"log: {log}")
        write_result(result, root)
    return result


def _run_steps(config, data_dir, root, cache_dir, progress):
    """Write the data and run the pipeline over them."""
    validate_data_dir(config.dataset, data_dir)  # Before the long wait for the imports.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # TFT and TFRS need it before TensorFlow is imported.
    progress.note("Starting TensorFlow and TFX ...")
    from tfx_pipeline import datasets, pipeline
    from tfx_pipeline.components.pusher import remove_receipts
    from tfx_pipeline.components.versions import load_versions
    from tfx_pipeline.dag_runner import ComponentError, WatchedRunner
    from tfx_pipeline.datasets.canonical import make_column_kinds, validate_canonical

    cache = pathlib.Path(cache_dir).expanduser().resolve()
    paths = pipeline.PipelinePaths(root, cache)
    made = pipeline.make_pipeline(config, paths)
    progress.total = 1 + len(made.components)
    started = time.monotonic()
    progress.start(_DATA_STEP)
    try:
        dataset = datasets.make_dataset(config.dataset, **dict(config.dataset_options))
        written = dataset.write(data_dir, cache, paths.data, config.beam_args)
        kinds = make_column_kinds(config.model)
        validate_canonical(
            paths.data, kinds, config.gates.max_unknown_share, config.model.reads_auxiliary
        )
    except Exception as error:
        progress.end(_DATA_STEP, time.monotonic() - started, failed=True)
        raise ComponentError(_DATA_STEP, str(error)) from error
    progress.end(_DATA_STEP, time.monotonic() - started, cached=not written)
    if not load_versions(paths.serving):
        # The versions were removed by hand: what was pushed is gone, so it must be pushed again.
        remove_receipts(paths.artifacts / "Pusher" / "pushed_model")
    runner = WatchedRunner(progress)
    with progress.listen():
        runner.run(made)
    return runner


@contextlib.contextmanager
def log_everything(log: pathlib.Path) -> Iterator[None]:
    """Have Python's logging write all messages to the log, with their time.

    TFX logs through absl, whose logger has a level of its own.
    """
    from absl import logging as absl_logging

    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    root = logging.getLogger()
    level, verbosity = root.level, absl_logging.get_verbosity()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    absl_logging.set_verbosity(absl_logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        root.setLevel(level)
        absl_logging.set_verbosity(verbosity)


def _make_result(
    config: PipelineConfig,
    runner: "WatchedRunner",
    seconds: float,
    log: pathlib.Path,
) -> RunResult:
    from tfx_pipeline.eval_config import BASELINE, CANDIDATE

    evaluation = runner.outputs["Evaluator"]["evaluation"].uri
    has_baseline = bool(runner.outputs["LatestModel"].get("model"))
    metrics, slices = load_evaluation(evaluation, CANDIDATE if has_baseline else None)
    baseline = load_evaluation(evaluation, BASELINE)[0] if has_baseline else {}
    pushed = runner.outputs["Pusher"]["pushed_model"].properties
    return RunResult(
        preset=config.name,
        metrics=metrics,
        slices=slices,
        baseline=baseline,
        verdicts=(
            DATA_PASSED,
            load_quality_verdict(evaluation),
            load_servability_verdict(runner.outputs["ServabilityGate"]["blessing"].uri),
        ),
        pushed=pushed.get("pushed_destination") if pushed.get("pushed") else None,
        components=tuple(runner.runs),
        seconds=round(seconds, 3),
        log=str(log),
        report=_find_report(runner),
        drift=load_drift(runner.outputs["DataDrift"]["drift"].uri),
    )


def _find_report(runner: "WatchedRunner") -> str | None:
    """Find the folder of the report; None where none was to be made, or it could not be."""
    page = runner.outputs.get("Report", {}).get("page")
    return page.uri if page is not None and pathlib.Path(page.uri).is_dir() else None


def make_error(error: Exception, log: pathlib.Path, what: str = "The run") -> PipelineError:
    """Word an error for a person: the innermost cause says what happened, in pages of wrapping.

    Args:
        error: What was raised.
        log: The file that has all of it.
        what: What failed, where it was no component.

    Returns:
        The error to raise.
    """
    component = getattr(error, "component", None)
    cause: BaseException = error
    while cause.__cause__ is not None and not _is_for_people(cause):
        cause = cause.__cause__
    # Beam adds the name of the step, on the last line or on one of its own.
    said = str(cause).strip().rsplit("[while running", 1)[0].rstrip()
    lines = said.splitlines() or [type(cause).__name__]
    text = "\n".join(lines[:_MESSAGE_LINES])
    if not _is_for_people(cause) and not isinstance(cause, ValueError):
        text = f"{type(cause).__name__}: {text}"
    where = f"{component} failed" if component else f"{what} failed"
    return PipelineError(f"{where}: {text}\nThe log is {log}", component, str(log))


def _is_for_people(error: BaseException) -> bool:
    """Tells the errors of this project, which name the thing; of others the type helps to search.

    A component's error only wraps what happened in it.
    """
    own = type(error).__module__.split(".")[0] in ("tfx_pipeline", "addrl_keras", "serving")
    return own and not hasattr(error, "component")
