"""The Pusher: a model that is blessed twice becomes the next version of the serving folder."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifacts import RepresentationEvaluation
from components.evaluator.schema import EVALUATION_FILE, read_evaluation
from components.pusher import card
from components.pusher.versions import prune, push, renew, versions, writing
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

    Beside the encoder goes a model card, `assets.extra/model_card.md` and `.json`; where the newest version is this
    model already and its evaluation is another one by now, the card is written anew.

    The stock Pusher shows a version while it is still being copied, and skips a second push within
    one second; this one renames a whole copy into place.

    Args:
        model: the trained model.
        blessing: the evaluation's verdict.
        infra_blessing: the serving check's verdict.
        evaluation: what was measured, for the model card.
        pushed_model: custom properties `pushed` (0 or 1), `pushed_destination`, `pushed_version`, and
            `unchanged` (1: the newest version was this model already, with this card).
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
    with writing(target):
        served = _newest(target)
        same = _serves(served, read_metadata(saved_model))
        beside = card.files(Path(model.uri), found, lineage, served=served if same else None)
        version = versions(target)[-1] if same else push(saved_model, target, beside)
        unchanged = same and not renew(target / str(version), beside)
        prune(target, keep)
    pushed_model.set_int_custom_property("unchanged", int(unchanged))
    pushed_model.set_string_custom_property("pushed_destination", str(target / str(version)))
    pushed_model.set_int_custom_property("pushed_version", version)


def _newest(folder: Path) -> dict[str, Any] | None:
    """Returns the record of the newest version, None where there is none or it does not say."""
    newest = versions(folder)[-1:]
    if not newest or not (folder / str(newest[0]) / METADATA).exists():
        return None
    return read_metadata(folder / str(newest[0]))


def _serves(served: dict[str, Any] | None, record: dict[str, Any]) -> bool:
    """Returns whether a version answers in all spaces that an encoder answers in: its own, and one aligned to."""
    if served is None or served["space"] != record["space"]:
        return False
    there, wanted = ((each.get("aligned_to") or {}).get("space") for each in (served, record))
    return wanted in (None, there)
