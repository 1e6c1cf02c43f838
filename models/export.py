"""The trained model artifact: SavedModels for serving, the Keras model, baselines, golden answers."""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

from models import artifact, pictures, warmup
from models.atomic import placed, write_whole
from models.features.dataset import Examples
from models.measures import Measures
from models.outlying import Outlying, Population, fit
from models.saved_model import rename_inputs
from models.signatures import Signatures
from models.task import Task

ANSWERED = 8
"""Number of golden examples, of those that pictures show, and of those in the larger requests of the warm-up."""


def write(
    model: keras.Model, task: Task, held_out: Examples, *, train: Examples, summary: Mapping[str, Any], folder: Path
) -> None:
    """Writes the artifact.

    Args:
        model: the trained autoencoder.
        task: what was asked for, with the resolved spec.
        held_out: the evaluation split, whose first examples become the golden ones.
        train: the training split, which says what codes are ordinary.
        summary: what becomes `training.json`.
        folder: the artifact's folder.
    """
    letterbox = task.images is None or task.images["letterbox"]
    signatures = Signatures(model, held_out.transform, task.spec, letterbox=letterbox)
    with placed(folder / artifact.KERAS.parent) as path:
        path.mkdir()
        model.save(path / artifact.KERAS.name)
    with placed(folder / artifact.BASELINES) as path:
        _write_baselines(model, signatures, task, held_out.transform, path)
    if pictures.drawable(model, task.spec):
        with placed(folder / artifact.PICTURES) as path:
            _write_pictures(model, held_out, path)
    _write_json(folder / artifact.GOLDEN, _golden(signatures, held_out))
    _write_json(folder / artifact.TRAINING, summary)
    _write_json(folder / artifact.CONFIGURATION, task.configuration)
    with placed(folder / artifact.SERVING) as path:  # last: it is what makes the artifact whole
        population = fit(signatures, train, held_out)
        _write_serving(model, signatures, population, task, path)
        _write_json(path / artifact.METADATA, record(model, task) | {"outlying": population.record()})
        warmup.write(task.spec, _first(held_out), path)


def record(model: keras.Model, task: Task) -> dict[str, Any]:
    """Returns what an exported encoder says about itself: `metaprior.json`."""
    recipe, latent = task.model["recipe"], task.model["latent"]
    return {
        "schema": 1,
        "space": space(model, task),
        "recipe": recipe,
        "parameters": dict(task.model["parameters"]),
        "objective": str(model),
        "explains": model.decoder.target,
        "latent": latent,
        "spec": dataclasses.asdict(task.spec),
        "images": dict(task.images) if task.images is not None else None,
        "missing": list(task.data["missing"]),
        "metaprior": metadata.version("metaprior"),
    }


def space(model: keras.Model, task: Task) -> str:
    """Returns the id of the model's embedding space: equal only for equal weights on equal features."""
    spec = dataclasses.asdict(task.spec)
    del spec["targets"]  # they stand beside the features: to measure more does not make another space
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode())
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return f"{task.model['recipe']}-{task.model['latent']}-{digest.hexdigest()[:12]}"


def _write_serving(model: keras.Model, signatures: Signatures, population: Population, task: Task, path: Path) -> None:
    # TensorFlow takes no names like `job/kind` here, so a table's inputs get their own names afterwards.
    table = task.spec.kind == "table"
    names = {key: f"input_{index}" if table else key for index, key in enumerate(signatures.tensors)}
    tensors = {key: tf.TensorSpec(t.shape, t.dtype, name=names[key]) for key, t in signatures.tensors.items()}
    examples = tf.TensorSpec([None], tf.string, name="examples")
    outlying = Outlying(signatures, population)
    endpoints = {
        "serving_default": (signatures.serving_default, examples),
        "score": (signatures.score, examples),
        "embed": (signatures.embed, tensors),
        "outlying": (outlying.outlying, tensors),
    }
    if task.spec.kind == "image":
        files = tf.TensorSpec([None], tf.string, name="image_bytes")
        endpoints |= {
            "embed_bytes": (signatures.embed_bytes, files),
            "outlying_bytes": (outlying.outlying_bytes, files),
        }
    _write_archive([model, signatures.layer], endpoints, path)
    rename_inputs(path, ["embed", "outlying"], {name: key for key, name in names.items()})


def _write_baselines(
    model: keras.Model, signatures: Signatures, task: Task, transform: tft.TFTransformOutput, path: Path
) -> None:
    random = task.build()
    baseline = Signatures(random, transform, task.spec)
    measures = Measures(model, signatures, task.spec)
    examples = tf.TensorSpec([None], tf.string, name="examples")
    endpoints = {
        "serving_default": (baseline.baseline, examples),
        "likelihood": (measures.likelihood, examples, tf.TensorSpec([], tf.int32, name="samples")),
        "noisy": (measures.noisy, examples, tf.TensorSpec([], tf.float32, name="level")),
    }
    _write_archive([random, model, baseline.layer, signatures.layer], endpoints, path)


def _write_pictures(model: keras.Model, held_out: Examples, path: Path) -> None:
    path.mkdir()
    batch = next(iter(held_out.evaluation(batch=ANSWERED)))
    for name, image in pictures.all_of(model, batch).items():
        keras.utils.save_img(path / f"{name}.png", image * 255, scale=False)


def _write_archive(parts: Sequence[Any], endpoints: Mapping[str, tuple[Any, ...]], path: Path) -> None:
    archive = keras.export.ExportArchive()
    for part in parts:
        archive.track(part)
    for name, (function, *tensors) in endpoints.items():
        archive.add_endpoint(name, tf.autograph.experimental.do_not_convert(function), tensors)
    archive.write_out(str(path), verbose=False)


def _first(held_out: Examples) -> list[Any]:
    return list(held_out.records().take(ANSWERED).as_numpy_iterator())


def _golden(signatures: Signatures, held_out: Examples) -> dict[str, list]:
    examples = _first(held_out)
    answers = signatures.serving_default(tf.constant(examples))
    encoded = [base64.b64encode(example).decode() for example in examples]
    return {"examples": encoded} | {name: value.numpy().tolist() for name, value in answers.items()}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    write_whole(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())
