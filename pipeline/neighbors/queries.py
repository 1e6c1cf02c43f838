"""What is searched for: embeddings of a file, or what a server or the encoder itself makes of inputs."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.embedder.files import EMBEDDING, ID, matrix, read
from components.pusher.versions import versions
from models.artifact import METADATA, read_metadata
from models.errors import InputError
from pipeline import query
from pipeline.neighbors.record import Record
from serving.client import Client

ALIGNED = "embed_aligned"
"""The signature by which an encoder answers in the last blessed space before its own."""


@dataclass(frozen=True)
class Queries:
    """Codes to search with.

    Args:
        space: id of their space.
        origin: where they are from, for messages.
        batches: names and codes, [n, latent].
        signature: by which an encoder makes them; None where it is the usual one, or there is no encoder.
    """

    space: str
    origin: str
    batches: Iterator[tuple[list[str], np.ndarray]]
    signature: str | None = None

    def require(self, record: Record, index: Path) -> None:
        """Refuses to search an index of another space.

        Raises:
            InputError: with both spaces and what to do.
        """
        if self.space != record.space:
            raise InputError(
                f"{index}: is an index of {record.space}, and {self.origin} is of {self.space}; distances between two "
                "spaces mean nothing. Embed what was indexed with this encoder (`metaprior backfill`) and index it "
                f"again, or search with the encoder of {record.space} (--run, --serving)."
            )


def of_file(path: Path) -> Queries:
    """Returns the embeddings of a Parquet file.

    Raises:
        InputError: if it holds none.
    """
    embeddings = read(path)
    batches = (
        (batch.column(ID).to_pylist(), matrix(batch, embeddings.latent, file))
        for file, batch in embeddings.stream([ID, EMBEDDING])
    )
    return Queries(embeddings.space, str(path), batches)


def of_server(
    client: Client,
    given: tuple[str, ...],
    *,
    wanted: str,
    folder: Path | None,
    version: int | None,
    signature: str | None = None,
    where: str,
) -> Queries:
    """Returns what a server makes of inputs.

    An encoder that is of another space than the index, and was aligned to that of the index, is asked by
    `embed_aligned`. A server that does not say which space it answers in, as the stock TF Serving, is believed to
    serve a folder.

    Args:
        client: the connection.
        given: inputs as `query.ask` takes them.
        wanted: space of the index.
        folder: a folder of versions; None where there is none to believe in.
        version: a version to ask, the newest that is served by default.
        signature: a signature to ask by; None for `embed` or, where only that one is of the wanted space,
            `embed_aligned`.
        where: what messages call the server.

    Raises:
        InputError: if an input cannot be used, or nobody tells the space.
        ServingError: the server's refusal.
    """
    with query.hint_where_no_server_is():
        known = client.metadata(version=version)
    place = None if folder is None else folder / str(known.version)
    record = read_metadata(place) if place and (place / METADATA).is_file() else {}
    own, aligned = known.space or record.get("space"), (record.get("aligned_to") or {}).get("space")
    origin = f"version {known.version} of {where}"
    first: str | None = None  # the space that a refusal names
    for name in [signature] if signature else [None, *({ALIGNED} & known.signatures.keys())]:
        parts = query.ask(
            client, given, signature=name, version=known.version
        )  # one version, although a newer may come
        space = aligned if _leads_across(name) else own
        if space is None and _leads_across(name):
            with contextlib.nullcontext() if signature else contextlib.suppress(InputError):  # such as of pictures
                space, parts = _told(parts)
        if space == wanted:
            return Queries(wanted, origin, _codes(parts, where), name)
        first = first or space
    if first is None:
        raise InputError(
            f"{where}: does not say which space version {known.version} is of. Name the folder that is served there: "
            "--serving FOLDER."
        )
    return Queries(first, origin, iter(()), signature)


def _leads_across(signature: str | None) -> bool:
    return signature is not None and signature.removesuffix(query.BYTES) == ALIGNED


def _told(parts: Iterator[query.Part]) -> tuple[str | None, Iterator[query.Part]]:
    """Returns the space that the first of some answers names, and all of them."""
    with query.hint_where_no_server_is():
        first = next(parts, None)
    return (None, parts) if first is None else (first[1].space, itertools.chain([first], parts))


def _codes(parts: Iterable[query.Part], where: str) -> Iterator[tuple[list[str], np.ndarray]]:
    with query.hint_where_no_server_is():
        for names, answer in parts:
            if EMBEDDING not in answer:
                raise InputError(f"{where}: answers without an embedding. Name an encoder with --model.")
            yield names, answer[EMBEDDING]


@contextlib.contextmanager
def local_client(folder: Path, version: int | None = None) -> Iterator[Client]:
    """Gives a client of one version in a folder, served inside this process for as long as the block runs.

    Args:
        folder: the folder of versions.
        version: the version, the newest by default.

    Raises:
        InputError: if there is none.
    """
    from serving.server import Options, Server

    options = {
        "model_name": "encoder",
        "model_base_path": folder,
        "only_version": version,
        "port": 0,
        "rest_api_port": "any",
        "file_system_poll_wait_seconds": 0,  # one look, one attempt, no warm-up: it is for a few requests
        "max_num_load_retries": 0,
        "enable_model_warmup": False,
    }
    there = versions(folder)
    if not there:
        raise InputError(f"{folder}: no encoder was pushed there yet. Run `metaprior run` first.")
    if version is not None and version not in there:
        raise InputError(f"{folder}: has no version {version}. There are: {', '.join(map(str, there))}.")
    with Server(Options.model_validate(options)) as server, Client(rest_port=server.rest_port) as client:
        yield client
