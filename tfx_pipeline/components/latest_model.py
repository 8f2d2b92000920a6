"""Which model a candidate is compared with: the newest one in service that can be compared."""

import logging
import pathlib

from tensorflow.core.protobuf import saved_model_pb2
from tfx.dsl.components.common import resolver
from tfx.types import Artifact
from tfx.utils import path_utils

from tfx_pipeline.eval_config import EVALUATE, EVALUATE_SLICES
from tfx_pipeline.index.about import is_in_service

MODEL = "model"
PUSHED = "pushed_model"
CANDIDATE = "candidate"

_logger = logging.getLogger(__name__)

# Of each signature that the Evaluator calls: its inputs and outputs with their types.
Signatures = dict[str, set[tuple[str, str, int]]]


class LatestPushedModelStrategy(resolver.ResolverStrategy):
    """Resolves the model that was pushed last, i.e. blessed by both gates, without the candidate.

    TFX's LatestBlessedModelStrategy looks at the Evaluator's blessing alone, so a model that cannot
    be served would become the bar for the next; and it returns the candidate itself when a run is
    repeated, so the Evaluator's inputs would change, and an unchanged second run would evaluate and
    push the same model again. Without the candidate, a repeated run has the inputs it had.

    Left out are also models whose version was withdrawn (`addrl rollback`), and models that the
    Evaluator could not call as it calls the candidate: one without an attribute that was added
    since cannot be sliced by it.

    The resolver takes `model` (all models), `pushed_model` (all pushes) and `candidate` (the
    model of this run), and returns at most one `model`; and the newest `pushed_model` in service,
    whether its model can be compared or not: the data can be.
    """

    def resolve_artifacts(
        self, store, input_dict: dict[str, list[Artifact]]
    ) -> dict[str, list[Artifact]]:
        """Resolve the baseline.

        Args:
            store: Not used, everything needed is in the artifacts.
            input_dict: Artifacts by the keys above.

        Returns:
            The same keys; `model` and `pushed_model` have one artifact or none.
        """
        del store
        candidates = input_dict.get(CANDIDATE, [])
        models = {artifact.id: artifact for artifact in input_dict.get(MODEL, [])}
        own = {artifact.id for artifact in candidates}
        pushes = [
            push
            for push in sorted(input_dict.get(PUSHED, []), key=lambda push: push.id, reverse=True)
            if push.get_int_custom_property("pushed") == 1 and _get_model_id(push) in models
        ]
        # A run repeated after its own model was withdrawn must find the baseline that it had: with
        # another one it would be evaluated and pushed again.
        mine = next((push for push in pushes if _get_model_id(push) in own), None)
        keep_withdrawn = mine is not None and not _is_served(mine)
        needed = load_evaluation_signatures(candidates[0].uri) if candidates else {}
        in_service: list[Artifact] = []
        for push in pushes:
            model = models[_get_model_id(push)]
            if model.id in own:
                continue
            if not (keep_withdrawn or _is_served(push)):
                _logger.info("no baseline: %s, its version was withdrawn", model.uri)
                continue
            in_service = in_service or [push]
            missing = find_missing(needed, load_evaluation_signatures(model.uri))
            if missing:
                _logger.warning("no baseline: %s, it lacks %s", model.uri, ", ".join(missing))
                continue
            return {MODEL: [model], PUSHED: in_service, CANDIDATE: candidates}
        _logger.warning("There is no pushed model to compare with: only lower bounds decide.")
        return {MODEL: [], PUSHED: in_service, CANDIDATE: candidates}


def load_evaluation_signatures(uri: str) -> Signatures:
    """Load what the Evaluator finds in a model, from the SavedModel's description alone.

    Args:
        uri: Folder of a Model artifact.

    Returns:
        Inputs and outputs of `evaluate` and `evaluate_slices`; nothing where there is no model.
    """
    path = pathlib.Path(path_utils.serving_model_path(uri), "saved_model.pb")
    if not path.is_file():
        return {}
    definitions = {}
    for graph in saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs:
        definitions.update(graph.signature_def)
    return {
        name: {
            (side, key, info.dtype)
            for side in ("inputs", "outputs")
            for key, info in getattr(definitions[name], side).items()
        }
        for name in (EVALUATE, EVALUATE_SLICES)
        if name in definitions
    }


def find_missing(candidate: Signatures, baseline: Signatures) -> list[str]:
    """Find what the Evaluator asks of a candidate and would miss in a baseline.

    Args:
        candidate: What `load_evaluation_signatures` returned for the candidate.
        baseline: Likewise for the baseline.

    Returns:
        Words for each missing part, sorted; none if the two can be compared. More outputs than the
        candidate's are no obstacle.
    """
    if not baseline:
        return ["the signatures of an evaluation"]
    return sorted(
        f"{side.removesuffix('s')} {key!r} of the signature {name!r}"
        for name, parts in candidate.items()
        for side, key, _ in parts - baseline.get(name, set())
    )


def _get_model_id(push: Artifact) -> int:
    return push.get_int_custom_property("model_id")


def _is_served(push: Artifact) -> bool:
    return is_in_service(push.get_string_custom_property("pushed_destination"))
