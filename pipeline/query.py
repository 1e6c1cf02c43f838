"""`metaprior query` without its options: asks a server, shows the answer, or writes it to a file."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from pipeline.parts import beside
from serving.answer import Answer
from serving.client import Client, Disconnected, InvalidRequest, NotFound, Unreachable, Untrusted
from serving.inputs import EMBED
from serving.pieces import Batching
from serving.wire import SignatureInfo

ID = "id"
FIRST = ("embedding", "stddev", "rate")
"""The order of columns in the files of `metaprior embed`."""

BYTES = "_bytes"
"""What follows a signature's name in that of its twin, which takes image files."""
NODES = re.compile(r"\s*\[?\[\[?\{\{.*", re.DOTALL)
"""Where TensorFlow's own words end and the names of a graph's nodes begin."""

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
        signature: the signature, `embed` by default. Pictures go to its twin that takes image files, `embed_bytes`.
        version: version of the model, the newest by default.
        label: the version's label, instead.
        bar: whether to draw a progress bar where standard error is a terminal.

    Raises:
        InputError: if an input cannot be read, or lacks what the signature takes, or a picture is refused.
        ServingError: the server's refusal.
    """

    @functools.cache
    def known() -> Mapping[str, SignatureInfo]:
        return client.metadata(version=version, label=label).signatures

    read = query_inputs.read(given, lambda: known()[_named(signature or EMBED, known(), signature)])
    wanted = (_for_files if read.pictures else _named)(signature or EMBED, known(), signature)
    asked = {"signature": wanted, "version": version, "label": label}
    done = 0
    try:
        for answer in _drawn(client.embed_many(read.rows, **asked), read.count, bar=bar):
            done += answer.rows()
            yield list(islice(read.names, answer.rows())), answer
    except InvalidRequest as refusal:
        if read.pictures and isinstance(read.rows, Sequence):  # the first request that is not answered holds the fault
            _blame(client, read.rows[done : done + Batching().rows], asked)
        raise _plainly(refusal) from None


def _named(name: str, known: Mapping[str, SignatureInfo], given: str | None) -> str:
    if name in known:
        return name
    listed = ", ".join(sorted(known))
    if given:
        raise InputError(f"--signature {given}: the model has {listed}.")
    raise InputError(f"the model has no signature {name}; it has {listed}. Choose with --signature NAME.")


def _for_files(name: str, known: Mapping[str, SignatureInfo], given: str | None) -> str:
    """Returns the signature by which image files are answered as arrays are by another."""
    twin = name if name.endswith(BYTES) or (name in known and _takes_text(known[name])) else f"{name}{BYTES}"
    if twin in known or name not in known:
        return _named(twin, known, given)
    takes = ", ".join(_takes(alias, tensor) for alias, tensor in known[name].inputs.items())
    raise InputError(
        f"{f'--signature {given}' if given else name}: takes arrays ({takes}), and the model has no {twin} for image "
        "files. Give an array (.npy)."
    )


def _takes_text(info: SignatureInfo) -> bool:
    return all(tensor.kind.name == "string" for tensor in info.inputs.values())


def _takes(alias: str, tensor: Any) -> str:
    sizes = ", ".join("?" if size == -1 else str(size) for size in tensor.shape or ())
    return f"{alias} {tensor.kind.name}[{sizes}]"


def _blame(client: Client, paths: Sequence[Path], asked: Mapping[str, Any]) -> None:
    """Asks for pictures one by one, to name the first that is refused by itself.

    Raises:
        InputError: with its path.
    """
    for path in paths:
        try:
            client.predict([path], **asked)
        except InvalidRequest as refusal:
            if str(path) in refusal.message:
                raise _plainly(refusal) from None
            words = _plainly(refusal).message.rstrip(".")
            raise InputError(f"{path}: the server refuses it: {words}. Replace it or leave it out.") from None


def _plainly(refusal: InvalidRequest) -> InvalidRequest:
    """Returns a refusal without the names of a graph's nodes."""
    return InvalidRequest(refusal.code, NODES.sub("", refusal.message), refusal.retry_after)


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
        InputError: if the file cannot be written, or another process is writing it.
    """
    if output.is_dir():
        raise InputError(f"{output}: is a folder. Name a file that ends in .parquet.")
    try:
        with beside(output), placed(output) as path:
            return _stream(parts, path)
    except OSError as error:
        what, remedy = disk(error) or (error.strerror, "make the folder writable")
        raise InputError(f"{output}: cannot write there: {what}. Choose another path, or {remedy}.") from error


@contextmanager
def hint_where_no_server_is() -> Iterator[None]:
    """Says how to start a server, or name another, where none answers, and how to name the model where it is unknown.

    Raises:
        InputError: in place of the client's own error, where no server answers.
        NotFound: the client's own error with what names another model.
    """
    try:
        yield
    except (Disconnected, Untrusted):
        raise
    except NotFound as error:
        hint = "Is it served under another name, or in another version? --model and --version choose."
        raise NotFound(error.code, f"{error.message.rstrip('.')}. {hint}") from error
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
