"""Which model the new one is compared with."""

from pathlib import Path

from tfx.components.evaluator import constants
from tfx.dsl.components.common import resolver
from tfx.types import artifact

from pipeline.store import TRIAL


class LatestOtherBlessed(resolver.ResolverStrategy):
    """Resolves the latest blessed model that is not the current one.

    TFX's own strategy would resolve to the current model itself when an unchanged pipeline runs again,
    and so compare a model with itself and miss the cache. Trials of a sweep are measured, not blessed.

    The channels are `current` (the model of this run), `model` (every model) and `model_blessing`.
    """

    def resolve_artifacts(
        self, store, input_dict: dict[str, list[artifact.Artifact]]
    ) -> dict[str, list[artifact.Artifact]]:
        """Returns the model under `model` (or nothing), its blessing, and the current model as it came."""
        del store
        current = input_dict["current"]
        this = {model.id for model in current}
        blessings = {
            blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY): blessing
            for blessing in input_dict["model_blessing"]
            if blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == 1
            and TRIAL not in Path(blessing.uri).parts
        }
        candidates = [m for m in input_dict["model"] if m.id in blessings and m.id not in this]
        latest = max(candidates, key=lambda model: model.id, default=None)
        found = [latest] if latest else []
        return {
            "current": current,
            "model": found,
            "model_blessing": [blessings[model.id] for model in found],
        }


class NoneBlessed(resolver.ResolverStrategy):
    """Resolves no blessed model: the trials of a sweep are compared with one another, and not here."""

    def resolve_artifacts(
        self, store, input_dict: dict[str, list[artifact.Artifact]]
    ) -> dict[str, list[artifact.Artifact]]:
        """Returns the current model as it came, and nothing else."""
        del store
        return {"current": input_dict["current"], "model": [], "model_blessing": []}


class ById(resolver.ResolverStrategy):
    """Resolves the artifacts of given ids.

    Args:
        ids: the ids by channel, each list in the order in which the artifacts are wanted.
    """

    def __init__(self, ids: dict[str, list[int]]):
        self._ids = ids

    def resolve_artifacts(
        self, store, input_dict: dict[str, list[artifact.Artifact]]
    ) -> dict[str, list[artifact.Artifact]]:
        """Returns the artifacts; those that are not there are left out."""
        del store
        known = {key: {one.id: one for one in found} for key, found in input_dict.items()}
        return {key: [known[key][i] for i in ids if i in known[key]] for key, ids in self._ids.items()}
