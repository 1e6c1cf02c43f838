"""Work that is killed between any two steps goes on, and its file is the same to the byte."""

import fcntl
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from components.embedder.transforms import BATCH
from models.errors import InputError
from pipeline import lock, parts
from pipeline.config import Data
from pipeline.ingestion import Source, open_source
from pipeline.parts import Position, beside
from pipeline.streams import EmbedStream, streams

pytestmark = samples.STACK

SCHEMA = pa.schema([("size", pa.int32()), ("places", pa.list_(pa.int32()))], metadata={"metaprior": "{}"})
# Not copies of this process, in which another thread may hold a lock that nobody would give back.
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["test_parts"])
STEPS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}


class Digest:
    """What any encoder is: a table of a batch. The whole batch decides every row, so that other batches show."""

    def __init__(self):
        self.rows = 0

    def __call__(self, examples: Sequence[bytes]) -> pa.Table:
        self.rows += len(examples)
        total = sum(map(len, examples))
        rows = range(len(examples))
        return pa.table([[total] * len(rows), [[row, len(examples)] for row in rows]], schema=SCHEMA)


def table(folder: Path, rows: int, group: int) -> Source:
    """Returns a described table whose shards are row groups."""
    path = folder / "table.parquet"
    pq.write_table(pa.table({"x": np.arange(rows) ** 3 / 7, "y": np.arange(rows)}), path, row_group_size=group)
    source = open_source(Data(source=str(path)))
    source.describe()
    return source


def embed(source: Source, output: Path, *, batches: int, identity: str = "a") -> int:
    """Does what `embed_file` does, without Beam; returns the number of examples that were encoded."""
    digest = Digest()
    with beside(output) as found:
        found.begin({"input": identity})
        step = EmbedStream(source, found, load=lambda: digest, schema=SCHEMA, batches=batches)
        step.setup()
        for stream in streams(source):
            step.process(stream)
        found.join(found.batches(), SCHEMA, output)
    return digest.rows


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture(scope="module", autouse=True)
def importable():
    """Lets the server of the children find this module when it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        yield


def in_child(function: Callable[..., object], *arguments: object) -> int:
    """Runs a function in another process; returns how it ended: 0, 1 where it raised, or less for a signal."""
    child = CHILDREN.Process(target=function, args=arguments)
    child.start()
    child.join()
    assert child.exitcode is not None
    return child.exitcode


@dataclass
class Turn:
    """The step of this number, from 0."""

    number: int

    def __call__(self, _: str) -> bool:
        self.number -= 1
        return self.number < 0


@dataclass
class Naming:
    """The first step that has to do with a file of this name."""

    name: str

    def __call__(self, arguments: str) -> bool:
        return self.name in arguments


def embed_until(when: Callable[[str], bool], source: Source, output: Path) -> None:
    """Embeds, and kills this process before a step in the file system, told by what it is done with."""

    def audit(event: str, arguments: tuple) -> None:
        if event in STEPS and parts.FOLDER.format("out") in str(arguments) and when(str(arguments)):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
    embed(source, output, batches=1)


def test_work_killed_before_any_step_goes_on_after_its_last_whole_part(tmp_path):
    source = table(tmp_path, 2 * (BATCH + 9), BATCH + 9)
    total = 2 * (BATCH + 9)
    embed(source, tmp_path / "whole", batches=1)
    for step in itertools.count():
        folder = tmp_path / str(step)
        output = folder / "out"
        if (ended := in_child(embed_until, Turn(step), source, output)) == 0:
            break
        assert ended == -signal.SIGKILL
        begun = (folder / ".out.partial" / parts.IDENTITY).exists()
        kept = sum(pq.read_metadata(path).num_rows for path in folder.glob(".out.partial/*.part")) if begun else 0
        assert embed(source, output, batches=1) == total - kept
        assert output.read_bytes() == (tmp_path / "whole").read_bytes()
        assert names(folder) == ["out"]
    assert step > 15  # four parts, each renamed and removed; the identity, the whole, the lock and the folder
    assert output.read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_file_does_not_tell_how_many_batches_a_part_had(tmp_path):
    source = table(tmp_path, 65 * 300, 300)  # 33 streams of up to two shards, and a batch of both
    for batches in (1, 2, 1000):
        assert embed(source, tmp_path / str(batches), batches=batches) == 65 * 300
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes() == (tmp_path / "1000").read_bytes()
    sizes = [size for _, size in pq.read_table(tmp_path / "1").column("places").to_pylist()]
    assert sizes == ([256] * 512 + [88] * 88) * 32 + [256] * 256 + [44] * 44


CUTS = st.lists(st.integers(0, 50), max_size=12)


@settings(max_examples=25, deadline=None)
@given(cuts=CUTS, others=CUTS, missing=st.sets(st.integers(0, 200)))
def test_the_file_does_not_tell_where_its_rows_were_cut(cuts, others, missing):
    """Rows with words, lists and missing values, in row groups of 64."""
    ids = [None if row in missing else f"row {row % 7}" for row in range(200)]
    codes = [None if row in missing else [float(row)] * (row % 3) for row in range(200)]
    rows = pa.table({"id": ids, "codes": pa.array(codes, pa.list_(pa.float32()))})
    contents = []
    for sizes in (cuts, others):
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "GROUP", 64)
            output = Path(folder, "out")
            with beside(output) as found:
                position, start = Position(), 0
                for size in [*sizes, 200]:
                    piece = rows.slice(start, size)
                    position, start = position.after(piece.num_rows, None), start + size
                    found.write(0, piece, position)
                assert found.join(found.batches(), rows.schema, output) == 200
            contents.append(output.read_bytes())
            assert pq.read_table(output).equals(rows)
            assert pq.read_metadata(output).num_row_groups == 4
    assert contents[0] == contents[1]


@pytest.fixture
def begun(tmp_path) -> tuple[Source, Path]:
    """A source of 600 rows, and a file whose work was killed before its third part of three was renamed."""
    source, output = table(tmp_path, 600, 600), tmp_path / "out"
    ended = in_child(embed_until, Naming("00000-0000003"), source, output)
    assert (ended, len(list(tmp_path.glob(".out.partial/*.part")))) == (-signal.SIGKILL, 2)
    return source, output


def test_another_identity_starts_anew(begun):
    source, output = begun
    with beside(output) as found:
        assert found.begin({"input": "a"}) == []
        assert found.position(0) == Position(2, 512, 0, 512)
        assert found.begin({"input": "b"}) == ["input"]
        assert found.position(0) == Position()
    assert names(output.parent) == ["table.parquet"]
    assert embed(source, output, batches=1) == 600


def test_a_part_that_cannot_be_read_is_made_again(begun):
    source, output = begun
    last = max(output.parent.glob(".out.partial/*.part"))
    last.write_bytes(last.read_bytes()[:-1])
    assert embed(source, output, batches=1) == 600 - 256
    assert pq.read_metadata(output).num_rows == 600


def test_a_shard_may_be_without_rows(tmp_path):
    rows = pa.table({"x": [1.0, 2.5, 4.0], "y": [3.0, 1.0, 2.0]})
    with pq.ParquetWriter(tmp_path / "table.parquet", rows.schema) as writer:
        for piece in (rows, rows.schema.empty_table(), rows.slice(1)):
            writer.write_table(piece)
    source = open_source(Data(source=str(tmp_path / "table.parquet")))
    assert [stream.shards[0].start for stream in streams(source)] == [0, 3, 3]
    assert embed(source, tmp_path / "out", batches=1) == 5
    assert pq.read_table(tmp_path / "out").column("places").to_pylist() == [[0, 3], [1, 3], [2, 3], [0, 2], [1, 2]]


def test_a_second_process_is_refused_and_leaves_the_first_alone(tmp_path):
    source, output = table(tmp_path, 10, 10), tmp_path / "out"
    with beside(output) as found:
        found.begin({"input": "a"})
        with pytest.raises(InputError) as caught:
            embed(source, output, batches=1)
        assert found.position(0) == Position()
    assert str(caught.value) == (f"{output}: process {os.getpid()} is writing it. Wait for it, or name another file.")
    assert names(tmp_path) == ["table.parquet"]


def take_while_it_goes(folder: Path) -> None:
    """Takes a lock whose holder ends, with the folder, after its file was opened and before it is asked for."""
    first, removed = lock.take(folder, str), []

    def audit(event: str, arguments: tuple) -> None:
        if event == "fcntl.flock" and not removed and arguments[1] & fcntl.LOCK_NB:
            removed.append(True)
            shutil.rmtree(folder)
            os.close(first)

    sys.addaudithook(audit)
    held = lock.take(folder, str)
    if not os.path.samestat(os.fstat(held), (folder / lock.FILE).stat()) or not removed:
        raise RuntimeError("The lock is of a file that nobody else will open.")


def test_a_lock_that_went_with_its_folder_is_not_taken_for_the_new_one(tmp_path):
    assert in_child(take_while_it_goes, tmp_path / "work") == 0
