"""What TFMA computes: metrics, slices and thresholds, out of a pipeline's configuration.

The messages come from `config_pb2`: most of their names are missing from `tfma` itself in 0.52.
"""

import json

from tensorflow_model_analysis.proto import config_pb2

from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.fingerprint import compute_module_fingerprint

METRICS_MODULE = "tfx_pipeline.modules.addrl_metrics"
CANDIDATE = "candidate"
BASELINE = "baseline"
ITEM_SLICE = "item_warmth"
USER_SLICE = "user_activity"
EVALUATE = "evaluate"
EVALUATE_SLICES = "evaluate_slices"


def get_metric_names(config: PipelineConfig) -> tuple[str, str]:
    """Get the names of the two metrics that the gate looks at.

    Args:
        config: The pipeline's configuration.

    Returns:
        Names of recall and NDCG, such as `recall_at_20`.
    """
    return f"recall_at_{config.k}", f"ndcg_at_{config.k}"


def get_slice_features(config: PipelineConfig) -> tuple[str, ...]:
    """Get the features by which results are sliced: attributes, cold or warm, the user's activity.

    Args:
        config: The pipeline's configuration.

    Returns:
        Their names, outputs of the signature `evaluate_slices`.
    """
    return (*config.model.attribute_names, ITEM_SLICE, USER_SLICE)


def make_eval_config(config: PipelineConfig) -> config_pb2.EvalConfig:
    """Make the Evaluator's configuration.

    The model is judged on all rows: both metrics must reach their lower bound, and must not fall
    more than `max_drop` below the baseline where there is one. TFX leaves the second test and the
    baseline's ModelSpec out where there is none.

    Args:
        config: The pipeline's configuration.

    Returns:
        The message.
    """
    recall, ndcg = get_metric_names(config)
    gates = config.gates
    metrics = [
        _make_metric("MacroRecall", recall, config.k, gates.min_recall, gates.max_drop),
        _make_metric("MacroNDCG", ndcg, config.k, gates.min_ndcg, gates.max_drop),
        config_pb2.MetricConfig(
            class_name="Users", module=METRICS_MODULE, config=_make_arguments()
        ),
    ]
    options = config_pb2.Options()
    options.compute_confidence_intervals.value = config.confidence_intervals
    slices = [config_pb2.SlicingSpec(feature_keys=[name]) for name in get_slice_features(config)]
    return config_pb2.EvalConfig(
        model_specs=[_make_model_spec(CANDIDATE), _make_model_spec(BASELINE, is_baseline=True)],
        slicing_specs=[config_pb2.SlicingSpec(), *slices],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
        options=options,
    )


def _make_model_spec(name: str, is_baseline: bool = False) -> config_pb2.ModelSpec:
    # The type is given because TFMA would else try to load the export as a Keras 2 model.
    return config_pb2.ModelSpec(
        name=name,
        model_type="tf_generic",
        signature_name=EVALUATE,
        # A signature of the model, so that slices are the model's own values, without a join.
        preprocessing_function_names=[EVALUATE_SLICES],
        is_baseline=is_baseline,
    )


def _make_metric(
    class_name: str, name: str, k: int, bound: float, max_drop: float
) -> config_pb2.MetricConfig:
    threshold = config_pb2.MetricThreshold()
    threshold.value_threshold.lower_bound.value = bound
    threshold.change_threshold.absolute.value = -max_drop
    threshold.change_threshold.direction = config_pb2.MetricDirection.HIGHER_IS_BETTER
    # Given as `threshold` it would hold in every slice, and the smallest slice would decide.
    overall = config_pb2.PerSliceMetricThreshold(
        slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold
    )
    return config_pb2.MetricConfig(
        class_name=class_name,
        module=METRICS_MODULE,
        config=_make_arguments(k=k, name=name),
        per_slice_thresholds=[overall],
    )


def _make_arguments(**arguments: int | str) -> str:
    """Arguments of a metric, and the fingerprint of its code for TFX's cache."""
    return json.dumps({**arguments, "fingerprint": compute_module_fingerprint(METRICS_MODULE)})
