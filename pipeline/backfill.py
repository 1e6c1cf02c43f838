"""Embeds again what a file of an older embedding space holds."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.embedder import files
from models.artifact import read_metadata
from models.errors import InputError
from pipeline.config import Config
from pipeline.embed import SETTABLE, chosen, embed_file, log


@dataclass(frozen=True)
class Backfilled:
    """What was embedded again.

    Args:
        rows: number of embeddings written.
        before: id of the space that they were of.
        after: id of the space that they are of now.
        aligned: whether the encoder also answers in the space they were of, by `embed_aligned`.
    """

    rows: int
    before: str
    after: str
    aligned: bool


def backfill(
    old: Path,
    output: Path,
    *,
    source: str,
    serving: Path,
    version: int | None = None,
    beam_args: tuple[str, ...],
    seed: int = 0,
    sets: Iterable[tuple[str, str]] = (),
    say: Callable[[str], None] = log.info,
) -> Backfilled:
    """Writes the codes of the examples that a file or folder of embeddings holds, by another encoder.

    Args:
        old: embeddings, as `metaprior embed` or the Embedder writes them.
        output: the Parquet file to write; it appears whole or not at all.
        source: the data that they were made of, a path or a built-in name.
        serving: a serving folder.
        version: the version of it to use; the newest by default.
        beam_args: options of the Beam runner.
        seed: seed of sources that draw (sprites).
        sets: what else to know of the source, as `matching_data` takes it.
        say: takes the line that says where the work goes on, or why it does not.

    Raises:
        InputError: if the embeddings are of the encoder's space already, name an example twice or one that
            the data does not have, or the output is among them; and as `embed_file` does.
    """
    held = files.read(old)
    record = read_metadata(chosen(serving, version))
    if record["space"] == held.space:
        whose = "the newest encoder" if version is None else f"version {version}"
        raise InputError(f"{old}: is of {whose}'s space already, {held.space}. Nothing is left to embed.")
    if output.resolve() in [path.resolve() for path in held.files]:
        raise InputError(f"{output}: holds the embeddings that are to be replaced. Name another file.")
    only = _ids(old, held)
    rows = embed_file(
        source,
        output,
        serving=serving,
        version=version,
        beam_args=beam_args,
        seed=seed,
        sets=sets,
        only=only,
        say=say,
    )
    to = record.get("aligned_to") or {}
    return Backfilled(rows, held.space, record["space"], to.get("space") == held.space)


def said_of_data(config: Config) -> Iterator[tuple[str, str]]:
    """Yields what a configuration says of how to read its data, as `matching_data` takes it; defaults are left out."""
    given: dict[str, Any] = config.model_dump(mode="json", exclude_unset=True)
    for key in SETTABLE:
        value: Any = given
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            yield key, json.dumps(value)


def _ids(old: Path, held: files.Embeddings) -> set[str]:
    ids: set[str] = set()
    for path, batch in held.stream((files.ID,)):
        for id in batch.column(files.ID).to_pylist():
            if id is None or id in ids:
                named = "an example without an id" if id is None else f"the example {id!r} twice"
                raise InputError(f"{path}: holds {named}. Embed the data with an id (data.id) that names each once.")
            ids.add(id)
    if not ids:
        raise InputError(f"{old}: holds no embeddings. There is nothing to embed.")
    return ids
