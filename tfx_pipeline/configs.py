"""What a pipeline is made of: data set, model, metrics and gates, in frozen dataclasses.

The presets themselves are in `tfx_pipeline/presets/`, one file each. Nothing here imports
TensorFlow or TFX, so that `addrl --help` answers at once.

Example:
>>> get_preset("planted").dataset
'planted'
"""

import dataclasses
import pathlib
from typing import Any

from addrl_keras.config import Config
from tfx_pipeline.suggestions import suggest

# A folder that holds this file is a project: a data set of one's own, run by the folder's name.
PROJECT_FILE = "addrl.toml"

# Fetched sources, encoders and vectors, which all presets share.
DEFAULT_CACHE_DIR = "~/.cache/addrl"

# Beam in this process. Two traps are avoided on purpose: `DirectRunner` first tries to download the
# Prism runner from the network, and TFX packs itself into an sdist before every Beam component
# (seconds each) unless one of the dependency options is set; this one is read by no local runner.
LOCAL_BEAM_ARGS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--direct_num_workers=1",
    "--sdk_container_image=unused",
)


@dataclasses.dataclass(frozen=True)
class GateConfig:
    """What a model must fulfil before it is pushed.

    Attributes:
        min_recall: Lower bound of Recall@k on the test interactions, in 0..1.
        min_ndcg: Lower bound of NDCG@k, in 0..1.
        max_drop: How far either metric may fall below the last accepted model, absolute.
        max_latency_ms: Bound of the median time of a `recommend` call for one user, in
            milliseconds. It is there to catch a broken graph, not to promise a service level, so it
            is generous.
        max_sum_error: Largest difference between a score and the sum of its contributions, relative
            to scores above 1 and absolute below.
        max_unknown_share: Largest share of a split's interactions that may name an item outside
            the catalogue.
    """

    min_recall: float = 0.0
    min_ndcg: float = 0.0
    max_drop: float = 0.005
    max_latency_ms: float = 1000.0
    max_sum_error: float = 1e-4
    max_unknown_share: float = 0.05

    def validate(self) -> None:
        """Validate the ranges.

        Raises:
            ValueError: If a bound is outside its range, naming it.
        """
        for name in ("min_recall", "min_ndcg", "max_drop", "max_unknown_share"):
            _validate_range(f"gates.{name}", getattr(self, name), 0.0, 1.0)
        for name in ("max_latency_ms", "max_sum_error"):
            _validate_range(f"gates.{name}", getattr(self, name), 1e-12, 1e12)


@dataclasses.dataclass(frozen=True)
class PipelineConfig:
    """A whole pipeline.

    Attributes:
        name: Name of the preset, also the folder under the runs directory.
        dataset: A key of `tfx_pipeline.datasets.DATASETS`.
        model: The model's configuration; attributes and modalities are named there and nowhere
            else.
        schema: Where the schemas of the tables are: the name of a folder under `schema/`, or the
            path of a folder (`tfx_pipeline.schemas.find_schema`).
        dataset_options: Options of the data set's adapter, as (name, value) pairs.
        k: Length of the list that Recall@k and NDCG@k look at.
        gates: Thresholds.
        confidence_intervals: Have TFMA compute 95 % intervals by the jackknife; takes a multiple of
            the time.
        beam_args: Options of the Beam pipelines.
        warmup_requests: Number of requests recorded for each served signature.
        report: Have the pipeline make the page of `addrl report` for every model: all test users
            are ranked once for it, and some hundreds have their lists steered.
    """

    name: str
    dataset: str
    model: Config
    schema: str
    dataset_options: tuple[tuple[str, Any], ...] = ()
    k: int = 20
    gates: GateConfig = GateConfig()
    confidence_intervals: bool = False
    beam_args: tuple[str, ...] = LOCAL_BEAM_ARGS
    warmup_requests: int = 4
    report: bool = True

    @property
    def photo_column(self) -> str:
        """The items' column of photos; "" where no modality is of photos."""
        modalities = self.model.content_modalities
        columns = [part.column for part in modalities if part.preprocessing == "image"]
        return columns[0] if columns else ""

    def validate(self) -> None:
        """Validate the pipeline, the gates and the model.

        Raises:
            ValueError: Naming the part, the value received and what is allowed.
        """
        if not self.name.replace("-", "_").isidentifier():
            raise ValueError(
                "The name of a preset becomes a folder and may hold letters, digits, - and _ only. "
                f"Received: {self.name!r}"
            )
        _validate_range("k", self.k, 1, 1000)
        _validate_range("warmup_requests", self.warmup_requests, 1, 100)
        self.gates.validate()
        self.model.validate()


def get_preset(name: str) -> PipelineConfig:
    """Get a configuration by name: a preset, or a project in the working directory.

    Args:
        name: A key of `tfx_pipeline.presets.PRESETS`, or a folder with an `addrl.toml`.

    Returns:
        The validated configuration.

    Raises:
        ValueError: If there is neither; names the nearest preset and all of them.
    """
    from tfx_pipeline.presets import PRESETS  # Presets are made of this module's classes.

    if name in PRESETS:
        config = PRESETS[name]()
    elif is_project(name):
        from tfx_pipeline.projects import load_project

        config = load_project(name)
    else:
        raise ValueError(
            f"There is no preset of this name. Received: {name!r}.{suggest(name, PRESETS)} "
            f"Choose one of {', '.join(sorted(PRESETS))}, or make one for data of your own with "
            f"`addrl init`, which writes NAME/{PROJECT_FILE}."
        )
    config.validate()
    return config


def is_project(name: str) -> bool:
    """Tell whether the working directory has a project of this name.

    Args:
        name: What a person gave as the name of a preset.

    Returns:
        True where it is a folder with an `addrl.toml`.
    """
    return bool(name) and pathlib.Path(name, PROJECT_FILE).is_file()


def _validate_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}]. Received: {value!r}")
