"""Vectors of new items: the pipeline's own Beam transform and cache, and the encoder of then."""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np

from addrl_keras.config import Modality
from tfx_pipeline.datasets import writing
from tfx_pipeline.encoders import items as encoding
from tfx_pipeline.encoders import report
from tfx_pipeline.encoders.errors import EncoderError
from tfx_pipeline.index.extras import Extras
from tfx_pipeline.modules.addrl_vectors import load_vectors

_PREFIX = "vectors"


@dataclasses.dataclass(frozen=True)
class Encoded:
    """What encoding found.

    Attributes:
        features: Float32 `[num_items, dim]` by modality; a row of zeros where an item lacks it.
        summary: Counts by modality (`encoders.report.make_summary`).
        problems: What the items lack, and why.
        path: The list of problems; empty where there are no vector modalities.
    """

    features: Mapping[str, np.ndarray]
    summary: Mapping[str, Mapping[str, Any]]
    problems: Sequence[report.Problem]
    path: str

    def leave_out(self, item_ids: Collection[str]) -> "Encoded":
        """Leave items out of the counts, as they are left out of the model.

        What has a vector is not left out, so each of them is missing or broken. The problems stay:
        they are why the items are left out.
        """
        summary = {name: dict(numbers) for name, numbers in self.summary.items()}
        for problem in self.problems:
            if problem.item_id in item_ids:
                summary[problem.modality][problem.kind] -= 1
                summary[problem.modality]["items"] -= 1
        return dataclasses.replace(self, summary=summary)


def encode_items(
    extras: Extras,
    records: Sequence[bytes],
    item_ids: Sequence[str],
    folder: pathlib.Path,
    report_dir: pathlib.Path,
    cache_dir: str | os.PathLike,
    beam_args: Iterable[str] = (),
    names: Mapping[str, str] | None = None,
    handles: Mapping[str, str] | None = None,
) -> Encoded:
    """Encode new items.

    A modality's `max_missing_share` is of a whole catalogue and does not count here: one item with
    a broken photo must not stop nine others. But where every one of several items names a content
    and none can be used, it is not the items that are wrong.

    Args:
        extras: The fitted model and what it is made of.
        records: Serialised tf.Examples of raw items.
        item_ids: Their ids.
        folder: Where intermediate files go.
        report_dir: Where the list of problems goes.
        cache_dir: Folder of encoders and vectors.
        beam_args: Options of the Beam pipeline.
        names: What the file of items calls canonical columns, where it is another name.
        handles: What the preset calls the encoder of a modality now, for directories that are no
            longer where they were at the training.

    Returns:
        The vectors, and what is missing.

    Raises:
        EncoderError: If an encoder is another than the model was trained with, or cannot be used.
        MissingModalityError: If every content of a modality is unusable.
    """
    config = extras.result.model.config
    modalities = [_find_moved(each, handles or {}) for each in config.vector_modalities]
    if not modalities:
        return Encoded({}, {}, (), "")
    parsed = [encoding.parse_item(record, modalities) for record in records]
    totals = {
        modality.name: sum(len(values[modality.name]) > 0 for _, values in parsed)
        for modality in modalities
    }
    groups = encoding.make_groups(modalities, cache_dir, totals)
    validate_encoders(modalities, encoding.get_encoder_hashes(groups), extras.about.encoders)
    dims = {name: extras.result.catalogue.features[name].shape[1] for name in totals}
    _run_beam(parsed, modalities, groups, dims, folder, report_dir, beam_args)
    columns = {part.name: (names or {}).get(part.column, part.column) for part in modalities}
    problems = [_name_column(each, columns) for each in report.load_problems(report_dir)]
    summary = report.load_summary(report_dir)
    path = str(report.write_report(report_dir, problems, summary))
    _refuse_useless(columns, totals, summary, problems, path)
    found = load_vectors(config, [str(folder / f"{_PREFIX}*")], item_ids)
    features = {
        name: vectors
        if vectors.shape[1] == dims[name]
        else np.zeros((len(item_ids), dims[name]), np.float32)
        for name, vectors in found.items()
    }
    return Encoded(features, summary, problems, path)


def validate_encoders(
    modalities: Iterable[Modality], now: Mapping[str, str], trained: Mapping[str, str]
) -> None:
    """Validate that vectors come from the encoders that a model was trained with.

    Args:
        modalities: The vector modalities.
        now: Hash of each encoder.
        trained: Likewise, as it was at the training.

    Raises:
        EncoderError: If one is another.
    """
    for modality in modalities:
        before, after = trained.get(modality.name, ""), now.get(modality.name, "")
        if before != after:
            raise EncoderError(
                f"The encoder of {modality.name!r} is not the one that the model was trained with, "
                "so its vectors mean something else. Received: the handle "
                f"{modality.handle!r} with the hash {after[:12] or 'none'}, trained with "
                f"{before[:12] or 'none'}. Put the encoder of then back, or train again with "
                "`addrl run`."
            )


def _run_beam(parsed, modalities, groups, dims, folder, report_dir, beam_args) -> None:
    """Run the pipeline's transform over the items."""
    with writing.make_pipeline(beam_args) as pipeline:
        found = (
            pipeline
            | "Items" >> beam.Create(parsed)
            | "EncodeItems" >> encoding.EncodeItems(modalities, groups, dims)
        )
        _ = (
            found[encoding.VECTORS]
            | "ToExample" >> beam.Map(encoding.make_vector_example)
            | "Serialize" >> beam.Map(lambda each: each.SerializeToString(deterministic=True))
            | "Write" >> beam.io.WriteToTFRecord(str(folder / _PREFIX), file_name_suffix=".gz")
        )
        _ = (
            found[encoding.PROBLEMS]
            | "Problems" >> beam.combiners.ToList()
            | "Report"
            >> beam.Map(
                _write_report,
                counts=beam.pvalue.AsDict(found[encoding.COUNTS]),
                modalities=modalities,
                folder=str(report_dir),
            )
        )


def _write_report(problems, counts, modalities, folder) -> None:
    report.write_report(folder, problems, report.make_summary(modalities, counts))


def _find_moved(modality: Modality, handles: Mapping[str, str]) -> Modality:
    """Take the encoder's directory from the preset where a project was moved since its training.

    Whether it is the encoder of then, its hash tells.
    """
    handle = modality.handle
    if not os.path.isabs(handle) or os.path.isdir(handle):
        return modality
    return dataclasses.replace(modality, handle=handles.get(modality.name) or handle)


def _name_column(problem: report.Problem, columns: Mapping[str, str]) -> report.Problem:
    """Have a problem that concerns no file name the column of the file of items."""
    if problem.source != report.EMPTY and not _is_of_column(problem):
        return problem
    return dataclasses.replace(problem, source=f"column {columns[problem.modality]!r}")


def _is_of_column(problem: report.Problem) -> bool:
    return problem.source.startswith("column ")


def _refuse_useless(
    columns: Mapping[str, str],
    totals: Mapping[str, int],
    summary: Mapping[str, Any],
    problems: Sequence[report.Problem],
    path: str,
) -> None:
    """Refuse a file of which no content can be used, as where the photos lie elsewhere."""
    for name, column in columns.items():
        numbers = summary[name]
        usable = sum(numbers[key] for key in (report.ENCODED, report.CACHED, report.GIVEN))
        if totals[name] < 2 or usable:
            continue
        own = [each for each in sorted(problems) if each.modality == name]
        named = [each for each in own if not (each.kind == report.MISSING and _is_of_column(each))]
        raise report.MissingModalityError(
            f"None of the {totals[name]:,} contents that the items name in the column {column!r} "
            "can be used:"
            + "".join(f"\n  - {each}" for each in named[:3])
            + f"\nThe whole list is {path}. Relative paths are relative to the file of items. "
            "Repair the column, or leave it out to add the items without it."
        )
