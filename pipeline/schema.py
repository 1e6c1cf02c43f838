"""A schema of the user's own: read before the run, completed with what ingestion adds, kept by its content."""

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from models.atomic import write_whole
from models.errors import InputError


def read(path: Path) -> schema_pb2.Schema:
    """Returns the schema in a file.

    Args:
        path: a `Schema` of TensorFlow Metadata in protobuf's text format.

    Raises:
        InputError: if the file cannot be read, or is no such schema.
    """
    try:
        return text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    except OSError as error:
        raise InputError(f"data.schema: cannot read {path}: {error.strerror}. Check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"data.schema: {path} is not a text file in UTF-8. {_EXAMPLE}") from error
    except text_format.ParseError as error:
        fault = str(error).partition(" : ")[2].rstrip(".")
        raise InputError(f"data.schema: {path}, line {error.GetLine()}: {fault}. {_EXAMPLE}") from error


_EXAMPLE = "A run without data.schema writes such a file: SchemaGen/schema/*/schema.pbtxt in its folder."


def completed(schema: schema_pb2.Schema, *, numbered: str | None) -> schema_pb2.Schema:
    """Returns a schema with the ids that ingestion gives to data without any.

    Args:
        schema: the user's own.
        numbered: the feature key of these ids; None where the data has ids.
    """
    whole = schema_pb2.Schema()
    whole.CopyFrom(schema)
    if numbered is not None and numbered not in {feature.name for feature in schema.feature}:
        feature = whole.feature.add(name=numbered, type=schema_pb2.BYTES)
        feature.presence.min_fraction = feature.presence.min_count = 1
        feature.shape.dim.add(size=1)
    return whole


def kept(schema: schema_pb2.Schema, folder: Path) -> Path:
    """Writes a schema under a name that says what it holds: the cache knows a file by its path alone.

    Args:
        schema: the schema.
        folder: where to.

    Returns:
        The path of the file.
    """
    content = text_format.MessageToString(schema).encode()
    return write_whole(folder / f"{hashlib.sha256(content).hexdigest()[:16]}.pbtxt", content)
