"""Batch embedding: any supported input through a served encoder, streamed on Beam."""

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from components.embedder.encoder import Encoder
from components.pusher.versions import versions
from models.artifact import read_metadata, read_spec
from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline import code, loading, rules
from pipeline.config import Data, Images
from pipeline.failures import disk, reason
from pipeline.ingestion.kinds import open_source
from pipeline.ingestion.source import Source
from pipeline.parts import Parts, beside
from pipeline.problems import closest
from pipeline.streams import EmbedStream, streams

log = logging.getLogger("metaprior.embed")
BATCHES = 32
"""Batches in a part: 8,192 rows, what a kill costs at most."""

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


def chosen(serving: Path, version: int | None = None) -> Path:
    """Returns the folder of a version below a serving folder, of the newest by default.

    Raises:
        InputError: if there is none.
    """
    found = versions(serving)
    if not found:
        raise InputError(f"{serving}: no encoder was pushed there yet. Run `metaprior run` first.")
    if version is not None and version not in found:
        raise InputError(f"{serving}: has no version {version}. There are: {', '.join(map(str, found))}.")
    return serving / str(found[-1] if version is None else version)


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
    version: int | None = None,
    beam_args: tuple[str, ...],
    seed: int = 0,
    sets: Iterable[tuple[str, str]] = (),
    only: Collection[str] | None = None,
    say: Callable[[str], None] = log.info,
    batches: int = BATCHES,
) -> int:
    """Writes the codes of every example of an input, or of some, as one Parquet file, in the input's order.

    What a process wrote before it was killed is not lost: the same call goes on after its last whole part, and the
    file is the same to the byte.

    Args:
        source: a path or a built-in name, of the kind the encoder was trained on.
        output: the Parquet file to write; it appears whole or not at all.
        serving: a serving folder.
        version: the version of it to use; the newest by default.
        beam_args: options of the Beam runner.
        seed: seed of sources that draw (sprites).
        sets: what else to know of the source, as `matching_data` takes it.
        only: ids of the examples that are wanted, each of which must be there; None for all.
        say: takes the line that says where the work goes on, or why it does not.
        batches: number of batches of 256 examples in a part.

    Returns:
        The number of rows written.

    Raises:
        InputError: if the input cannot be used or lacks an example that is wanted, there is no encoder, or the output
            cannot be written or another process is writing it.
    """
    encoder = chosen(serving, version)
    record = read_metadata(encoder)
    data = matching_data(source, record, sets)
    if output.is_dir():
        raise InputError(f"{output}: is a folder. Name a file that ends in .parquet.")
    opened = open_source(data, seed=seed, expected=read_spec(record))
    found = streams(opened)
    schema = Encoder.schema_of(record, score=False)
    with beside(output) as parts, _told(output, parts):
        changed = parts.begin(_identity(opened, encoder, record, batches))
        done = sum(parts.position(stream.index).rows for stream in found)
        _say(say, output, changed=changed, done=done, count=opened.describe().count)
        load = functools.partial(Encoder, str(encoder), score=False)
        embed = EmbedStream(opened, parts, load=load, schema=schema, batches=batches)
        with beam.Pipeline(options=PipelineOptions(list(beam_args))) as pipeline:
            _ = pipeline | "Streams" >> beam.Create(found) | "Spread" >> beam.Reshuffle() | "Embed" >> beam.ParDo(embed)
        rows = parts.batches() if only is None else _some(parts.batches(), only, source)
        return parts.join(rows, schema, output)


def _identity(source: Source, version: Path, record: dict, batches: int) -> dict[str, str]:
    """Returns all that the codes of a source depend on, by what a person calls it."""
    found = source.describe()
    facts = json.dumps([found.kind, found.fingerprint, found.spec.to_json()])
    read = source.data.model_dump_json(exclude={"source", "schema_path", "splits"})
    encoder = json.dumps(record, sort_keys=True)
    ours = code.version(
        "pipeline.ingestion", "pipeline.streams", "components.embedder", "models.artifact", "models.features"
    )
    return {
        "input": hashlib.sha256(facts.encode()).hexdigest(),
        "options": json.dumps([json.loads(read), source.seed if source.seeded else 0, batches]),
        "encoder": f"{record['space']}, version {version.name}, {hashlib.sha256(encoder.encode()).hexdigest()}",
        "code": f"{ours}, TensorFlow {metadata.version('tensorflow')}",
    }


def _say(say: Callable[[str], None], output: Path, *, changed: list[str], done: int, count: int | None) -> None:
    if changed:
        say(f"{output}: starting anew, because the {' and the '.join(changed)} changed since it was begun.")
    elif done:
        of = f" of {count:,}" if count is not None else ""
        say(f"{output}: going on after {done:,}{of} rows.")


@contextmanager
def _told(output: Path, parts: Parts) -> Iterator[None]:
    """Says in one line what a person can mend. Parts that a full disk stopped are kept; those of bad data are not.

    Raises:
        InputError: in place of what Beam raises.
        KeyboardInterrupt: after Ctrl-C, which Beam raises as text, too.
    """
    try:
        yield
    except InputError as error:  # Beam names the step it was raised in at the end of its text
        parts.clear()
        raise InputError(reason(error)[0]) from error
    except (RuntimeError, OSError) as error:  # as which Beam raises whatever a worker raised
        if str(error).startswith(KeyboardInterrupt.__name__):
            raise KeyboardInterrupt from error
        fault = disk(error)
        if fault:
            raise InputError(
                f"{output}: cannot write there: {fault[0]}. Choose another path, or {fault[1]}."
            ) from error
        line, mendable = reason(error)
        if mendable:
            parts.clear()
            raise InputError(line) from error
        raise


def _some(batches: Iterable[pa.RecordBatch], only: Collection[str], source: str) -> Iterator[pa.RecordBatch]:
    """Yields the rows that are wanted, and refuses a source that lacks one of them."""
    missing = set(only)
    for batch in batches:
        ids = batch.column("id").to_pylist()
        missing.difference_update(ids)
        yield batch.filter(pa.array([id in only for id in ids]))
    if missing:
        raise InputError(
            f"{source}: has no example of {len(missing):,} of the {len(only):,} ids that are wanted, such as "
            f"{min(missing)!r}. Name the data, and with data.id the ids, that they are of."
        )
