"""The TFMA metrics against a plain per-user computation, overall and per slice."""

import numpy as np
import pytest

K = 20


def _per_user(ranks_by_user, k=K):
    """Recall and NDCG as textbooks have them: per user first, then the mean."""
    recalls, ndcgs = [], []
    for ranks in ranks_by_user:
        hits = [rank for rank in ranks if rank <= k]
        ideal = sum(1 / np.log2(i + 1) for i in range(1, min(k, len(ranks)) + 1))
        recalls.append(len(hits) / len(ranks))
        ndcgs.append(sum(1 / np.log2(rank + 1) for rank in hits) / ideal)
    return np.mean(recalls), np.mean(ndcgs)


def _assert_metrics(rows, expected):
    """Run TFMA over materialised rows, and compare its metrics by slice key."""
    import apache_beam as beam
    from apache_beam.testing.util import assert_that
    from tensorflow_model_analysis import constants
    from tensorflow_model_analysis.evaluators import metrics_plots_and_validations_evaluator
    from tensorflow_model_analysis.proto import config_pb2
    from tensorflow_model_analysis.slicer import slicer_lib

    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.eval_config import make_eval_config

    config = config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(name="candidate")],
        metrics_specs=make_eval_config(get_preset("planted")).metrics_specs,
    )
    for metric in config.metrics_specs[0].metrics:
        metric.ClearField("per_slice_thresholds")
    extracts = []
    for rank, relevant, slices in rows:
        keys = [(), *[(("genre", value),) for value in slices]]
        extracts.append(
            {
                constants.PREDICTIONS_KEY: {
                    "rank": np.array([rank], np.int64),
                    "relevant_count": np.array([relevant], np.int64),
                },
                constants.LABELS_KEY: None,
                constants.EXAMPLE_WEIGHTS_KEY: None,
                constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array(keys),
            }
        )

    def check(found):
        found = dict(found)
        assert set(expected) <= set(found), list(found)
        for key, values in expected.items():
            actual = {metric.name: value for metric, value in found[key].items()}
            for name, value in values.items():
                np.testing.assert_allclose(actual[name], value, rtol=1e-9, err_msg=f"{key} {name}")

    with beam.Pipeline(argv=list(get_preset("planted").beam_args)) as pipeline:
        evaluator = metrics_plots_and_validations_evaluator
        evaluation = (
            pipeline
            | beam.Create(extracts)
            | evaluator.MetricsPlotsAndValidationsEvaluator(config).ptransform
        )
        assert_that(evaluation[constants.METRICS_KEY], check)


@pytest.fixture(scope="module")
def users():
    generator = np.random.default_rng(7)
    return [generator.integers(1, 60, size=generator.integers(1, 41)) for _ in range(30)]


def test_macro_means_equal_the_mean_of_per_user_values(users):
    from tfx_pipeline.modules.addrl_metrics import compute_ndcg_rows, compute_recall_rows

    rank = np.concatenate(users).astype(float)
    relevant = np.concatenate([np.full(len(ranks), len(ranks)) for ranks in users])
    weight = (1.0 / relevant).sum()
    recall, ndcg = _per_user(users)
    np.testing.assert_allclose(weight, len(users))
    np.testing.assert_allclose(compute_recall_rows(rank, relevant, K).sum() / weight, recall)
    np.testing.assert_allclose(compute_ndcg_rows(rank, relevant, K).sum() / weight, ndcg)


def test_tfma_gives_the_same_overall_and_per_slice(users):
    rows = [
        (int(rank), len(ranks), ["even" if rank % 2 == 0 else "odd", "all"])
        for ranks in users
        for rank in ranks
    ]
    recall, ndcg = _per_user(users)
    means = {"recall_at_20": recall, "ndcg_at_20": ndcg, "users": len(users)}
    even = [(rank, n) for rank, n, values in rows if "even" in values]
    total = sum(1 / n for _, n in even)
    hits = sum((rank <= K) / n for rank, n in even)
    expected = {
        (): means,
        (("genre", "all"),): means,
        (("genre", "even"),): {"recall_at_20": hits / total, "users": total},
    }
    _assert_metrics(rows, expected)


def test_extreme_rows():
    from tfx_pipeline.modules.addrl_metrics import compute_ndcg_rows, compute_recall_rows

    first, last, beyond = np.array([1.0]), np.array([20.0]), np.array([21.0])
    one, many = np.array([1]), np.array([1000])
    assert compute_ndcg_rows(first, one, K) == 1.0
    assert compute_ndcg_rows(last, one, K) == pytest.approx(1 / np.log2(21))
    assert compute_ndcg_rows(beyond, many, K) == 0.0
    assert compute_recall_rows(last, many, K) == pytest.approx(1e-3)


def test_a_row_without_rank_or_relevant_items_is_an_error():
    from tensorflow_model_analysis.metrics import metric_types

    from tfx_pipeline.modules import addrl_metrics

    combiner = addrl_metrics.MacroRecall(K).computations()[0].combiner
    row = {"rank": np.array([0]), "relevant_count": np.array([3])}
    with pytest.raises(ValueError, match="Received: rank 0, relevant_count 3"):
        combiner.add_input(
            combiner.create_accumulator(), metric_types.StandardMetricInputs(predictions=row)
        )


def test_an_empty_slice_is_not_a_number_and_not_an_error():
    from tfx_pipeline.modules import addrl_metrics

    (computation,) = addrl_metrics.MacroNDCG(K).computations()
    (value,) = computation.combiner.extract_output((0.0, 0.0)).values()
    assert np.isnan(value)
