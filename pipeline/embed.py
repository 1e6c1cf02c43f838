"""Batch embedding: any supported input through a served encoder, streamed on Beam."""

import functools
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import shared

from components.embedder.encoder import Encoder
from components.embedder.transforms import WriteTable
from components.pusher.versions import versions
from models.artifact import read_metadata, read_spec
from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline import loading, rules
from pipeline.config import Data, Images
from pipeline.failures import disk, reason
from pipeline.ingestion.kinds import open_source
from pipeline.ingestion.read import ReadExamples
from pipeline.problems import closest

SETTABLE = (
    "data.array",
    "data.kind",
    "data.id",
    "data.label",
    "data.sensitive",
    "data.factors",
    "data.sprites.count",
)
"""Keys of the configuration that say what to read; how it becomes examples is the encoder's to say."""


def latest(serving: Path) -> Path:
    """Returns the newest version below a serving folder.

    Raises:
        InputError: if there is none.
    """
    found = versions(serving)
    if not found:
        raise InputError(f"{serving}: no encoder was pushed there yet. Run `metaprior run` first.")
    return serving / str(found[-1])


def matching_data(source: str, record: dict, sets: Iterable[tuple[str, str]] = ()) -> Data:
    """Returns the data section that reads `source` the way the encoder's training data was read.

    Args:
        source: a path or a built-in name.
        record: the encoder's `metaprior.json`.
        sets: (key, value) pairs that say more about the source, as `loading.load` takes them; keys of `SETTABLE`.

    Raises:
        InputError: if a key means nothing here, or a value is wrong.
    """
    pairs = list(sets)
    for key, _ in pairs:
        if key not in SETTABLE:
            near = closest(key, list(SETTABLE))
            choice = f"Did you mean {near}?" if near else f"Set one of {', '.join(SETTABLE)}."
            raise InputError(f"{key}: is not for embedding, or comes with the encoder. {choice}")
    data = loading.load(data=source, sets=pairs).data
    broken = [*rules.unsuited(data, open_source(data).kind), *_unknown_roles(data, read_spec(record))]
    if broken:
        raise InputError("\n".join(broken))
    images = Images(**record["images"]) if record["images"] else Images()
    return data.model_copy(update={"images": images, "missing": tuple(record["missing"])})


def _unknown_roles(data: Data, spec: FeatureSpec) -> Iterator[str]:
    """Yields one line for each role that is named although the encoder's data has none."""
    for role in ("label", "sensitive", "factors"):
        if getattr(data, role) and not getattr(spec, role):
            yield f"data.{role}: the encoder was trained on data without. Leave it out."
    if data.factors and spec.factors and len(data.factors) != len(spec.factors):
        yield f"data.factors: name those that the encoder knows as {', '.join(spec.factors)}, in this order."


def embed_file(
    source: str,
    output: Path,
    *,
    serving: Path,
    beam_args: tuple[str, ...],
    seed: int = 0,
    sets: Iterable[tuple[str, str]] = (),
    only: Collection[str] | None = None,
) -> int:
    """Writes the codes of every example of an input, or of some, as one Parquet file.

    Args:
        source: a path or a built-in name, of the kind the encoder was trained on.
        output: the Parquet file to write; it appears whole or not at all.
        serving: a serving folder; its newest version is used.
        beam_args: options of the Beam runner.
        seed: seed of sources that draw (sprites).
        sets: what else to know of the source, as `matching_data` takes it.
        only: ids of the examples that are wanted, each of which must be there; None for all.

    Returns:
        The number of rows written.

    Raises:
        InputError: if the input cannot be used or lacks an example that is wanted, there is no encoder, or the output
            cannot be written.
    """
    version = latest(serving)
    data = matching_data(source, read_metadata(version), sets)
    if output.is_dir():
        raise InputError(f"{output}: is a folder. Name a file that ends in .parquet.")
    partial = output.parent / f".{output.name}.{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{output}: cannot write there: {error.strerror}. Choose another path.") from error
    try:
        _run(data, partial, version=version, beam_args=beam_args, seed=seed)
        return _join(partial, output, only=only, source=source)
    except (RuntimeError, OSError) as error:  # as which Beam raises whatever a worker raised
        fault = disk(error)
        if fault:
            raise InputError(
                f"{output}: cannot write there: {fault[0]}. Choose another path, or {fault[1]}."
            ) from error
        line, mendable = reason(error)
        if mendable:
            raise InputError(line) from error
        raise
    finally:
        shutil.rmtree(partial)


def _run(data: Data, folder: Path, *, version: Path, beam_args: tuple[str, ...], seed: int) -> None:
    record = read_metadata(version)
    load = functools.partial(Encoder, str(version), score=False)
    read = ReadExamples(data, seed=seed, expected=read_spec(record))
    schema = Encoder.schema_of(record, score=False)
    write = WriteTable(load, schema=schema, prefix=str(folder / "part"), handle=shared.Shared())
    with beam.Pipeline(options=PipelineOptions(list(beam_args))) as pipeline:
        _ = pipeline | "Read" >> read | "Encode" >> write


def _join(folder: Path, output: Path, *, only: Collection[str] | None, source: str) -> int:
    """Streams the shards into one file and renames it into place; returns the number of rows."""
    shards = sorted(folder.glob("part-*.parquet"))
    whole = folder / "whole.parquet"
    rows = 0
    missing = set(only or ())
    with pq.ParquetWriter(whole, pq.read_schema(shards[0]), compression="zstd") as writer:
        for shard in shards:
            for batch in pq.ParquetFile(shard).iter_batches():
                if only is not None:
                    ids = batch.column("id").to_pylist()
                    batch = batch.filter(pa.array([id in only for id in ids]))
                    missing.difference_update(ids)
                writer.write_batch(batch)
                rows += batch.num_rows
    if missing:
        raise InputError(
            f"{source}: has no example of {len(missing):,} of the {len(only or ()):,} ids that are wanted, such as "
            f"{min(missing)!r}. Name the data, and with data.id the ids, that they are of."
        )
    whole.replace(output)
    return rows
