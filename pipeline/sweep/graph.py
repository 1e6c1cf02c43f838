"""The pipelines of a sweep: one trial, and the frontier of all of them.

They have the name, the folder and the store of an ordinary run, so that what a trial did is in the cache of
every other one, and of the run that trains the chosen configuration.
"""

import json
from collections.abc import Mapping
from typing import Any

from tfx import v1 as tfx
from tfx.orchestration import pipeline as tfx_pipeline

from components.artifacts import RepresentationEvaluation
from components.frontier.component import Frontier
from pipeline import graph
from pipeline.config import Config
from pipeline.resolver import ById, NoneBlessed
from pipeline.store import TRIAL

Channel = tfx.dsl.Channel
artifacts = tfx.types.standard_artifacts


def trial(config: Config) -> tfx_pipeline.Pipeline:
    """Returns the pipeline of a trial: a run up to its evaluation, which blesses nothing, and no push.

    Args:
        config: the trial's run configuration.

    Raises:
        InputError: if the data cannot be used.
    """
    encoded = graph.encode(config, reference=NoneBlessed)
    evaluator = graph.evaluate(config, encoded).with_id(TRIAL)
    return graph.assemble(config, [*encoded.nodes, evaluator])


def checkpoints(pipeline: tfx_pipeline.Pipeline) -> str:
    """Returns the folder of the checkpoints of a trial's training."""
    [trainer] = [node for node in pipeline.components if node.id == "Trainer"]
    return json.loads(trainer.exec_properties["custom_config"])["checkpoints"]


def frontier(config: Config, *, request: str, ids: Mapping[str, list[int]]) -> tfx_pipeline.Pipeline:
    """Returns the pipeline that makes the frontier.

    Args:
        config: the sweep's run configuration.
        request: what the frontier is made of, as JSON.
        ids: the trials' `evaluations` and `models` and their `examples`, as ML Metadata numbers them.
    """
    trials = tfx.dsl.Resolver(
        strategy_class=ById,
        config={"ids": dict(ids)},
        evaluations=Channel(type=RepresentationEvaluation),
        models=Channel(type=artifacts.Model),
        examples=Channel(type=artifacts.Examples),
    ).with_id("Trials")
    outputs: dict[str, Any] = {name: trials.outputs[name] for name in ("evaluations", "models", "examples")}
    return graph.assemble(config, [trials, Frontier(request=request, **outputs)])
