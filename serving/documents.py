"""JSON text to plain values and back, as TF Serving reads and writes it: NaN and the infinities are bare tokens."""

import codecs
import json
import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson

from serving import cutting
from serving.aside import Pause, no_pause
from serving.status import invalid

# Tokens that json has not; strings are there to be passed over. Possessive: linear whatever the text.
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"?|Inf(?!inity)|-NaN', re.DOTALL)
SPELLED = {"Inf": "Infinity", "-NaN": "NaN"}
LONG = 1 << 18  # bytes parsed at once
DIGITS = 20  # most of an integer's


def loads(body: bytes | bytearray, pause: Pause = no_pause) -> Any:
    """Returns the first JSON value of a body; NaN and the infinities are accepted, trailing text ignored.

    Args:
        body: the text.
        pause: called between the pieces of a long body.

    Raises:
        ServingError: INVALID_ARGUMENT "JSON Parse error: ...".
    """
    if len(body) > LONG and (value := cutting.parse(_unmarked(body), _piece, pause)) is not None:
        return value
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        body = _unmarked(body)
        if not body.strip():
            raise invalid("JSON Parse error: The document is empty") from None
        return _lenient(body)


def _unmarked(body: bytes | bytearray) -> bytes | bytearray:
    return body[len(codecs.BOM_UTF8) :] if body.startswith(codecs.BOM_UTF8) else body


def _piece(text: bytes, begin: int) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _lenient(text, begin, whole=True)


def _lenient(body: bytes | bytearray, begin: int = 0, *, whole: bool = False) -> Any:
    """Returns the value of a text, from a position in the document on, that orjson refuses."""
    text = body.decode("utf-8", "surrogateescape")
    if text.count("Inf") != text.count("Infinity") or "-NaN" in text:
        text = TOKENS.sub(lambda found: SPELLED.get(found[0], found[0]), text)
    blank = len(text) - len(text.lstrip())
    try:
        value, end = DECODER.raw_decode(text, blank)
    except json.JSONDecodeError as error:
        raise invalid(f"JSON Parse error: {error.msg} at offset: {begin + error.pos}") from None
    except RecursionError:
        raise invalid("JSON Parse error: The document is nested too deeply") from None
    if whole and text[end:].strip():
        raise invalid(f"JSON Parse error: Extra data at offset: {begin + end}")
    return value


def _double(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise invalid("JSON Parse error: Number too big to be stored in double.")
    return value


def _integer(text: str) -> float:
    """Returns what no integer type holds as a double, as RapidJSON and orjson do."""
    number = int(text) if len(text) <= DIGITS else None
    return number if number is not None and -(2**63) <= number < 2**64 else _double(text)


DECODER = json.JSONDecoder(parse_float=_double, parse_int=_integer)


def dumps(document: Any) -> bytes:
    """Returns a document of plain values and arrays as JSON; NaN and the infinities as bare tokens."""
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # orjson writes null for what is not finite.
    if b"null" in text and not _finite(document):
        text = orjson.dumps(_spelled(document), option=orjson.OPT_SERIALIZE_NUMPY)
    return text


def together(parts: Iterable[bytes], pause: Pause) -> bytearray:
    """Returns a long text of its parts; to join them all at once would hold the interpreter.

    Args:
        parts: of the text.
        pause: called after each.
    """
    text = bytearray()
    for part in parts:
        text += part
        pause()
    return text


def _finite(document: Any) -> bool:
    if isinstance(document, dict):
        return all(map(_finite, document.values()))
    if isinstance(document, list | tuple):
        return all(map(_finite, document))
    if isinstance(document, np.ndarray | np.generic):
        return document.dtype.kind != "f" or bool(np.isfinite(document).all())
    return not isinstance(document, float) or math.isfinite(document)


def _spelled(document: Any) -> Any:
    """Returns a document in which what orjson cannot write is written."""
    if isinstance(document, dict):
        return {key: _spelled(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [_spelled(value) for value in document]
    if _finite(document):
        return document
    array = np.asarray(document)
    parts = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY).split(b"null")
    tokens = json.dumps(array[~np.isfinite(array)].tolist())[1:-1].encode().split(b", ")
    # An array of numbers: each null is one of these.
    return orjson.Fragment(b"".join(b"".join(pair) for pair in zip(parts, [*tokens, b""], strict=True)))
