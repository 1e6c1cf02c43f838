"""What is searched for: embeddings of a file, or what a server or the encoder itself makes of inputs."""

import contextlib
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


@dataclass(frozen=True)
class Queries:
    """Codes to search with.

    Args:
        space: id of their space.
        origin: where they are from, for messages.
        batches: names and codes, [n, latent].
    """

    space: str
    origin: str
    batches: Iterator[tuple[list[str], np.ndarray]]

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
    client: Client, given: tuple[str, ...], *, folder: Path | None, version: int | None, where: str
) -> Queries:
    """Returns what a server makes of inputs.

    A server that does not say which space it answers in, as the stock TF Serving, is believed to serve a folder.

    Args:
        client: the connection.
        given: inputs as `query.ask` takes them.
        folder: a folder of versions; None where there is none to believe in.
        version: a version to ask, the newest that is served by default.
        where: what messages call the server.

    Raises:
        InputError: if an input cannot be used, or nobody tells the space.
        ServingError: the server's refusal.
    """
    with query.hint_where_no_server_is():
        known = client.metadata(version=version)
    record = None if folder is None else folder / str(known.version)
    space = known.space or (read_metadata(record)["space"] if record and (record / METADATA).is_file() else None)
    if not space:
        raise InputError(
            f"{where}: does not say which space version {known.version} is of. Name the folder that is served there: "
            "--serving FOLDER."
        )
    parts = query.ask(client, given, version=known.version)  # one version for all, although a newer may come
    return Queries(space, f"version {known.version} of {where}", _codes(parts, where))


def _codes(parts: Iterable[query.Part], where: str) -> Iterator[tuple[list[str], np.ndarray]]:
    with query.hint_where_no_server_is():
        for names, answer in parts:
            if EMBEDDING not in answer:
                raise InputError(f"{where}: answers without an embedding. Name an encoder with --model.")
            yield names, answer[EMBEDDING]


@contextlib.contextmanager
def local_client(folder: Path) -> Iterator[Client]:
    """Gives a client of the newest version in a folder, served inside this process for as long as the block runs.

    Raises:
        InputError: if there is none that can be loaded.
    """
    from serving.server import Options, Server

    options = {
        "model_name": "encoder",
        "model_base_path": folder,
        "port": 0,
        "rest_api_port": "any",
        "file_system_poll_wait_seconds": 0,  # one look, one attempt, no warm-up: it is for a few requests
        "max_num_load_retries": 0,
        "enable_model_warmup": False,
    }
    if not versions(folder):
        raise InputError(f"{folder}: no encoder was pushed there yet. Run `metaprior run` first.")
    with Server(Options.model_validate(options)) as server, Client(rest_port=server.rest_port) as client:
        yield client
