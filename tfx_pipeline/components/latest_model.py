"""Which model a candidate is compared with: the newest one pushed that is not the candidate."""

from tfx.dsl.components.common import resolver
from tfx.types import Artifact

MODEL = "model"
PUSHED = "pushed_model"
CANDIDATE = "candidate"


class LatestPushedModelStrategy(resolver.ResolverStrategy):
    """Resolves the model that was pushed last, i.e. blessed by both gates, without the candidate.

    TFX's LatestBlessedModelStrategy looks at the Evaluator's blessing alone, so a model that cannot
    be served would become the bar for the next; and it returns the candidate itself when a run is
    repeated, so the Evaluator's inputs would change, and an unchanged second run would evaluate and
    push the same model again. Without the candidate, a repeated run has the inputs it had.

    The resolver takes `model` (all models), `pushed_model` (all pushes) and `candidate` (the
    model of this run), and returns at most one `model`.
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
        candidates = {artifact.id for artifact in input_dict.get(CANDIDATE, [])}
        models = {artifact.id: artifact for artifact in input_dict.get(MODEL, [])}
        result = {MODEL: [], PUSHED: [], CANDIDATE: input_dict.get(CANDIDATE, [])}
        for pushed in sorted(input_dict.get(PUSHED, []), key=lambda push: push.id, reverse=True):
            model_id = pushed.get_int_custom_property("model_id")
            if pushed.get_int_custom_property("pushed") != 1 or model_id not in models:
                continue
            if model_id not in candidates:
                return {**result, MODEL: [models[model_id]], PUSHED: [pushed]}
        return result
