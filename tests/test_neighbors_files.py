"""Indexes and files that go or are damaged: what is left is indexed, or one line tells."""

import hashlib
import tracemalloc

import numpy as np
import pyarrow.parquet as pq
import pytest
from encoders import write_codes

from components.embedder import files
from models.errors import InputError
from pipeline.neighbors import build as building
from pipeline.neighbors.build import build
from pipeline.neighbors.search import Index

CODES = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32)


def test_rows_that_are_gone_or_damaged_are_told(tmp_path):
    build(write_codes(tmp_path / "two.parquet", np.eye(2)), tmp_path / "index", metric="euclidean")
    rows = tmp_path / "index" / "rows.parquet"
    whole = rows.read_bytes()
    for break_it, what in (
        (rows.unlink, "cannot be read"),
        (lambda: rows.write_bytes(whole[:-9]), "is not as it was written"),
        (lambda: rows.write_bytes(b""), "is not as it was written"),
    ):
        break_it()
        with pytest.raises(InputError) as caught:
            Index(tmp_path / "index")
        assert str(caught.value) == f"{rows}: {what}. Index the embeddings again."


def gone_once(monkeypatch, reader, paths):
    """Removes files when a function of Arrow has read them, as a request log removes its oldest."""
    read = getattr(pq, reader)

    def read_and_remove(path):
        found = read(path)
        if path in paths:
            path.unlink()
        return found

    monkeypatch.setattr(pq, reader, read_and_remove)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_files_that_go_meanwhile_are_passed_over(tmp_path, monkeypatch, kind):
    paths = [write_codes(tmp_path / "log" / f"{n}.parquet", CODES, start=200 * n) for n in range(2)]
    gone_once(monkeypatch, "read_schema", paths[:1])
    record = build(tmp_path / "log", tmp_path / "index", metric="euclidean", kind=kind)
    assert record.count == 200
    assert record.digest == hashlib.sha256(hashlib.sha256(paths[1].read_bytes()).digest()).hexdigest()
    assert Index(tmp_path / "index").search(CODES[:1], ["x"], 1)[0][0].id == "row 200"
    gone_once(monkeypatch, "read_schema", paths[1:])
    with pytest.raises(InputError, match="has no rows to index"):
        build(tmp_path / "log", tmp_path / "index", metric="euclidean", kind=kind)


@pytest.mark.parametrize("kind", ["flat", "ivf"])
def test_files_that_all_go_after_they_were_counted_are_told(tmp_path, monkeypatch, kind):
    source = write_codes(tmp_path / "codes.parquet", CODES)
    gone_once(monkeypatch, "read_metadata", [source])
    with pytest.raises(InputError) as caught:
        build(source, tmp_path / "index", metric="euclidean", kind=kind)
    assert str(caught.value) == f"{source}: files went while they were indexed. Index a copy."
    assert not (tmp_path / "index").exists()


def test_a_training_sample_does_not_keep_the_batches_it_is_from(tmp_path):
    codes = np.zeros((8 * files.BATCH, 64), np.float32)
    found = files.read(write_codes(tmp_path / "codes.parquet", codes, rows=files.BATCH))
    tracemalloc.start()
    sample = building._sample(found, "euclidean", step=1_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sample.shape == (33, 64)
    assert peak < codes.nbytes / 2
