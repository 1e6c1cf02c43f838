"""The TFX component that measures a representation and blesses the model, or not."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

import datetime
import json
import os
from pathlib import Path
from typing import Any

from tfx.components.evaluator import constants
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from components.artifacts import RUN, Embeddings, RepresentationEvaluation
from components.evaluator.evaluate import Evaluated, Request, evaluate
from components.evaluator.sample import write_codes
from components.evaluator.schema import REPORT_FILE, Evaluation, write_evaluation
from components.evaluator.settings import Settings
from components.report import board, pictures, predictions
from components.report.html import render
from models.artifact import PICTURES, SERVING, TRAINING
from models.atomic import write_whole


@component
def RepresentationEvaluator(
    embeddings: InputArtifact[Embeddings],
    model: InputArtifact[standard_artifacts.Model],
    evaluation: OutputArtifact[RepresentationEvaluation],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
    settings: Parameter[str],
    data: Parameter[str],
    seed: Parameter[int],
    code: Parameter[str],
    baseline_embeddings: InputArtifact[Embeddings] = None,
    baseline_model: InputArtifact[standard_artifacts.Model] = None,
    aligned_model: InputArtifact[standard_artifacts.Model] = None,
):
    """Measures a representation, writes evaluation.json and views of it for people, and blesses the model.

    Args:
        embeddings: every split's codes under the model.
        model: the model.
        evaluation: gets evaluation.json, report.html and, for TensorBoard, tensorboard/.
        blessing: gets BLESSED or NOT_BLESSED, and the properties LatestBlessedModelStrategy reads.
        settings: the run configuration's `evaluation` section, as JSON.
        data: the data's name.
        seed: seed of label draws and intervals.
        code: version of the code, so that a newer one measures again.
        baseline_embeddings: the same data under the last blessed model; without splits if it takes other inputs
            or there is none.
        baseline_model: the last blessed model, if there is one.
        aligned_model: the model as it is exported, with the way into the last blessed model's space or why not.
    """
    request = Request(
        embeddings=Path(embeddings.uri),
        last=Path(baseline_embeddings.uri) if baseline_embeddings and baseline_model else None,
        settings=Settings.model_validate_json(settings),
        data=data,
        seed=seed,
        code=code,
        **_aligned(aligned_model),
    )
    found = evaluate(request)
    write_evaluation(found.evaluation, Path(evaluation.uri))
    write_codes(found.sample, Path(evaluation.uri))
    _show(found, request, model=Path(model.uri), folder=Path(evaluation.uri))
    _describe(evaluation, found.evaluation)
    _bless(blessing, found.evaluation, model=model, baseline=baseline_model)


def _aligned(model: standard_artifacts.Model | None) -> dict[str, Any]:
    """Returns what a request says of the alignment."""
    if model is None:
        return {}
    reason = model.get_string_custom_property("reason")
    return {"unaligned": reason} if reason else {"aligned": Path(model.uri, SERVING)}


def _show(found: Evaluated, request: Request, *, model: Path, folder: Path) -> None:
    """Writes the report and TensorBoard's files, with the pictures that the model artifact has."""
    files = pictures.read(model / PICTURES)
    page = render(found.evaluation, found.sample, files, made=_made())
    write_whole(folder / REPORT_FILE, page.encode())
    answers = predictions.answers(request.embeddings, found.evaluation)
    board.write(found.evaluation, folder, step=_step(model / TRAINING), files=files, answers=answers)


def _made() -> str:
    """Returns when, and in which run where that is known, the evaluation was made.

    By the environment: a parameter that is another one in every run would keep a run from taking over an evaluation.
    """
    now, run = datetime.datetime.now(datetime.UTC), os.environ.get(RUN)
    return f"measured {now:%Y-%m-%d %H:%M} UTC" + (f" in run {run}" if run else "")


def _step(path: Path) -> int:
    """Returns the training step of the best epoch, whose weights the model has; 0 where nothing says so."""
    if not path.is_file():
        return 0
    training = json.loads(path.read_text(encoding="utf-8"))
    return training["steps"] // training["epochs"] * training["best_epoch"]


def _describe(artifact: RepresentationEvaluation, evaluation: Evaluation) -> None:
    """Sets what ML Metadata keeps of an evaluation."""
    artifact.space = evaluation.space
    artifact.recipe = evaluation.recipe
    artifact.data = evaluation.data.name
    artifact.blessed = int(evaluation.blessed)
    artifact.reasons = "\n".join(bound.reason for bound in evaluation.bounds if not bound.ok)


def _bless(
    blessing: standard_artifacts.ModelBlessing,
    evaluation: Evaluation,
    *,
    model: standard_artifacts.Model,
    baseline: standard_artifacts.Model | None,
) -> None:
    """Writes the verdict as TFX's own Evaluator does."""
    blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri)
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline:
        blessing.set_string_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri)
        blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id)
    value = constants.BLESSED_VALUE if evaluation.blessed else constants.NOT_BLESSED_VALUE
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    file = constants.BLESSED_FILE_NAME if evaluation.blessed else constants.NOT_BLESSED_FILE_NAME
    write_whole(Path(blessing.uri) / file, b"")
