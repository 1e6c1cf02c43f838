"""The Pusher: a model that is blessed twice becomes the next version of the serving folder."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifacts import RepresentationEvaluation
from components.evaluator.schema import EVALUATION_FILE, read_evaluation
from components.pusher import card
from components.pusher.versions import prune, push, versions, writing
from models.artifact import METADATA, SERVING, read_metadata


@component
def Pusher(
    model: InputArtifact[standard_artifacts.Model],
    blessing: InputArtifact[standard_artifacts.ModelBlessing],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing],
    evaluation: InputArtifact[RepresentationEvaluation],
    pushed_model: OutputArtifact[standard_artifacts.PushedModel],
    folder: Parameter[str],
    keep: Parameter[int],
    look: Parameter[str],
    fingerprint: Parameter[str],
) -> None:
    """Pushes a model that the evaluation and the serving check both blessed, unless it is the newest version.

    Beside the encoder goes a model card, `assets.extra/model_card.md` and `.json`.

    The stock Pusher shows a version while it is still being copied, and skips a second push within
    one second; this one renames a whole copy into place.

    Args:
        model: the trained model.
        blessing: the evaluation's verdict.
        infra_blessing: the serving check's verdict.
        evaluation: what was measured, for the model card.
        pushed_model: custom properties `pushed` (0 or 1), `pushed_destination`, `pushed_version`, and
            `unchanged` (1: the newest version was this model already).
        folder: the serving folder, absolute.
        keep: how many versions stay.
        look: new in every run: whether a push is needed is for the folder to say, not for the cache.
        fingerprint: digest of what changes with the data's content.

    Raises:
        InputError: if the folder cannot be written, or the evaluation is not of this version.
    """
    del look
    blessed = all(b.get_int_custom_property("blessed") == 1 for b in (blessing, infra_blessing))
    pushed_model.set_int_custom_property("pushed", int(blessed))
    if not blessed:
        return
    saved_model, target = Path(model.uri, SERVING), Path(folder)
    lineage = card.Lineage(model.id, evaluation.id, fingerprint, target.name)
    found = read_evaluation(Path(evaluation.uri, EVALUATION_FILE))
    beside = card.files(Path(model.uri), found, lineage)
    with writing(target):
        unchanged = _newest_space(target) == read_metadata(saved_model)["space"]
        version = versions(target)[-1] if unchanged else push(saved_model, target, beside)
        prune(target, keep)
    pushed_model.set_int_custom_property("unchanged", int(unchanged))
    pushed_model.set_string_custom_property("pushed_destination", str(target / str(version)))
    pushed_model.set_int_custom_property("pushed_version", version)


def _newest_space(folder: Path) -> str | None:
    """Returns the embedding space of the newest version, None where there is none or it does not say."""
    newest = versions(folder)[-1:]
    if not newest or not (folder / str(newest[0]) / METADATA).exists():
        return None
    return read_metadata(folder / str(newest[0]))["space"]
