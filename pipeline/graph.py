"""The whole pipeline on one screen: raw data to a pushed encoder."""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any

from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.orchestration import metadata
from tfx.orchestration import pipeline as tfx_pipeline

from components.aligner.component import Aligner
from components.embedder.component import Embedder
from components.evaluator.component import RepresentationEvaluator
from components.pusher.component import Pusher
from components.serving_check import servers
from components.serving_check.component import ServingCheck
from components.validation_gate.component import ValidationGate
from models import training
from models.features import preprocessing
from pipeline import code, paths
from pipeline import schema as own_schema
from pipeline.config import Config
from pipeline.ingestion.ingest import Ingest
from pipeline.resolver import LatestOtherBlessed

Channel = tfx.dsl.Channel
artifacts = tfx.types.standard_artifacts

# What every component that reads a trained model or writes beside it goes through.
ARTIFACT = ("models.features", "models.artifact", "models.atomic", "components.section", "components.records")

# What the Aligner goes through beside its own code.
ALIGNMENT = (
    "components.metrics.procrustes",
    "components.evaluator.rows",
    "components.evaluator.wording",
    "models.saved_model",
)


def dotted(function) -> str:
    """Returns the dotted path TFX imports a function by."""
    return f"{function.__module__}.{function.__qualname__}"


@dataclass(frozen=True)
class Encoded:
    """A pipeline as far as the embeddings: its nodes in order, and those that later ones read."""

    nodes: list[Any]
    ingest: Ingest
    trainer: Any
    blessed: Any
    embedder: Any


def create_pipeline(config: Config) -> tfx_pipeline.Pipeline:
    """Returns the TFX pipeline of a run.

    Args:
        config: the validated run configuration.

    Raises:
        InputError: if the data cannot be used, or TensorFlow's server is to check and is not there.
    """
    encoded = encode(config, reference=LatestOtherBlessed)
    aligner = align(config, encoded)
    model = aligner.outputs["aligned_model"]
    evaluator = evaluate(config, encoded, aligned=model)
    check = ServingCheck(
        model=model,
        server=servers.choose(config.serving.validate_with),
        code=code.version("components.serving_check", "serving", *ARTIFACT),
    )
    pusher = Pusher(
        model=model,
        blessing=evaluator.outputs["blessing"],
        infra_blessing=check.outputs["infra_blessing"],
        evaluation=evaluator.outputs["evaluation"],
        fingerprint=hashlib.sha256(encoded.ingest.description.fingerprint.encode()).hexdigest()[:12],
        folder=str(paths.serving(config)),
        keep=config.serving.keep,
        look=str(time.time_ns()),
    )
    return assemble(config, [*encoded.nodes, aligner, evaluator, check, pusher])


def encode(config: Config, *, reference: type[ResolverStrategy]) -> Encoded:
    """Returns the pipeline from the raw data to the embeddings.

    Args:
        config: the validated run configuration.
        reference: says which blessed model the new one is compared with.

    Raises:
        InputError: if the data cannot be used.
    """
    ingest = Ingest(config.data, seed=config.seed)
    spec = ingest.description.spec.to_json()
    examples = ingest.outputs["examples"]
    statistics = tfx.components.StatisticsGen(examples=examples)
    schema = _schema(config, ingest, statistics)
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    gate = ValidationGate(anomalies=validator.outputs["anomalies"], optional=json.dumps(_optional(config, ingest)))
    transform = tfx.components.Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn=dotted(preprocessing.preprocessing_fn),
        materialize=False,
        disable_statistics=True,
        custom_config={"spec": spec, "code": code.version("models.features")},
    )
    transform.add_upstream_node(gate)
    trainer = tfx.components.Trainer(
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        statistics=statistics.outputs["statistics"],
        run_fn=dotted(training.run_fn),
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config=_training(config, ingest),
    )
    model = trainer.outputs["model"]
    blessed = tfx.dsl.Resolver(
        strategy_class=reference,
        current=model,
        model=Channel(type=artifacts.Model),
        model_blessing=Channel(type=artifacts.ModelBlessing),
    ).with_id("LatestBlessed")
    embedder = Embedder(
        examples,
        model=model,
        baseline_model=blessed.outputs["model"],
        limit=config.evaluation.examples,
        slices=_slices(config, ingest),
        measures=config.evaluation.measures,
        code=code.version("components.embedder", "models.saved_model", *ARTIFACT),
    )
    nodes = [ingest, statistics, schema, validator, gate, transform, trainer, blessed, embedder]
    return Encoded(nodes, ingest=ingest, trainer=trainer, blessed=blessed, embedder=embedder)


def align(config: Config, encoded: Encoded) -> Any:
    """Returns the node that exports the model once more, answering in the last blessed model's space, too."""
    return Aligner(
        embeddings=encoded.embedder.outputs["embeddings"],
        baseline_embeddings=encoded.embedder.outputs["baseline_embeddings"],
        model=encoded.trainer.outputs["model"],
        baseline_model=encoded.blessed.outputs["model"],
        measured=int("alignment" in config.evaluation.measure),
        code=code.version("components.aligner", *ALIGNMENT, *ARTIFACT),
    )


def evaluate(config: Config, encoded: Encoded, *, aligned: Any = None) -> Any:
    """Returns the node that measures the embeddings and blesses the model, or not.

    Args:
        config: the validated run configuration.
        encoded: the pipeline as far as the embeddings.
        aligned: channel of the model that the Aligner wrote; None where the model will not be served.
    """
    return RepresentationEvaluator(
        embeddings=encoded.embedder.outputs["embeddings"],
        baseline_embeddings=encoded.embedder.outputs["baseline_embeddings"],
        model=encoded.trainer.outputs["model"],
        baseline_model=encoded.blessed.outputs["model"],
        aligned_model=aligned,
        settings=config.evaluation.model_dump_json(),
        data=config.data.source,
        seed=config.seed,
        code=code.version(
            "components.evaluator", "components.metrics", "components.report", "components.aligner", *ARTIFACT
        ),
    )


def assemble(config: Config, nodes: list[Any]) -> tfx_pipeline.Pipeline:
    """Returns nodes, in order, as a pipeline with the run's name, folder and store."""
    return tfx_pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(paths.root(config)),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(paths.metadata(config))),
        components=nodes,
        enable_cache=True,
        beam_pipeline_args=[*config.beam, *_workers(config)],
    )


def _schema(config: Config, ingest: Ingest, statistics):
    path = config.data.schema_path
    if path is None:
        return tfx.components.SchemaGen(statistics=statistics.outputs["statistics"], infer_feature_shape=True)
    numbered = ingest.description.spec.id if config.data.id is None else None
    whole = own_schema.completed(own_schema.read(path), numbered=numbered)
    return tfx.components.ImportSchemaGen(schema_file=str(own_schema.kept(whole, paths.schemas(config))))


def _training(config: Config, ingest: Ingest) -> dict[str, Any]:
    settings = {
        "spec": ingest.description.spec.to_json(),
        "data": ingest.data.model_dump(mode="json"),
        "model": config.model.model_dump(mode="json"),
        "training": config.training.model_dump(mode="json"),
        "seed": config.seed,
        "code": code.version("models"),
    }
    # An unfinished training is resumed only by a run that would train the same model on the same examples. How many
    # epochs it is to have does not matter: up to any of them, training for more takes the same steps.
    endless = {name: value for name, value in settings["training"].items() if name != "epochs"}
    identity = [settings | {"training": endless}, ingest.query]
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    return settings | {"checkpoints": str(paths.checkpoints(config) / key)}


def _optional(config: Config, ingest: Ingest) -> list[str]:
    """Returns the targets, of which a split may have none; a schema of the user's own says itself what it may."""
    return [] if config.data.schema_path else [target.name for target in ingest.description.spec.targets]


def _slices(config: Config, ingest: Ingest) -> list[str]:
    """Returns the slices that the Embedder writes: inputs of a table; all else stands beside the codes anyway."""
    wanted = config.evaluation.slices
    return [column.name for column in ingest.description.spec.columns if column.name in wanted]


def _workers(config: Config) -> list[str]:
    """Returns the flag that keeps TFX from packing itself for remote workers (4 s a component) where there are none."""
    local = any(flag.lower() in ("--runner=fnapirunner", "--runner=directrunner") for flag in config.beam)
    return ["--sdk_container_image=none"] if local else []
