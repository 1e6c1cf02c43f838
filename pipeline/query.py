"""`metaprior query` without its options: asks a server, shows the answer, or writes it to a file."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.atomic import placed
from models.errors import InputError
from pipeline import query_inputs
from pipeline.failures import disk
from serving.answer import Answer
from serving.client import Client, Unreachable, Untrusted
from serving.inputs import EMBED, EMBED_BYTES
from serving.wire import SignatureInfo

ID = "id"
FIRST = ("embedding", "stddev", "rate")
"""The order of columns in the files of `metaprior embed`."""

Part = tuple[list[str], Answer]


def ask(
    client: Client,
    given: tuple[str, ...],
    *,
    signature: str | None = None,
    version: int | None = None,
    label: str | None = None,
    bar: bool = False,
) -> Iterator[Part]:
    """Sends inputs to a server and yields its answers with the names of their rows, in order.

    Args:
        client: the connection.
        given: what was typed, as `query_inputs.read` takes it.
        signature: the signature; by default `embed_bytes` for pictures and `embed` for all else.
        version: version of the model, the newest by default.
        label: the version's label, instead.
        bar: whether to draw a progress bar where standard error is a terminal.

    Raises:
        InputError: if an input cannot be read, or lacks what the signature takes.
        ServingError: the server's refusal.
    """

    def info() -> SignatureInfo:
        known = client.metadata(version=version, label=label).signatures
        if (signature or EMBED) not in known:
            raise InputError(f"--signature {signature or EMBED}: the model has {', '.join(sorted(known))}.")
        return known[signature or EMBED]

    read = query_inputs.read(given, info)
    wanted = signature or (EMBED_BYTES if read.pictures else EMBED)
    answers = client.embed_many(read.rows, signature=wanted, version=version, label=label)
    for answer in _drawn(answers, read.count, bar=bar):
        yield list(islice(read.names, answer.rows())), answer


def facts(client: Client, *, version: int | None = None, label: str | None = None) -> dict[str, Any]:
    """Returns the state of a model's versions and what its signatures take and give, in plain values.

    Raises:
        ServingError: the server's refusal, or no server.
    """
    metadata = client.metadata(version=version, label=label)
    return {
        "versions": [vars(status) for status in client.status()],
        "version": metadata.version,
        "space": metadata.space,
        "signatures": {name: _signature(info) for name, info in metadata.signatures.items()},
    }


def records(parts: Iterable[Part]) -> Iterator[dict[str, Any]]:
    """Yields a plain record for each row."""
    for names, answer in parts:
        plain = {name: [_plain(value) for value in values] for name, values in answer.items()}
        for row, label in enumerate(names):
            yield {"input": label} | {name: plain[name][row] for name in plain}


def write(parts: Iterable[Part], output: Path) -> int:
    """Writes answers as one Parquet file, which appears whole or not at all.

    The columns are those of `metaprior embed`: id, embedding, stddev and rate for a signature that embeds. Where
    the server tells its embedding space, the file's metadata do, too.

    Args:
        parts: what `ask` yields.
        output: the file.

    Returns:
        The number of rows.

    Raises:
        InputError: if the file cannot be written.
    """
    if output.is_dir():
        raise InputError(f"{output}: is a folder. Name a file that ends in .parquet.")
    try:
        with placed(output) as path:
            return _stream(parts, path)
    except OSError as error:
        what, remedy = disk(error) or (error.strerror, "make the folder writable")
        raise InputError(f"{output}: cannot write there: {what}. Choose another path, or {remedy}.") from error


@contextmanager
def hint_where_no_server_is() -> Iterator[None]:
    """Says how to start a server, or name another, where none answers.

    Raises:
        InputError: in place of the client's own error.
    """
    try:
        yield
    except Untrusted:
        raise
    except Unreachable as error:
        raise InputError(
            f"{error.message} `metaprior serve` starts a server; --host, --rest-port and --port name another."
        ) from error


def _drawn(answers: Iterator[Answer], count: int | None, *, bar: bool) -> Iterator[Answer]:
    console = Console(stderr=True)
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (bar and console.is_terminal)) as progress:
        task = progress.add_task("", total=count)
        for answer in answers:
            yield answer
            progress.advance(task, answer.rows())


def _stream(parts: Iterable[Part], path: Path) -> int:
    rows, writer = 0, None
    try:
        for names, answer in parts:
            table = _table(names, answer)
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
            rows += table.num_rows
    finally:
        if writer:
            writer.close()
    return rows


def _table(names: list[str], answer: Answer) -> pa.Table:
    table = answer.to_arrow()
    order = sorted(table.column_names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))
    return table.select(order).add_column(0, pa.field(ID, pa.string()), pa.array(names, pa.string()))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _signature(info: SignatureInfo) -> dict[str, Any]:
    sides: dict[str, Mapping[str, Any]] = {"inputs": info.inputs, "outputs": info.outputs}
    return {
        side: {name: {"type": t.kind.name, "shape": t.shape and list(t.shape)} for name, t in tensors.items()}
        for side, tensors in sides.items()
    }
