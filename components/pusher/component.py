"""The Pusher: a model that is blessed twice becomes the next version of the serving folder."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.embedder.encoder import SERVING
from components.pusher.versions import prune, push


@component
def Pusher(
    model: InputArtifact[standard_artifacts.Model],
    blessing: InputArtifact[standard_artifacts.ModelBlessing],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing],
    pushed_model: OutputArtifact[standard_artifacts.PushedModel],
    folder: Parameter[str],
    keep: Parameter[int],
    refill: Parameter[str],
) -> None:
    """Pushes a model that the evaluation and the serving check both blessed.

    The stock Pusher shows a version while it is still being copied and skips a second push within
    one second; this one renames a whole copy into place.

    Args:
        model: the trained model.
        blessing: the evaluation's verdict.
        infra_blessing: the serving check's verdict.
        pushed_model: custom properties `pushed` (0 or 1), `pushed_destination`, `pushed_version`.
        folder: the serving folder, absolute.
        keep: how many versions stay.
        refill: part of the cache key; another value pushes again what was pushed before.

    Raises:
        InputError: if the folder cannot be written.
    """
    del refill
    blessed = all(b.get_int_custom_property("blessed") == 1 for b in (blessing, infra_blessing))
    pushed_model.set_int_custom_property("pushed", int(blessed))
    if not blessed:
        return
    version = push(Path(model.uri, SERVING), Path(folder))
    prune(Path(folder), keep)
    pushed_model.set_string_custom_property("pushed_destination", str(Path(folder, str(version))))
    pushed_model.set_int_custom_property("pushed_version", version)
