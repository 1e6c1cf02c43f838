"""Bodies of Classify and Regress over REST: JSON objects to serialized `tf.train.Example`s, with TF Serving's typing.

A feature's type is that of its first value: integers and booleans make an int64 list, numbers with a point a float
list, strings and `{"b64": "..."}` a bytes list.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from serving.codec import dumps, malformed
from serving.inference import Arrays, Method
from serving.nests import check_lossless, is_base64, to_bytes, type_name
from serving.status import invalid
from serving.tensors import BY_NAME

LARGEST = 2**63 - 1
LARGEST_UNSIGNED = 2**64 - 1
FLOAT = BY_NAME["float"]


def read(document: Mapping[str, Any]) -> np.ndarray:
    """Returns the serialized Examples of a body, its context first in the bytes of each [batch].

    Args:
        document: the parsed body, with `examples` and perhaps `context`.

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
    return np.array([context + _example(value) for value in listed], np.object_)


def write(method: Method, outputs: Arrays, examples: int) -> bytes:
    """Returns the body of an answer.

    Args:
        method: Classify or Regress.
        outputs: of its signature.
        examples: how many there were.

    Raises:
        ServingError: INVALID_ARGUMENT, the outputs are not what the method promises.
    """
    return dumps({"results": method.read(outputs, examples)})


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
        number = _double(value)
        check_lossless(number, FLOAT)
        return number
    if value > LARGEST:
        raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
    return int(value)  # a boolean, too


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from None
