"""Batch embedding: any supported input through a served encoder, streamed on Beam."""

import functools
import shutil
import uuid
from pathlib import Path

import apache_beam as beam
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import shared

from components.embedder.encoder import Encoder, read_metadata, read_spec
from components.embedder.transforms import WriteTable
from components.pusher.versions import versions
from models.errors import InputError
from pipeline.config import Data, Images
from pipeline.failures import reason
from pipeline.ingestion.read import ReadExamples


def latest(serving: Path) -> Path:
    """Returns the newest version below a serving folder.

    Raises:
        InputError: if there is none.
    """
    found = versions(serving)
    if not found:
        raise InputError(f"{serving}: no encoder was pushed there yet. Run `metaprior run` first.")
    return serving / str(found[-1])


def matching_data(source: str, record: dict) -> Data:
    """Returns the data section that reads `source` the way the encoder's training data was read.

    Args:
        source: a path or a built-in name.
        record: the encoder's `metaprior.json`.
    """
    images = Images(**record["images"]) if record["images"] else Images()
    return Data(source=source, images=images, missing=tuple(record["missing"]))


def embed_file(source: str, output: Path, *, serving: Path, beam_args: tuple[str, ...], seed: int = 0) -> int:
    """Writes the codes of every example of an input as one Parquet file.

    Args:
        source: a path or a built-in name, of the kind the encoder was trained on.
        output: the Parquet file to write; it appears whole or not at all.
        serving: a serving folder; its newest version is used.
        beam_args: options of the Beam runner.
        seed: seed of sources that draw (sprites).

    Returns:
        The number of rows written.

    Raises:
        InputError: if the input cannot be used, there is no encoder, or the output cannot be written.
    """
    version = latest(serving)
    data = matching_data(source, read_metadata(version))
    if output.is_dir():
        raise InputError(f"{output}: is a folder. Name a file that ends in .parquet.")
    partial = output.parent / f".{output.name}.{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{output}: cannot write there: {error.strerror}. Choose another path.") from error
    try:
        _run(data, partial, version=version, beam_args=beam_args, seed=seed)
        return _join(partial, output)
    except (RuntimeError, OSError) as error:  # as which Beam raises whatever a worker raised
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


def _join(folder: Path, output: Path) -> int:
    """Streams the shards into one file and renames it into place; returns the number of rows."""
    shards = sorted(folder.glob("part-*.parquet"))
    whole = folder / "whole.parquet"
    rows = 0
    with pq.ParquetWriter(whole, pq.read_schema(shards[0]), compression="zstd") as writer:
        for shard in shards:
            for batch in pq.ParquetFile(shard).iter_batches():
                writer.write_batch(batch)
                rows += batch.num_rows
    whole.replace(output)
    return rows
