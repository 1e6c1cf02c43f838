"""Requests that a new server answers before it takes others: TF Serving's warm-up file."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models.atomic import placed
from models.features.encoding import parse
from models.features.spec import IMAGE, FeatureSpec

FILE = Path("assets.extra", "tf_serving_warmup_requests")
"""Where TF Serving looks for it, below a version's folder."""


def write(spec: FeatureSpec, examples: Sequence[bytes], folder: Path) -> None:
    """Writes a warm-up file: one example and all of them, for each signature but `score`, which evaluations ask.

    A server then has built and tuned for both a lone request and a batch when the version becomes available.

    Args:
        spec: description of the data, resolved.
        examples: serialized examples of it.
        folder: of the SavedModel.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    batches = (examples[:1], examples)
    requests = [request for batch in batches for request in _requests(spec, tf.constant(batch)).items()]
    _write([_log(signature, inputs) for signature, inputs in requests], path)


def extend(path: Path, signature: str, like: str) -> None:
    """Puts a new file in a warm-up file's place, in which another signature is asked what one of the file's is.

    Args:
        path: the file; it may be a link to another version's, which stays as it is.
        signature: name of the signature that the model has got.
        like: name of the one that takes the same inputs.
    """
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    alike = copy.deepcopy([log for log in logs if log.predict_log.request.model_spec.signature_name == like])
    for log in alike:
        log.predict_log.request.model_spec.signature_name = signature
    _write([*logs, *alike], path)


def _write(logs: Iterable[prediction_log_pb2.PredictionLog], path: Path) -> None:
    with placed(path) as whole, tf.io.TFRecordWriter(str(whole)) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))


def _requests(spec: FeatureSpec, examples: tf.Tensor) -> dict[str, Mapping[str, tf.Tensor]]:
    raw = parse(examples, spec)
    if spec.kind != "image":
        return {"serving_default": {"examples": examples}, "embed": raw, "outlying": raw}
    pixels: Any = tf.reshape(tf.io.decode_raw(raw[IMAGE], spec.dtype), [-1, *spec.shape])
    # A file has one channel or three, whatever the pixels have: it is fitted to the spec when it is read.
    shown = tf.cast(pixels[..., : 3 if spec.shape[-1] >= 3 else 1], tf.uint8)
    files = {"image_bytes": tf.stack([tf.io.encode_png(image) for image in shown])}
    return {
        "serving_default": {"examples": examples},
        "embed": {IMAGE: pixels},
        "outlying": {IMAGE: pixels},
        "embed_bytes": files,
        "outlying_bytes": files,
    }


def _log(signature: str, inputs: Mapping[str, tf.Tensor]) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    # A name is required by the message, and not looked at: the requests go to the version they came with.
    request.model_spec.name, request.model_spec.signature_name = "encoder", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
    return log
