"""The page about a model, made in the pipeline of every model, of those that were refused too."""

import logging
import pathlib
import shutil

from tfx import v1 as tfx
from tfx.types.standard_artifacts import (
    Examples,
    InfraBlessing,
    Model,
    ModelEvaluation,
    PushedModel,
)
from tfx.utils import path_utils

from tfx_pipeline import progress
from tfx_pipeline.components.artifacts import DriftReport, ReportPage
from tfx_pipeline.components.evaluation_rows import TEST_SPLIT
from tfx_pipeline.components.example_gen import ITEMS_SPLIT, make_patterns

_logger = logging.getLogger(__name__)


@tfx.dsl.components.component
def Report(  # noqa: N802 (components are named like classes)
    model: tfx.dsl.components.InputArtifact[Model],
    evaluation: tfx.dsl.components.InputArtifact[ModelEvaluation],
    blessing: tfx.dsl.components.InputArtifact[InfraBlessing],
    pushed: tfx.dsl.components.InputArtifact[PushedModel],
    interactions: tfx.dsl.components.InputArtifact[Examples],
    items: tfx.dsl.components.InputArtifact[Examples],
    drift: tfx.dsl.components.InputArtifact[DriftReport],
    page: tfx.dsl.components.OutputArtifact[ReportPage],
    preset: tfx.dsl.components.Parameter[str],
    photo_column: tfx.dsl.components.Parameter[str],
    fingerprint: tfx.dsl.components.Parameter[str],
) -> None:
    """Write the page, and what it says as JSON, from which `addrl report` makes it again.

    A model is pushed by now, and a report is no gate: where it cannot be made, the log has why, and
    the run goes on. Its folder is removed then, as TFX takes from the cache only what is there: the
    next run tries again.
    """
    del fingerprint  # A parameter only so that an edit of the report makes it again.
    from tfx_pipeline.report.contents import make_contents
    from tfx_pipeline.report.page import write_pages
    from tfx_pipeline.report.sources import load_from_artifacts

    folder = pathlib.Path(page.uri)
    folder.mkdir(parents=True, exist_ok=True)
    was_pushed = pushed.get_int_custom_property("pushed")
    try:
        sources = load_from_artifacts(
            preset=preset,
            model=path_utils.serving_model_path(model.uri),
            evaluation=evaluation.uri,
            blessing=blessing.uri,
            pushed=pushed.get_string_custom_property("pushed_destination") if was_pushed else "",
            test=make_patterns([interactions], TEST_SPLIT),
            items=make_patterns([items], ITEMS_SPLIT),
            photo_column=photo_column,
            drift=drift.uri,
        )
        write_pages(make_contents(sources, _tell), folder)
    except Exception as error:
        _logger.exception("the report was not made")
        what = str(error) or type(error).__name__
        progress.report(f"Report not made: {what}", is_result=True)
        shutil.rmtree(folder)


def _tell(line: str) -> None:
    progress.report(f"Report {line}")
