"""What a person types after `metaprior query`, as the inputs of a served signature."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from models.errors import InputError
from pipeline.config import Data
from serving.client import Client
from serving.status import Code, ServingError
from serving.wire import SignatureInfo

PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
MISSING = frozenset(Data.model_fields["missing"].default)
EMBED, EMBED_BYTES = "embed", "embed_bytes"


def ask(
    client: Client, given: tuple[str, ...], *, signature: str | None = None, version: int | None = None
) -> list[dict[str, Any]]:
    """Sends inputs to a server and returns its answer, one plain record for each input row.

    Args:
        client: the connection.
        given: picture files; or one CSV file, JSON file or JSON text.
        signature: the signature; by default `embed_bytes` for pictures and `embed` for all else.
        version: version of the model, the newest by default.

    Raises:
        InputError: if an input cannot be read, or lacks what the signature takes.
        ServingError: the server's refusal.
    """
    if all(Path(name).suffix.lower() in PICTURES for name in given):
        inputs: Any = [_read(name) for name in given]
        names = list(given)
        signature = signature or EMBED_BYTES
    else:
        signature = signature or EMBED
        inputs = _rows(client, given, signature=signature, version=version)
        names = []
    answer = client.predict(inputs, signature=signature, version=version)
    return _records(answer, names)


def facts(client: Client, *, version: int | None = None) -> dict[str, Any]:
    """Returns the state of a model's versions and what its signatures take and give, in plain values.

    Raises:
        ServingError: the server's refusal, or no server.
    """
    metadata = client.metadata(version=version)
    return {
        "versions": [vars(status) for status in client.status()],
        "version": metadata.version,
        "signatures": {name: _signature(info) for name, info in metadata.signatures.items()},
    }


@contextmanager
def hint_where_no_server_is() -> Iterator[None]:
    """Says how to start a server, or name another, where none answers.

    Raises:
        InputError: in place of the client's own error.
    """
    try:
        yield
    except ServingError as error:
        if error.code is not Code.UNAVAILABLE:
            raise
        raise InputError(
            f"{error.message} `metaprior serve` starts a server; --host, --rest-port and --port name another."
        ) from error


def columns(path: str, text: str, info: SignatureInfo) -> dict[str, list[Any]]:
    """Returns the columns of a CSV text that a signature takes; the others are left out.

    A cell without a value becomes NaN in a number column and "" in a text column, as the signature `embed`
    of a table expects.

    Args:
        path: what messages call the text.
        text: CSV with a header line.
        info: the signature.

    Raises:
        InputError: if a column is not there, a row is too short, or a cell is not a number.
    """
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if len(rows) < 2:
        what = "has no rows" if rows else "is empty"
        raise InputError(f"{path}: {what}. It must have a header line and at least one row.")
    header = [name.strip() for name in rows[0]]
    absent = [name for name in info.inputs if name not in header]
    if absent:
        raise InputError(f"{path}: has no column {absent[0]}, which the model takes. Its columns: {', '.join(header)}.")
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise InputError(f"{path}: line {line} has {len(row)} cells instead of {len(header)}.")
    return {
        name: [
            _cell(row[header.index(name)].strip(), text=tensor.kind.name == "string", where=f"{path}: line {line}")
            for line, row in enumerate(rows[1:], start=2)
        ]
        for name, tensor in info.inputs.items()
    }


def _rows(client: Client, given: tuple[str, ...], *, signature: str, version: int | None) -> Any:
    if len(given) > 1:
        raise InputError(f"{given[1]}: one CSV or JSON input at a time; only pictures can be several.")
    name = next(iter(given))
    if name.lstrip().startswith(("[", "{")):
        return _instances(name, origin="the JSON given")
    suffix = Path(name).suffix.lower()
    if suffix == ".json":
        return _instances(_text(name), origin=name)
    if suffix != ".csv":
        raise InputError(
            f"{name}: cannot be queried. Give pictures ({', '.join(PICTURES)}), a .csv file with a header, a .json "
            "file, or JSON text such as '[[0.1, 0.2]]'."
        )
    known = client.metadata(version=version).signatures
    if signature not in known:
        raise InputError(f"--signature {signature}: the model has {', '.join(sorted(known))}.")
    return columns(name, _text(name), known[signature])


def _instances(text: str, *, origin: str) -> Any:
    """Returns the inputs in TF Serving's row form (a list) or column form (a value by name)."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{origin}: not JSON: {error.msg}, line {error.lineno}, column {error.colno}.") from error
    if isinstance(given, dict):
        given = given.get("instances", given.get("inputs", given))
    if isinstance(given, list) and given and all(isinstance(row, dict) for row in given):
        names = list(given[0])
        if any(list(row) != names for row in given):
            raise InputError(f"{origin}: every row must have the same keys: {', '.join(names)}.")
        return {name: [row[name] for row in given] for name in names}
    return given


def _cell(cell: str, *, text: bool, where: str) -> Any:
    if text:
        return "" if cell in MISSING else cell
    if cell in MISSING:
        return math.nan
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"{where}: {cell!r} is not a number. Leave the cell empty if it is missing.") from error


def _records(answer: Mapping[str, np.ndarray], names: list[str]) -> list[dict[str, Any]]:
    count = min(len(values) for values in answer.values())
    plain = {name: [_plain(value) for value in values] for name, values in answer.items()}
    labels = names or [str(row) for row in range(count)]
    return [{"input": labels[row]} | {name: plain[name][row] for name in plain} for row in range(count)]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _signature(info: SignatureInfo) -> dict[str, Any]:
    sides = {"inputs": info.inputs, "outputs": info.outputs}
    return {
        side: {name: {"type": t.kind.name, "shape": t.shape and list(t.shape)} for name, t in tensors.items()}
        for side, tensors in sides.items()
    }


def _text(name: str) -> str:
    try:
        return _read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not a text file in UTF-8.") from error


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}. Check the path.") from error
