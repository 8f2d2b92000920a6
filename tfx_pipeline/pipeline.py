"""The pipeline: which components there are, and what flows between them (docs/pipeline.md)."""

import dataclasses
import hashlib
import pathlib
import shutil

from tfx import v1 as tfx
from tfx.dsl.components.base import base_component
from tfx.proto import pusher_pb2, transform_pb2
from tfx.types import standard_artifacts

from tfx_pipeline.components.anomaly_gate import AnomalyGate
from tfx_pipeline.components.content_encoder import ContentEncoder
from tfx_pipeline.components.drift import DataDrift
from tfx_pipeline.components.evaluation_rows import TEST_SPLIT, EvaluationRows
from tfx_pipeline.components.example_gen import (
    ITEMS_SPLIT,
    make_interactions_gen,
    make_items_gen,
)
from tfx_pipeline.components.latest_model import LatestPushedModelStrategy
from tfx_pipeline.components.pusher import VersionedPusher
from tfx_pipeline.components.report import Report
from tfx_pipeline.components.servability import ServabilityGate
from tfx_pipeline.components.trainer import CatalogueTrainer
from tfx_pipeline.configs import DEFAULT_CACHE_DIR, PipelineConfig
from tfx_pipeline.eval_config import make_eval_config
from tfx_pipeline.fingerprint import compute_module_fingerprint
from tfx_pipeline.schemas import find_schema, get_schema_name

_MODULES = "tfx_pipeline.modules"


@dataclasses.dataclass(frozen=True)
class PipelinePaths:
    """Where a pipeline reads and writes; all absolute.

    Attributes:
        root: Folder of the preset's runs.
        cache: Folder of encoders and vectors, which all presets share.
    """

    root: pathlib.Path
    cache: pathlib.Path = dataclasses.field(
        default_factory=lambda: pathlib.Path(DEFAULT_CACHE_DIR).expanduser()
    )

    @property
    def data(self) -> pathlib.Path:
        """Canonical tables."""
        return self.root / "data"

    @property
    def artifacts(self) -> pathlib.Path:
        """TFX's pipeline root."""
        return self.root / "pipeline_root"

    @property
    def metadata(self) -> pathlib.Path:
        """ML Metadata in SQLite."""
        return self.root / "metadata.sqlite"

    @property
    def schemas(self) -> pathlib.Path:
        """Copies of the schemas, named by content."""
        return self.root / "schema"

    @property
    def serving(self) -> pathlib.Path:
        """Pushed versions."""
        return self.root / "serving"

    @property
    def logs(self) -> pathlib.Path:
        """Logs of the runs."""
        return self.root / "logs"

    @property
    def refused(self) -> pathlib.Path:
        """The items for whose lack of a modality the last run was stopped."""
        return self.root / "refused"


def make_pipeline(config: PipelineConfig, paths: PipelinePaths) -> tfx.dsl.Pipeline:
    """Make the TFX pipeline of a configuration.

    Args:
        config: The validated configuration.
        paths: Where to read and write; the canonical tables must be there when it runs.

    Returns:
        The pipeline, to be run by any IR-based runner.
    """
    data = _make_data_components(config, paths)
    encoder = _make_content_encoder(config, paths, data.examples["items"])
    transform, trainer = _make_model_components(config, data, encoder)
    judging = _make_judging_components(config, paths, data, trainer)
    # Anomalous data must stop the run before anything is made of them.
    for component in (*encoder, transform, judging[0]):
        component.add_upstream_node(data.gate)
    drift = _make_drift(data, judging[1])
    report = _make_report(config, data, trainer, judging, drift)
    components = [*data.components, *encoder, transform, trainer, *judging, drift, *report]
    return tfx.dsl.Pipeline(
        pipeline_name=f"addrl-{config.name}",
        pipeline_root=str(paths.artifacts),
        components=components,
        enable_cache=True,
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(paths.metadata)
        ),
        beam_pipeline_args=list(config.beam_args),
    )


def stage_schema(source: pathlib.Path, target: pathlib.Path) -> str:
    """Copy a schema to a path that names its content.

    ImportSchemaGen's cache looks at the path alone: an edited schema under the same name would
    never be read again.

    Args:
        source: The schema.
        target: Folder of the copies.

    Returns:
        Path of the copy.
    """
    content = source.read_bytes()
    folder = target / hashlib.sha256(content).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / source.name
    if not copy.is_file() or copy.read_bytes() != content:
        shutil.copyfile(source, copy)
    return str(copy)


@dataclasses.dataclass(frozen=True)
class _Data:
    """Both tables, checked.

    Attributes:
        examples: Channel of the examples, by table.
        statistics: Channel of their statistics, by table.
        schemas: Channel of the schema, by table.
        gate: The component that stops a run.
        components: All components that make these.
    """

    examples: dict
    statistics: dict
    schemas: dict
    gate: base_component.BaseComponent
    components: list


def _make_data_components(config: PipelineConfig, paths: PipelinePaths) -> _Data:
    """From files to checked examples, for both tables."""
    gens = {
        "interactions": make_interactions_gen(str(paths.data), config.model.reads_auxiliary),
        "items": make_items_gen(str(paths.data)),
    }
    made = list(gens.values())
    examples = {table: gen.outputs["examples"] for table, gen in gens.items()}
    statistics, schemas, anomalies = {}, {}, {}
    for table in gens:
        title = table.capitalize()
        describe = tfx.components.StatisticsGen(examples=examples[table])
        describe = describe.with_id(f"{title}Statistics")
        statistics[table] = describe.outputs["statistics"]
        importer = tfx.components.ImportSchemaGen(
            schema_file=stage_schema(find_schema(table, config.schema), paths.schemas)
        ).with_id(f"{title}Schema")
        schemas[table] = importer.outputs["schema"]
        validator = tfx.components.ExampleValidator(
            statistics=statistics[table], schema=schemas[table]
        ).with_id(f"{title}Validator")
        anomalies[table] = validator.outputs["anomalies"]
        made += [describe, importer, validator]
    gate = AnomalyGate(
        items=anomalies["items"],
        interactions=anomalies["interactions"],
        items_schema=get_schema_name("items", config.schema),
        interactions_schema=get_schema_name("interactions", config.schema),
        fingerprint=compute_module_fingerprint("tfx_pipeline.components.anomaly_gate"),
    )
    return _Data(examples, statistics, schemas, gate, [*made, gate])


def _make_content_encoder(config: PipelineConfig, paths: PipelinePaths, items):
    """From items to vectors: one component, or none where no modality needs it."""
    if not config.model.vector_modalities:
        return []
    return [
        ContentEncoder(
            items=items,
            modalities=config.model.vector_modalities,
            cache_dir=str(paths.cache),
            refused_dir=str(paths.refused),
            fingerprint=compute_module_fingerprint(
                "tfx_pipeline.components.content_encoder", "tfx_pipeline.encoders"
            ),
        )
    ]


def _make_model_components(config: PipelineConfig, data: _Data, encoder):
    """From checked examples to a model."""
    model = config.model.to_dict()
    # Only what Transform depends on, so that a change of the loss does not compute bins again.
    features = {name: model[name] for name in ("attributes", "modalities")}
    transform = tfx.components.Transform(
        examples=data.examples["items"],
        schema=data.schemas["items"],
        preprocessing_fn=f"{_MODULES}.addrl_preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=[ITEMS_SPLIT], transform=[ITEMS_SPLIT]),
        custom_config={
            "model": features,
            "schema": get_schema_name("items", config.schema),
            "fingerprint": compute_module_fingerprint(
                "addrl_keras.config", f"{_MODULES}.addrl_preprocessing"
            ),
        },
        force_tf_compat_v1=True,
        disable_statistics=True,
        disable_analyzer_cache=True,
    )
    trainer = CatalogueTrainer(
        interactions=data.examples["interactions"],
        items=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        interactions_statistics=data.statistics["interactions"],
        items_statistics=data.statistics["items"],
        vectors=encoder[0].outputs["vectors"] if encoder else None,
        run_fn=f"{_MODULES}.addrl_trainer.run_fn",
        custom_config={
            "model": model,
            "warmup_requests": config.warmup_requests,
            "preset": config.name,
            "dataset": config.dataset,
            "fingerprint": compute_module_fingerprint(
                "addrl_keras",
                "tfx_pipeline.components.statistics",
                "tfx_pipeline.components.trainer",
                "tfx_pipeline.index.about",
                "tfx_pipeline.index.columns",
                "tfx_pipeline.index.extras",
                f"{_MODULES}.addrl_trainer",
                f"{_MODULES}.addrl_catalogue",
                f"{_MODULES}.addrl_vectors",
                f"{_MODULES}.addrl_warmup",
            ),
        },
    ).with_id("Trainer")
    return transform, trainer


def _make_judging_components(config: PipelineConfig, paths: PipelinePaths, data: _Data, trainer):
    """From a model to a verdict and a pushed version."""
    model = trainer.outputs["model"]
    resolver = tfx.dsl.Resolver(
        strategy_class=LatestPushedModelStrategy,
        model=tfx.dsl.Channel(type=standard_artifacts.Model),
        pushed_model=tfx.dsl.Channel(type=standard_artifacts.PushedModel),
        candidate=model,
    ).with_id("LatestModel")
    rows = EvaluationRows(
        interactions=data.examples["interactions"],
        items=data.examples["items"],
        fingerprint=compute_module_fingerprint("tfx_pipeline.components.evaluation_rows"),
    )
    evaluator = tfx.components.Evaluator(
        examples=rows.outputs["rows"],
        example_splits=[TEST_SPLIT],
        model=model,
        baseline_model=resolver.outputs["model"],
        eval_config=make_eval_config(config),
    )
    servability = ServabilityGate(
        model=model,
        max_latency_ms=config.gates.max_latency_ms,
        max_sum_error=config.gates.max_sum_error,
        fingerprint=compute_module_fingerprint(
            "serving.contract",
            "tfx_pipeline.components.probing",
            "tfx_pipeline.components.servability",
            "tfx_pipeline.components.servability_probe",
            f"{_MODULES}.addrl_warmup",
        ),
    )
    pusher = VersionedPusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=servability.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=str(paths.serving))
        ),
    ).with_id("Pusher")
    return [rows, resolver, evaluator, servability, pusher]


def _make_drift(data: _Data, resolver):
    """From the data and the model in service to what drifted since its training."""
    return DataDrift(
        items=data.statistics["items"],
        interactions=data.statistics["interactions"],
        items_schema=data.schemas["items"],
        interactions_schema=data.schemas["interactions"],
        pushed_model=resolver.outputs["pushed_model"],
        fingerprint=compute_module_fingerprint(
            "tfx_pipeline.components.drift",
            "tfx_pipeline.components.statistics",
            "tfx_pipeline.drift",
            "tfx_pipeline.index.about",
        ),
    )


def _make_report(config: PipelineConfig, data: _Data, trainer, judging, drift):
    """From a model and its verdicts to a page about it; nothing where the preset has none made."""
    if not config.report:
        return []
    _, _, evaluator, servability, pusher = judging
    return [
        Report(
            model=trainer.outputs["model"],
            evaluation=evaluator.outputs["evaluation"],
            blessing=servability.outputs["blessing"],
            pushed=pusher.outputs["pushed_model"],
            interactions=data.examples["interactions"],
            items=data.examples["items"],
            drift=drift.outputs["drift"],
            preset=config.name,
            photo_column=config.photo_column,
            fingerprint=compute_module_fingerprint(
                "addrl_keras",
                "serving.results",
                "serving.sentences",
                "tfx_pipeline.components.report",
                "tfx_pipeline.drift",
                "tfx_pipeline.eval_config",
                "tfx_pipeline.index.about",
                "tfx_pipeline.index.extras",
                "tfx_pipeline.report",
                "tfx_pipeline.results",
                f"{_MODULES}.addrl_catalogue",
            ),
        ).with_id("Report")
    ]
