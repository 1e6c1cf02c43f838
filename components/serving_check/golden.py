"""Golden requests: inputs for every signature, with the trainer's own answers."""

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from models.features.spec import IMAGE, VECTOR, FeatureSpec

ALIGNED, ALIGNED_BYTES = "embed_aligned", "embed_aligned_bytes"
OUTPUTS = ("embedding", "stddev", "rate")
ADDED = ("outlying", "outlying_bytes")
"""Signatures that an encoder of an earlier version may lack."""


@dataclass(frozen=True)
class Golden:
    """Examples and what the trainer's encoder makes of them.

    Args:
        examples: serialized `tf.train.Example`s.
        answers: `embedding` and `stddev` [batch, latent], `rate` [batch] in nats.
        aligned: what they are in the last blessed model's space, of its width; None for an encoder that does not
            answer in it.
    """

    examples: list[bytes]
    answers: dict[str, np.ndarray]
    aligned: dict[str, np.ndarray] | None = None

    def of(self, signature: str) -> dict[str, np.ndarray]:
        """Returns what a signature must answer."""
        return self.aligned if signature in (ALIGNED, ALIGNED_BYTES) and self.aligned else self.answers


def read(path: Path) -> Golden:
    """Returns what the trainer wrote down as `golden.json`."""
    record = json.loads(path.read_text(encoding="utf-8"))
    aligned = _answers(record["aligned"]) if "aligned" in record else None
    return Golden([base64.b64decode(text) for text in record["examples"]], _answers(record), aligned)


def requests(golden: Golden, spec: FeatureSpec) -> dict[str, dict[str, Any]]:
    """Returns the inputs of each signature that ask for the golden examples' codes.

    Args:
        golden: the examples.
        spec: description of the data.

    Returns:
        Signature name to inputs by name: serialized examples, raw tensors and, for images of bytes,
        encoded PNG files.
    """
    tensors = _tensors(golden.examples, spec)
    asked: dict[str, dict[str, Any]] = {
        "serving_default": {"examples": golden.examples},
        "score": {"examples": golden.examples},
        "embed": tensors,
        "outlying": tensors,
    }
    if golden.aligned:
        asked[ALIGNED] = tensors
    if spec.kind == "image" and spec.dtype == "uint8":
        files = {"image_bytes": [_png(image) for image in tensors[IMAGE]]}
        asked |= {"embed_bytes": files, "outlying_bytes": files}
        if golden.aligned:
            asked[ALIGNED_BYTES] = files
    return asked


def _answers(record: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(record[name], np.float64) for name in OUTPUTS}


def _tensors(examples: list[bytes], spec: FeatureSpec) -> dict[str, Any]:
    features = [tf.train.Example.FromString(example).features.feature for example in examples]
    if spec.kind == "image":
        flat = [np.frombuffer(f[IMAGE].bytes_list.value[0], spec.dtype) for f in features]
        return {IMAGE: np.stack(flat).reshape(-1, *spec.shape)}
    if spec.kind == "vector":
        return {VECTOR: np.asarray([f[VECTOR].float_list.value for f in features], np.float32)}
    numeric = {
        c.name: np.asarray([[*f[c.name].float_list.value, np.nan][0] for f in features], np.float32)
        for c in spec.numeric
    }
    categorical = {c.name: [[*f[c.name].bytes_list.value, b""][0] for f in features] for c in spec.categorical}
    return numeric | categorical


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()
