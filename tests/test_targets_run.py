"""Whole runs on data with targets: what is missing is no anomaly, and no model sees an answer."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import metaprior
from test_ingestion_beam import expected_split

pytestmark = pytest.mark.slow

ROWS = 400
SPLITS = [expected_split(str(row)) for row in range(ROWS)]
TRAINING = "training: {epochs: 1}\nmodel: {recipe: beta_vae, latent: 3}\n"


def run(folder: Path, settings: str) -> Path:
    """Runs the settings; returns the folder of its embeddings."""
    (folder / "run.yaml").write_text(settings + TRAINING)
    done = metaprior(folder, "run", "--config", "run.yaml")
    assert done.code == 0, done.output
    (found,) = (folder / "runs").glob("*/Embedder/embeddings/*")
    return found


def read(folder: Path, split: str, prefix: str) -> pa.Table:
    return pq.read_table(sorted((folder / f"Split-{split}").glob(f"{prefix}-*.parquet")))


def cells(table: pa.Table, column: str) -> dict[str, object]:
    return dict(zip(table.column("id").to_pylist(), table.column(column).to_pylist(), strict=True))


def test_a_tables_answer_is_measured_and_never_an_input(tmp_path):
    rng = np.random.default_rng(0)
    ages = rng.integers(18, 80, ROWS)
    answers = [("young", "old")[int(age > 45)] if row % 7 else "?" for row, age in enumerate(ages)]
    prices = [str(age / 4) if row % 5 else "" for row, age in enumerate(ages)]
    rare = ["uv"[row % 2] if split == "test" else "" for row, split in enumerate(SPLITS)]  # in one split alone
    jobs = rng.choice(["cook", "nurse", "clerk"], ROWS)
    lines = [",".join(map(str, row)) for row in zip(ages, jobs, answers, prices, rare, strict=True)]
    (tmp_path / "p.csv").write_text("\n".join(["age,job,answer,price,rare", *lines]) + "\n")
    data = "data: {source: p.csv, targets: [answer, price, rare]}\nevaluation: {slices: [job, answer]}\n"
    found = run(tmp_path, data)
    for prefix in ("embeddings", "baselines"):
        table = read(found, "test", prefix)
        spec = json.loads(table.schema.metadata[b"metaprior"])["spec"]
        assert [column["name"] for column in spec["columns"]] == ["age", "job"]
        for name, given in (("target:answer", answers), ("target:rare", rare), ("slice:job", jobs.tolist())):
            there = cells(table, name)
            assert there == {id: given[int(id)] if given[int(id)] not in ("", "?") else None for id in there}
        there = cells(table, "target:price")
        assert there == {id: float(prices[int(id)]) if prices[int(id)] else None for id in there}
    # One number, three jobs, two marks of what is there: nothing of the answer.
    assert set(map(len, read(found, "test", "baselines").column("features").to_pylist())) == {6}
    (tmp_path / "new.csv").write_text("age,job,price\n30,cook,7.5\n40,nurse,?\n")
    (serving,) = (tmp_path / "runs").glob("*/serving/encoder")
    done = metaprior(tmp_path, "embed", "new.csv", "new.parquet", "--serving", str(serving))
    assert done.code == 0, done.output
    embedded = pq.read_table(tmp_path / "new.parquet")
    assert cells(embedded, "target:price") == {"0": 7.5, "1": None}
    assert cells(embedded, "target:answer") == {"0": None, "1": None}


def test_arrays_of_every_kind_reach_the_tables(tmp_path):
    rng = np.random.default_rng(0)
    tags = rng.integers(0, 2, (ROWS, 3)).astype(np.float32)
    tags[::3] = np.nan
    tags[1, 1] = np.nan
    kinds = np.where(np.arange(ROWS) % 4, "u", "v")
    kinds[::9] = ""
    prices = np.where(np.arange(ROWS) % 5, rng.normal(size=ROWS), np.nan).astype(np.float32)
    labels = rng.integers(0, 2, ROWS)
    np.savez(tmp_path / "a.npz", x=rng.normal(size=(ROWS, 4)), y=labels, kind=kinds, price=prices, tags=tags)
    found = run(tmp_path, "data: {source: a.npz, array: x, label: y, targets: [kind, price, tags]}\n")
    for split in ("train", "test"):
        table = read(found, split, "embeddings")
        ids = [int(id) for id in table.column("id").to_pylist()]
        assert sorted(ids) == [row for row, own in enumerate(SPLITS) if own == split]
        assert table.column("target:kind").to_pylist() == [kinds[row] or None for row in ids]
        expected = [None if np.isnan(prices[row]) else float(prices[row]) for row in ids]
        assert table.column("target:price").to_pylist() == expected
        rows = [[None if np.isnan(tag) else int(tag) for tag in tags[row]] for row in ids]
        assert table.column("target:tags").to_pylist() == [None if row == [None] * 3 else row for row in rows]
        assert table.schema.field("target:tags").type == pa.list_(pa.int8())
