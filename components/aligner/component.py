"""The Aligner: lets a new encoder also answer in the last blessed encoder's space."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

import logging
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.aligner.align import fitted, linked, write
from components.artifacts import Embeddings
from components.evaluator import rows
from components.evaluator.wording import NOT_YET, OTHER_INPUTS, SAME_SPACE
from components.metrics.undefined import UndefinedError
from models.artifact import SERVING, read_metadata

NOT_MEASURED = "evaluation.measure does not name alignment"

progress = logging.getLogger("metaprior.progress")


@component
def Aligner(
    embeddings: InputArtifact[Embeddings],
    model: InputArtifact[standard_artifacts.Model],
    aligned_model: OutputArtifact[standard_artifacts.Model],
    measured: Parameter[int],
    code: Parameter[str],
    baseline_embeddings: InputArtifact[Embeddings] = None,
    baseline_model: InputArtifact[standard_artifacts.Model] = None,
) -> None:
    """Writes the model once more, with the signature `embed_aligned`; as it came where there is nothing to align to.

    It comes after the training, so that another blessed model repeats an export and no training.

    Args:
        embeddings: every split's codes under the model.
        model: the trained model.
        aligned_model: the model with the signature; custom property `reason` where it has none, which says why.
        measured: whether the alignment is measured (1); one that nobody measures is not made (0).
        code: version of the code, part of the cache key.
        baseline_embeddings: the same data under the last blessed model; without splits if it takes other inputs
            or there is none.
        baseline_model: the last blessed model, if there is one.
    """
    del code
    trained, target = Path(model.uri), Path(aligned_model.uri)
    last = read_metadata(Path(baseline_model.uri, SERVING)) if baseline_model else None
    reason = None
    if not measured:
        reason = NOT_MEASURED
    elif last is None:
        reason = NOT_YET
    elif not rows.splits(Path(baseline_embeddings.uri)):
        reason = OTHER_INPUTS
    elif last["space"] == read_metadata(trained / SERVING)["space"]:  # trained again, to the same weights
        reason = SAME_SPACE
    else:
        try:
            alignment = fitted(Path(embeddings.uri), Path(baseline_embeddings.uri))
        except UndefinedError as error:
            reason = str(error)
        else:
            write(trained, alignment, last, target)
            progress.info("aligned to space %s: residual %.3f", last["space"], alignment.residual)
    if reason is not None:
        linked(trained, target)
        progress.info("not aligned: %s", reason)
    aligned_model.set_string_custom_property("reason", reason or "")
