"""Bodies of Classify and Regress over REST: JSON objects to serialized `tf.train.Example`s, with TF Serving's typing.

A feature's type is that of its first value: integers and booleans make an int64 list, numbers with a point a float
list, strings and `{"b64": "..."}` a bytes list.
"""

import json
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from serving.aside import Pause, no_pause
from serving.codec import malformed
from serving.documents import dumps, together
from serving.inference import Arrays, Method
from serving.nests import check_lossless, is_base64, to_bytes, type_name
from serving.status import invalid
from serving.tensors import BY_NAME

TOGETHER = 256  # examples or results converted between pauses
LARGEST = 2**63 - 1
LARGEST_UNSIGNED = 2**64 - 1
FLOAT = BY_NAME["float"]


def read(document: Mapping[str, Any], pause: Pause = no_pause) -> np.ndarray:
    """Returns the serialized Examples of a body, its context first in the bytes of each [batch].

    Args:
        document: the parsed body, with `examples` and perhaps `context`.
        pause: called between some examples and others.

    Raises:
        ServingError: INVALID_ARGUMENT with TF Serving's text.
    """
    context = _example(document["context"]) if "context" in document else b""
    if "examples" not in document:
        # The same words for either method, as TF Serving has them.
        raise malformed(document, "When method is classify, key 'examples' is expected and was not found")
    listed = document["examples"]
    if not isinstance(listed, list):
        raise malformed(document, "Expecting 'examples' value to be an list/array")
    if not listed:
        raise malformed(document, "'examples' value is an empty array")
    examples = np.empty(len(listed), np.object_)
    for low in range(0, len(listed), TOGETHER):
        values = listed[low : low + TOGETHER]
        examples[low : low + TOGETHER] = [context + _example(value) for value in values]
        pause()
    return examples


def write(method: Method, outputs: Arrays, examples: int, pause: Pause = no_pause) -> bytes | bytearray:
    """Returns the body of an answer.

    Args:
        method: Classify or Regress.
        outputs: of its signature.
        examples: how many there were.
        pause: called between some results and others.

    Raises:
        ServingError: INVALID_ARGUMENT, the outputs are not what the method promises.
    """
    results = method.read(outputs, examples)
    texts = (dumps(results[low : low + TOGETHER])[1:-1] for low in range(0, examples, TOGETHER))
    separated = ((b"," if number else b'{"results":[') + text for number, text in enumerate(texts))
    return together(chain(separated, [b"]}"]), pause)


def _example(value: Any) -> bytes:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {type_name(value)}")
    example = tf.train.Example()
    for name, content in value.items():
        try:
            feature = example.features.feature[name]
        except UnicodeEncodeError:
            raise invalid(f"Feature name {json.dumps(name)} is not valid Unicode") from None
        _fill(feature, name, content if isinstance(content, list) else [content])
    return example.SerializeToString()


def _fill(feature: tf.train.Feature, name: str, values: list[Any]) -> None:
    first = ""
    for value in values:
        kind = _kind(name, value)
        if first not in ("", kind):
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {first}")
        first = kind
        getattr(feature, f"{kind}_list").value.append(_converted(name, kind, value))


def _kind(name: str, value: Any) -> str:
    if isinstance(value, str) or is_base64(value):
        return "bytes"
    if isinstance(value, int) and -LARGEST - 1 <= value <= LARGEST_UNSIGNED:
        return "int64"
    # What no integer type holds is a double to RapidJSON.
    if isinstance(value, int | float):
        return "float"
    raise invalid(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _converted(name: str, kind: str, value: Any) -> Any:
    if kind == "bytes":
        return to_bytes(value)
    if kind == "float":
        check_lossless(float(value), FLOAT)
        return float(value)
    if value > LARGEST:
        raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
    return int(value)  # a boolean, too
