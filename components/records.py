"""Versioned JSON files that components leave for people and programs, read with errors for people."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from models.errors import InputError

Record = TypeVar("Record")


def read_record(adapter: TypeAdapter[Record], path: Path, *, missing: str, again: str) -> Record:
    """Reads and validates a JSON file.

    Args:
        adapter: what it must hold.
        path: the file.
        missing: what to do where it is not there.
        again: what to do where it is not valid.

    Raises:
        InputError: if there is no such file, or it is not valid.
    """
    try:
        return adapter.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. {missing}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}. {again}") from None
