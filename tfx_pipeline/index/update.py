"""From a file of new items to a pushed version: the steps of `addrl index add`, in their order.

    read -> encode, transform -> attach -> export -> gate -> push

Whatever fails or is killed before the last step leaves the versions as they were, and the last step
is a rename.
"""

import contextlib
import dataclasses
import datetime
import os
import pathlib
import shutil
import time
from collections.abc import Iterator
from typing import Any, TextIO

from tfx_pipeline.components.versions import load_versions, push_model
from tfx_pipeline.configs import DEFAULT_CACHE_DIR, PipelineConfig
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.index.about import Update, load_about
from tfx_pipeline.index.outcome import Alike, LeftOut, Outcome
from tfx_pipeline.local_runner import hold_lock, log_everything
from tfx_pipeline.progress import Progress, redirect_output

_STEPS = 6
_SHOWN = 5
_ALIKE = 2


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
        DataError: If the file, an encoder or the pushed version does not allow it.
        PipelineError: If a run of the preset is going on.
    """
    root = pathlib.Path(runs_dir).expanduser().resolve() / config.name
    base = _find_base(config, root)
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tensorflow-recommenders asks for it.
    log = root / "logs" / f"index-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    with (
        hold_lock(root, config.name),
        redirect_output(log, out) as visible,
        log_everything(log),
        _make_work_dir(root) as work,
    ):
        progress = Progress(visible, _STEPS)
        started = time.monotonic()
        with progress.listen():
            steps = _Steps(config, root, base, work, pathlib.Path(cache_dir).expanduser(), progress)
            outcome = steps.run(os.fspath(path), dry_run)
        seconds = round(time.monotonic() - started, 3)
        return dataclasses.replace(outcome, seconds=seconds, log=str(log))


def _find_base(config: PipelineConfig, root: pathlib.Path) -> int:
    """Find the newest version, and see at once whether items can be added to it."""
    versions = load_versions(root / "serving")
    if not versions:
        raise DataError(
            f"There is no version to add items to. Received: {root / 'serving'}, which holds none. "
            f"Push one with `addrl run {config.name}`."
        )
    about = load_about(root / "serving" / str(versions[-1]))
    if about.dataset != config.dataset:
        raise DataError(
            f"The newest version was trained on another data set than {config.name!r} names. "
            f"Received: version {versions[-1]} of {about.dataset!r}, expected {config.dataset!r}. "
            f"Train again with `addrl run {config.name}`."
        )
    return versions[-1]


@contextlib.contextmanager
def _make_work_dir(root: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes a folder for the time being; the lock is held, so what is there was left by a kill."""
    work = root / "index" / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Steps:
    """The steps, and what they hand on to each other."""

    def __init__(
        self,
        config: PipelineConfig,
        root: pathlib.Path,
        base: int,
        work: pathlib.Path,
        cache_dir: pathlib.Path,
        progress: Progress,
    ):
        self.config, self.root, self.base, self.work = config, root, base, work
        self.cache_dir, self.progress = cache_dir, progress
        self.serving = root / "serving"

    def run(self, path: str, dry_run: bool) -> Outcome:
        from tfx_pipeline.index.aligned import count_values

        with self._step("Read"):
            extras, items = self._read(path)
        with self._step("Encode"):
            encoded, new = self._encode(extras, items)
        with self._step("Attach"):
            items, new, left_out = _leave_out(extras, items, new)
            larger, alike = self._attach(extras, items, new)
        counts = count_values(extras, items, new)
        export = self.work / "export"
        with self._step("Export"):
            self._export(larger, export)
        with self._step("ServabilityGate"):
            report, refusals = self._judge(export)
        pushed = None
        if not refusals and not dry_run:
            with self._step("Push"):
                pushed = int(push_model(export, self.serving).name)
        added = larger.about.updates[-1].item_ids
        return Outcome(
            preset=self.config.name,
            base=self.base,
            item_ids=added,
            titles={item: larger.titles[item] for item in added if item in larger.titles},
            left_out=left_out,
            ignored=items.ignored,
            modalities=encoded.summary,
            problems=[str(each) for each in encoded.problems[:_SHOWN]],
            problems_path=encoded.path,
            attributes={name: dataclasses.asdict(each) for name, each in counts.items()},
            alike=alike,
            gate=report,
            refusals=refusals,
            pushed=pushed,
            serving=str(self.serving),
            num_items=larger.result.catalogue.num_items,
            seconds=0.0,
            log="",
        )

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self.progress.start(name)
        started = time.monotonic()
        try:
            yield
        except BaseException:
            self.progress.end(name, time.monotonic() - started, failed=True)
            raise
        self.progress.end(name, time.monotonic() - started)

    def _read(self, path: str) -> tuple[Any, Any]:
        from tfx_pipeline.index.columns import make_columns
        from tfx_pipeline.index.extras import load_extras
        from tfx_pipeline.index.table import PhotoFinder, find_ignored, load_new_items

        extras = load_extras(self.serving / str(self.base))
        tables = dict(self.config.dataset_options).get("options")
        columns = make_columns(extras.result.model.config, extras.about.columns, tables)
        known = frozenset(extras.result.catalogue.item_ids)
        photos = PhotoFinder(path, tables)
        items = load_new_items(path, columns, known, photos, find_ignored(tables))
        return extras, items

    def _encode(self, extras: Any, items: Any) -> tuple[Any, Any]:
        from tfx_pipeline.examples import make_example
        from tfx_pipeline.index.aligned import make_catalogue, transform_items
        from tfx_pipeline.index.vectors import encode_items

        records = [make_example(row).SerializeToString(deterministic=True) for row in items.rows]
        encoded = encode_items(
            extras,
            records,
            items.item_ids,
            self.work,
            self.root / "index" / "report",
            self.cache_dir,
            self.config.beam_args,
        )
        columns = transform_items(extras.transform, records)
        return encoded, make_catalogue(extras, items, columns, encoded.features)

    def _attach(self, extras: Any, items: Any, new: Any) -> tuple[Any, Any]:
        from addrl_keras.attach import attach_items
        from tfx_pipeline.index.likeness import find_alike

        result = attach_items(extras.result, new)
        titles = {row["item_id"]: row["title"] for row in items.rows if row["title"]}
        update = Update(self.base, new.item_ids)
        larger = dataclasses.replace(
            extras,
            result=result,
            titles={**extras.titles, **titles},
            about=dataclasses.replace(extras.about, updates=(*extras.about.updates, update)),
        )
        num_old = extras.result.catalogue.num_items
        first = range(num_old, min(num_old + _SHOWN, result.catalogue.num_items))
        found = find_alike(result.model.config, result.catalogue, num_old, first, _ALIKE)
        alike = {
            item: [
                Alike(other, larger.titles.get(other, ""), round(how, 4)) for other, how in pairs
            ]
            for item, pairs in zip(new.item_ids, found, strict=False)
        }
        return larger, alike

    def _export(self, larger: Any, export: pathlib.Path) -> None:
        from addrl_keras.export import write_saved_model
        from tfx_pipeline.index.extras import write_extras
        from tfx_pipeline.modules.addrl_warmup import make_requests, write_warmup

        result = larger.result
        write_saved_model(result, str(export))
        requests = make_requests(
            result.model.config,
            result.catalogue,
            result.interactions,
            self.config.warmup_requests,
        )
        # So that the gate asks for a new item, too.
        _, asked = requests[0]
        new = list(larger.about.updates[-1].item_ids[:1])
        requests += [
            ("similar_items", {"item_id": new, "k": asked["k"]}),
            ("score", {"user_id": asked["user_id"], "item_ids": [new]}),
            ("explain", {"user_id": asked["user_id"], "item_id": new}),
        ]
        write_warmup(export, requests)
        write_extras(larger, export)

    def _judge(self, export: pathlib.Path) -> tuple[dict[str, Any], list[str]]:
        from tfx_pipeline.components.probing import find_problems, run_probe

        report = run_probe(export)
        gates = self.config.gates
        return report, find_problems(report, gates.max_latency_ms, gates.max_sum_error)


def _leave_out(extras: Any, items: Any, new: Any) -> tuple[Any, Any, list[LeftOut]]:
    """Leave out items of which nothing is known that says what they are like.

    They would have the score 0 for everybody: at the end of every list, or in front of what a user
    does not like.
    """
    from addrl_keras.new_items import get_evidence_weights
    from tfx_pipeline.index.aligned import find_empty, take_items

    names = [name for name, _ in get_evidence_weights(extras.result.model.config)]
    empty = find_empty(new, names)
    reason = f"nothing is known of it that the model knows: {', '.join(names)}"
    left = [LeftOut(items.item_ids[i], str(items.places[i]), reason) for i in empty]
    kept = [i for i in range(new.num_items) if i not in set(empty)]
    if not kept:
        raise DataError(
            f"No item can be added: {reason}. Received: {len(left)} items, the first in "
            f"{left[0].place}. Fill in at least one of these."
        )
    return items.take(kept), take_items(new, kept), left
