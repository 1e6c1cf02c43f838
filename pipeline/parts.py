"""A table that is written part by part into a hidden folder beside its file, so that a kill costs one part at most."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from models.atomic import write_whole
from models.errors import InputError
from pipeline import lock

FOLDER = ".{}.partial"
IDENTITY = "identity.json"
PART = "{:05d}-{}.part"
"""Name of a part by stream and number; it does not end in .parquet, so that whoever reads a folder passes it over."""
POSITION = b"metaprior.position"
GROUP = 32768
"""Rows in a row group of the whole file, however many its parts had."""


@dataclass(frozen=True)
class Position:
    """How far a stream of examples has come.

    Args:
        parts: number of its whole parts.
        rows: number of their rows.
        shard: index of the source's shard, within the stream, that the next example is of.
        row: index of the next example within that shard.
        end: whether there is no next example.
    """

    parts: int = 0
    rows: int = 0
    shard: int = 0
    row: int = 0
    end: bool = False

    def after(self, rows: int, following: tuple[int, int] | None) -> "Position":
        """Returns the position after one more part.

        Args:
            rows: number of its rows.
            following: shard and row of the example that follows; None at the end.
        """
        shard, row = following or (0, 0)
        return Position(self.parts + 1, self.rows + rows, shard, row, following is None)


class Parts:
    """The parts of one file, whole ones only: each is written under another name, then renamed.

    Args:
        folder: where they are; whoever writes holds its lock.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def begin(self, identity: Mapping[str, str]) -> list[str]:
        """Keeps parts that were written under the same identity, and removes all others.

        Args:
            identity: all that the file depends on, by what a person calls it.

        Returns:
            What of the identity is another than that of the parts that were removed; nothing if none was there.
        """
        path = self._folder / IDENTITY
        try:
            before = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):  # the process ended before it was there, or the machine did
            before = None
        if before == identity:
            for rest in self._folder.glob("*.tmp"):
                rest.unlink()
            return []
        changed = [name for name, value in identity.items() if before and before.get(name) != value and any(self)]
        self.clear()
        write_whole(path, json.dumps(dict(identity)).encode())
        return changed

    def write(self, stream: int, table: pa.Table, position: Position) -> None:
        """Writes the next part of a stream.

        Args:
            stream: index of the stream.
            table: its rows.
            position: how far the stream has come with them.
        """
        path = self._folder / PART.format(stream, f"{position.parts:07d}")
        hidden = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        facts = (table.schema.metadata or {}) | {POSITION: json.dumps(asdict(position)).encode()}
        try:
            pq.write_table(table.replace_schema_metadata(facts), hidden, compression="zstd")
            hidden.replace(path)
        finally:
            hidden.unlink(missing_ok=True)

    def position(self, stream: int) -> Position:
        """Returns how far a stream has come; a last part that cannot be read, as after a power cut, is removed."""
        for path in sorted(self._folder.glob(PART.format(stream, "*")), reverse=True):
            try:
                facts = pq.read_schema(path).metadata or {}
                return Position(**json.loads(facts[POSITION]))
            except (pa.ArrowInvalid, KeyError):
                path.unlink()
        return Position()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yields the rows of all parts in order, less their positions."""
        for path in self:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches()

    def join(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema, output: Path) -> int:
        """Streams rows into one file, renames it into place and removes the parts; returns the number of rows.

        The file does not tell how its rows were cut: row groups are of one size, each written as one piece.
        """
        whole, rows = self._folder / "whole.tmp", 0
        try:
            with pq.ParquetWriter(whole, schema, compression="zstd") as writer:
                for table in _groups(batches, schema):
                    writer.write_table(table, row_group_size=GROUP)
                    rows += table.num_rows
            whole.replace(output)
        finally:
            whole.unlink(missing_ok=True)
        self.clear()
        return rows

    def clear(self) -> None:
        """Removes everything but the lock; the identity first, because without it what is left counts for nothing."""
        (self._folder / IDENTITY).unlink(missing_ok=True)
        for path in self._folder.iterdir():
            if path.name != lock.FILE:
                path.unlink(missing_ok=True)  # a worker that outlives its pipeline may rename one meanwhile

    def __iter__(self) -> Iterator[Path]:
        return iter(sorted(self._folder.glob("*.part")))


@contextmanager
def beside(output: Path) -> Iterator[Parts]:
    """Gives the parts of a file, and removes their folder at the end unless there are parts to go on with.

    Args:
        output: the file that is to appear.

    Raises:
        InputError: if another process writes that file, or the folder cannot be written.
    """
    folder = output.with_name(FOLDER.format(output.name))
    try:
        held = lock.take(
            folder, lambda pid: f"{output}: process {pid} is writing it. Wait for it, or name another file."
        )
    except OSError as error:
        raise InputError(f"{output}: cannot write there: {error.strerror}. Choose another path.") from error
    parts = Parts(folder)
    try:
        yield parts
    finally:
        if not any(parts):
            parts.clear()
            (folder / lock.FILE).unlink()
            with suppress(OSError):  # another process makes it its own, now that the lock is gone
                folder.rmdir()
        os.close(held)


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yields tables of `GROUP` rows, the last one with what is left; a piece each, as pages end where pieces do."""
    held = schema.empty_table()
    for batch in batches:
        held = pa.concat_tables([held, pa.Table.from_batches([batch], schema)])
        while held.num_rows >= GROUP:
            yield held.slice(0, GROUP).combine_chunks()
            held = held.slice(GROUP)
    if held.num_rows:
        yield held.combine_chunks()
