"""The TFX component that lays the trials of a sweep side by side."""

# TFX reads these annotations at run time; to a type checker they mean nothing.
# pyright: reportArgumentType=false, reportInvalidTypeArguments=false

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import Frontier as FrontierArtifact
from components.artifacts import RepresentationEvaluation
from components.frontier.assemble import assemble
from components.frontier.page import render
from components.frontier.request import REQUEST
from components.frontier.schema import PAGE_FILE, write_frontier
from models.atomic import write_whole


@component
def Frontier(
    evaluations: InputArtifact[list[RepresentationEvaluation]],
    models: InputArtifact[list[standard_artifacts.Model]],
    examples: InputArtifact[standard_artifacts.Examples],
    frontier: OutputArtifact[FrontierArtifact],
    request: Parameter[str],
):
    """Writes frontier.json and frontier.html.

    Args:
        evaluations: of the trials; named in the request, too.
        models: of the trials; named in the request, too.
        examples: the data, for its entropy.
        frontier: gets frontier.json and frontier.html.
        request: an `assemble.Request`, as JSON.
    """
    del evaluations, models  # for the lineage: the request says which belongs to which trial
    found = assemble(REQUEST.validate_json(request), _records(examples))
    write_frontier(found, Path(frontier.uri))
    write_whole(Path(frontier.uri) / PAGE_FILE, render(found).encode())
    frontier.sweep = found.sweep
    frontier.recommended = found.recommendation.configuration


def _records(examples: standard_artifacts.Examples) -> Iterator[Any]:
    files = tf.io.gfile.glob(artifact_utils.get_split_uri([examples], "eval") + "/*")
    for record in tf.data.TFRecordDataset(files, "GZIP"):
        yield record.numpy()
