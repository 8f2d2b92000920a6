"""From a file of new items to a pushed version: what `addrl index add` does, in its order.

    read -> load -> encode, transform -> attach -> export -> gate -> push

Whatever fails or is killed before the last step leaves the versions as they were, and the last step
is a rename.
"""

import contextlib
import dataclasses
import datetime
import logging
import os
import pathlib
import shutil
import time
from collections.abc import Iterator
from typing import TextIO

from tfx_pipeline.components.versions import load_versions, push_model
from tfx_pipeline.configs import DEFAULT_CACHE_DIR, PipelineConfig
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index.about import load_about
from tfx_pipeline.index.outcome import Outcome
from tfx_pipeline.local_runner import log_everything, make_error
from tfx_pipeline.locks import hold_lock, hold_versions
from tfx_pipeline.progress import Progress, redirect_output
from tfx_pipeline.results import PipelineError

_STEPS = ("Read", "Load", "Encode", "Attach", "Export", "ServabilityGate", "Push")
_SHOWN = 5

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class _Paths:
    """Where an update reads and writes."""

    root: pathlib.Path
    cache: pathlib.Path

    @property
    def serving(self) -> pathlib.Path:
        return self.root / "serving"

    @property
    def work(self) -> pathlib.Path:
        return self.root / "index" / "work"

    @property
    def report(self) -> pathlib.Path:
        return self.root / "index" / "report"

    @property
    def export(self) -> pathlib.Path:
        return self.work / "export"


def add_items(
    config: PipelineConfig,
    path: str | os.PathLike,
    runs_dir: str | os.PathLike = "runs",
    cache_dir: str | os.PathLike = DEFAULT_CACHE_DIR,
    out: TextIO | None = None,
    dry_run: bool = False,
) -> Outcome:
    """Add new items to the newest pushed version of a preset, and push the larger one.

    Args:
        config: The preset.
        path: CSV or Parquet file of the items.
        runs_dir: Folder of all runs.
        cache_dir: Folder of encoders and vectors.
        out: Where a line per step goes; standard output by default.
        dry_run: Whether to do everything but the push.

    Returns:
        What came of it; a refusal by the gate is a result, not an error.

    Raises:
        DataError: If the file, an encoder or the pushed version does not allow it, or the version
            is no longer the newest when the larger one is to be pushed.
        PipelineError: If a run of the preset is going on, or something fails that nobody expected;
            the message then names the log.
    """
    root = pathlib.Path(runs_dir).expanduser().resolve() / config.name
    paths = _Paths(root, pathlib.Path(cache_dir).expanduser().resolve())
    _find_base(config, paths)  # What can be said at once is said before the log begins.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tensorflow-recommenders asks for it.
    log = root / "logs" / f"index-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    started = time.monotonic()
    with (
        hold_lock(root, config.name),
        redirect_output(log, out) as visible,
        log_everything(log),
        _make_work_dir(paths.work),
    ):
        progress = Progress(visible, len(_STEPS))
        try:
            with progress.listen():
                outcome = _make_outcome(config, os.fspath(path), paths, progress)
                if outcome.passed and not dry_run:
                    outcome = _push(config, paths, outcome, progress)
        except (DataError, PipelineError):
            raise  # They say all there is to say.
        except Exception as error:
            _logger.exception("the update failed")
            raise make_error(error, log, "The update") from error
    seconds = round(time.monotonic() - started, 3)
    return dataclasses.replace(outcome, seconds=seconds, log=str(log))


def _find_base(config: PipelineConfig, paths: _Paths) -> int:
    """Find the newest version, and see whether items can be added to it."""
    versions = load_versions(paths.serving)
    if not versions:
        raise DataError(
            f"There is no version to add items to. Received: {paths.serving}, which holds none. "
            f"Push one with `addrl run {config.name}`."
        )
    about = load_about(paths.serving / str(versions[-1]))
    if about.dataset != config.dataset:
        raise DataError(
            f"The newest version was trained on another data set than {config.name!r} names. "
            f"Received: version {versions[-1]} of {about.dataset!r}, expected {config.dataset!r}. "
            f"Train again with `addrl run {config.name}`."
        )
    return versions[-1]


def _check_base(config: PipelineConfig, paths: _Paths, base: int) -> None:
    """See that the version is still the newest: who withdrew it does not want it back, larger."""
    newest = load_versions(paths.serving)[-1:]
    if newest != [base]:
        raise DataError(
            f"The base version {base} was withdrawn meanwhile, or a newer one pushed; nothing was "
            f"pushed. Received: {paths.serving}, whose newest is now "
            f"{newest[0] if newest else 'none'}. Run `addrl index add {config.name}` again."
        )


@contextlib.contextmanager
def _make_work_dir(folder: pathlib.Path) -> Iterator[None]:
    """Make a folder for the time being; the lock is held, so what is there was left by a kill."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _step(progress: Progress, name: str) -> Iterator[None]:
    """Tell that a step starts, and how it ends."""
    progress.start(name)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        progress.end(name, time.monotonic() - started, failed=True)
        raise
    progress.end(name, time.monotonic() - started)


def _push(config: PipelineConfig, paths: _Paths, outcome: Outcome, progress: Progress) -> Outcome:
    """Push the export, unless its base is no longer in service."""
    with _step(progress, _STEPS[-1]), hold_versions(paths.root):
        _check_base(config, paths, outcome.base)
        pushed = int(push_model(paths.export, paths.serving).name)
    return dataclasses.replace(outcome, pushed=pushed)


def _make_outcome(config: PipelineConfig, path: str, paths: _Paths, progress: Progress) -> Outcome:
    """Do everything but the push; the export is then in its place."""
    base = _find_base(config, paths)  # Again, as the lock is held only now.
    export = paths.serving / str(base)
    with _step(progress, _STEPS[0]):
        from tfx_pipeline.index import known, reading  # Beam's file systems, and no TensorFlow.

        items = reading.read_items(config, known.load_known(export), path)
    with _step(progress, _STEPS[1]):
        from tfx_pipeline.index import aligned, extras, steps  # TensorFlow, for which one waits.

        fitted = extras.load_extras(export)
    with _step(progress, _STEPS[2]):
        encoded, new = steps.describe_items(
            config, fitted, items, paths.work, paths.report, paths.cache
        )
    with _step(progress, _STEPS[3]):
        items, new, left_out = steps.leave_out(fitted, items, new)
        encoded = encoded.leave_out({each.item_id for each in left_out})
        larger = steps.attach(fitted, items, new, base)
        alike = steps.describe_likeness(larger, new.num_items)
        counts = aligned.count_values(fitted, items, new)
    with _step(progress, _STEPS[4]):
        steps.write_export(config, larger, paths.export)
    with _step(progress, _STEPS[5]):
        report, refusals = steps.judge(config, paths.export)
    return Outcome(
        preset=config.name,
        base=base,
        item_ids=new.item_ids,
        titles={item: larger.titles[item] for item in new.item_ids if item in larger.titles},
        left_out=left_out,
        ignored=items.ignored,
        unreadable=items.unreadable,
        modalities=encoded.summary,
        problems=[str(each) for each in encoded.problems[:_SHOWN]],
        problems_path=encoded.path,
        attributes={name: dataclasses.asdict(each) for name, each in counts.items()},
        alike=alike,
        gate=report,
        refusals=refusals,
        serving=str(paths.serving),
        num_items=larger.result.catalogue.num_items,
    )
