"""Requests that a new server answers before it takes others: TF Serving's warm-up file."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models.features.encoding import parse
from models.features.spec import IMAGE, FeatureSpec

FILE = Path("assets.extra", "tf_serving_warmup_requests")
"""Where TF Serving looks for it, below a version's folder."""


def write(spec: FeatureSpec, examples: Sequence[bytes], folder: Path) -> None:
    """Writes a warm-up file: one example and all of them, for each signature that embeds.

    A server then has built and tuned for both a lone request and a batch when the version becomes available.

    Args:
        spec: description of the data, resolved.
        examples: serialized examples of it.
        folder: of the SavedModel.
    """
    path = folder / FILE
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch in (examples[:1], examples):
            for signature, inputs in _requests(spec, tf.constant(batch)):
                writer.write(_log(signature, inputs).SerializeToString(deterministic=True))


def _requests(spec: FeatureSpec, examples: tf.Tensor) -> Iterator[tuple[str, Mapping[str, tf.Tensor]]]:
    yield "serving_default", {"examples": examples}
    raw = parse(examples, spec)
    if spec.kind != "image":
        yield "embed", raw
        return
    pixels: Any = tf.reshape(tf.io.decode_raw(raw[IMAGE], spec.dtype), [-1, *spec.shape])
    yield "embed", {IMAGE: pixels}
    # A file has one channel or three, whatever the pixels have: it is fitted to the spec when it is read.
    shown = tf.cast(pixels[..., : 3 if spec.shape[-1] >= 3 else 1], tf.uint8)
    yield "embed_bytes", {"image_bytes": tf.stack([tf.io.encode_png(image) for image in shown])}


def _log(signature: str, inputs: Mapping[str, tf.Tensor]) -> prediction_log_pb2.PredictionLog:
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    # A name is required by the message, and not looked at: the requests go to the version they came with.
    request.model_spec.name, request.model_spec.signature_name = "encoder", signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
    return log
