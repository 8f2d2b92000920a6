"""A Trainer that takes the catalogue as a tracked input.

TFX's Trainer has one Examples input. A recommender needs two, interactions and items; given as a
path in `custom_config`, the second would be invisible to lineage and cache, and a channel resolved
at construction is empty under LocalDagRunner (tensorflow/tfx 1976 and 5885).
"""

import dataclasses
import json
from typing import Any

from tfx import types
from tfx.components.trainer import executor, fn_args_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import json_utils

from tfx_pipeline.components.example_gen import ITEMS_SPLIT, make_patterns
from tfx_pipeline.components.statistics import find_statistics_file
from tfx_pipeline.datasets.splits import AUXILIARY

ITEMS = "items"
VECTORS = "vectors"
# By table, the input that has the statistics of what is trained on.
STATISTICS = {"interactions": "interactions_statistics", "items": "items_statistics"}
# Of the vectors' artifact: by modality the hash of the encoder that they come from, as JSON.
ENCODERS_PROPERTY = "encoders"


class CatalogueTrainerSpec(standard_component_specs.TrainerSpec):
    """TFX's TrainerSpec with the transformed items, their vectors and statistics as more inputs."""

    INPUTS = {  # noqa: RUF012 (TFX reads class attributes)
        **standard_component_specs.TrainerSpec.INPUTS,
        ITEMS: ChannelParameter(type=standard_artifacts.Examples),
        VECTORS: ChannelParameter(type=standard_artifacts.Examples, optional=True),
        **{
            name: ChannelParameter(type=standard_artifacts.ExampleStatistics)
            for name in STATISTICS.values()
        },
    }


@dataclasses.dataclass
class CatalogueFnArgs:
    """What `run_fn` gets: TFX's FnArgs, and where the items are.

    Attributes:
        base: TFX's own arguments; `train_files` are those of train, `eval_files` of validation.
        item_files: Patterns of the transformed items.
        auxiliary_files: Patterns of the auxiliary interactions; none where they are not read.
        vector_files: Patterns of the items' vectors; none where no modality has vectors.
        encoders: By modality the hash of the encoder that its vectors come from.
        statistics: By table the file of the statistics of what is trained on.
    """

    base: fn_args_utils.FnArgs
    item_files: list[str]
    auxiliary_files: list[str]
    vector_files: list[str]
    encoders: dict[str, str]
    statistics: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        if name == "base":  # While a copy is being made there is no base yet.
            raise AttributeError(name)
        return getattr(self.base, name)


class CatalogueExecutor(executor.GenericExecutor):
    """TFX's executor, which also tells `run_fn` where the items are."""

    def _GetFnArgs(self, input_dict, output_dict, exec_properties) -> CatalogueFnArgs:  # noqa: N802
        base = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        vectors = input_dict.get(VECTORS, [])
        encoders: dict[str, str] = {}
        for artifact in vectors:
            encoders |= json.loads(artifact.get_string_custom_property(ENCODERS_PROPERTY) or "{}")
        interactions = input_dict[standard_component_specs.EXAMPLES_KEY]
        return CatalogueFnArgs(
            base,
            make_patterns(input_dict[ITEMS], ITEMS_SPLIT),
            make_patterns(interactions, AUXILIARY),
            make_patterns(vectors, ITEMS_SPLIT),
            encoders,
            {
                table: find_statistics_file(input_dict[name][0], table)
                for table, name in STATISTICS.items()
            },
        )


class CatalogueTrainer(base_component.BaseComponent):
    """Trains on raw interactions and transformed items.

    Its outputs are TFX's: `model` and `model_run`.
    """

    SPEC_CLASS = CatalogueTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(CatalogueExecutor)

    def __init__(
        self,
        interactions: types.BaseChannel,
        items: types.BaseChannel,
        transform_graph: types.BaseChannel,
        run_fn: str,
        custom_config: dict[str, Any],
        interactions_statistics: types.BaseChannel,
        items_statistics: types.BaseChannel,
        vectors: types.BaseChannel | None = None,
    ):
        """Make the component.

        Args:
            interactions: Examples with the splits `train` and `validation`; `auxiliary` if it is
                to be read.
            items: Transformed examples with the split `catalogue`.
            transform_graph: The graph that transformed the items.
            run_fn: Dotted path of the function that trains. TFX would pack a module *file* into a
                wheel and install it with pip at every run; a dotted path is imported as it stands,
                and `custom_config` must carry a fingerprint of its sources for the cache.
            custom_config: What `run_fn` gets as such.
            interactions_statistics: Statistics of the interactions, which the model carries, so
                that drift since its training can be told.
            items_statistics: Statistics of the raw items, likewise.
            vectors: The ContentEncoder's examples with the split `catalogue`, where there is one.
        """
        spec = CatalogueTrainerSpec(
            examples=interactions,
            items=items,
            transform_graph=transform_graph,
            vectors=vectors,
            interactions_statistics=interactions_statistics,
            items_statistics=items_statistics,
            train_args=trainer_pb2.TrainArgs(splits=["train"]),
            eval_args=trainer_pb2.EvalArgs(splits=["validation"]),
            run_fn=run_fn,
            custom_config=json_utils.dumps(custom_config),
            model=types.Channel(type=standard_artifacts.Model),
            model_run=types.Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)
