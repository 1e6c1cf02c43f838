"""Embeddings of the digits as the embedder writes them, and what the evaluator is asked of them."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_digits

from components.evaluator.evaluate import Evaluated, Request, evaluate
from components.evaluator.schema import Metric
from components.evaluator.settings import Settings
from models.errors import InputError
from models.features.spec import FeatureSpec

LATENT = 6
VECTOR = pa.list_(pa.float32())


@dataclasses.dataclass(frozen=True)
class Split:
    """The rows of one split."""

    ids: list[str]
    codes: np.ndarray
    features: np.ndarray
    labels: list[str | None] | None


def write(root: Path, splits: dict[str, Split], *, shards: int = 2, limit: int = 10_000) -> Path:
    """Writes an Embeddings artifact, in the layout that the embedder writes."""
    labels = next(iter(splits.values())).labels is not None
    spec = FeatureSpec(kind="vector", shape=(64,), label="digit" if labels else None)
    facts = {
        "schema": 1,
        "space": "beta_vae-6-0123456789ab",
        "recipe": "beta_vae",
        "parameters": {"beta": 4.0},
        "objective": "nll + 4 * kl",
        "latent": LATENT,
        "spec": json.loads(spec.to_json()),
        "images": None,
        "metaprior": "0.1.0",
    }
    for name, split in splits.items():
        write_split(root / f"Split-{name}", split, json.dumps(facts), shards=shards, limit=limit)
    return root


def write_split(folder: Path, split: Split, facts: str, *, shards: int, limit: int) -> None:
    folder.mkdir(parents=True)
    kept = sorted(range(len(split.ids)), key=lambda row: hashlib.sha256(split.ids[row].encode()).hexdigest())[:limit]
    mixing = np.random.default_rng(7).normal(size=(split.features.shape[1], LATENT))
    stddev = np.full_like(split.codes, 0.5)
    rate = (0.5 * (split.codes**2 + stddev**2 - 1) - np.log(stddev)).sum(axis=1)
    distortion = (split.features**2).sum(axis=1)
    embeddings = {
        "id": split.ids,
        "embedding": pa.array(list(split.codes), VECTOR),
        "stddev": pa.array(list(stddev), VECTOR),
        "rate": pa.array(rate, pa.float32()),
        "distortion": pa.array(distortion, pa.float32()),
        "elbo": pa.array(-rate - distortion, pa.float32()),
    }
    baselines = {
        "id": [split.ids[row] for row in kept],
        "features": pa.array(list(split.features[kept]), VECTOR),
        "random": pa.array(list(np.tanh(split.features[kept] @ mixing)), VECTOR),
    }
    if split.labels is not None:
        embeddings["label"] = pa.array(split.labels, pa.string())
        baselines["label"] = pa.array([split.labels[row] for row in kept], pa.string())
    for prefix, columns, parts in (("embeddings", embeddings, shards), ("baselines", baselines, 1)):
        table = pa.table(columns).replace_schema_metadata({"metaprior": facts})
        edges = np.linspace(0, len(table), parts + 1).astype(int)
        for part in range(parts):
            path = folder / f"{prefix}-{part:05d}-of-{parts:05d}.parquet"
            pq.write_table(table.slice(edges[part], edges[part + 1] - edges[part]), path)


def digits(*, scale: float = 1.0, labels: bool = True) -> dict[str, Split]:
    """The digits, with the first directions of a fixed turn of their pixels as codes."""
    data = load_digits()
    images = (data.data / 16).astype(np.float32)
    directions = np.linalg.svd(images - images.mean(axis=0), full_matrices=False)[2][:LATENT]
    codes = ((images - images.mean(axis=0)) @ directions.T * scale).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    parts = {"train": order[:700], "eval": order[700:800], "test": order[800:1100]}
    return {
        name: Split(
            ids=[f"digit-{row}" for row in rows],
            codes=codes[rows],
            features=images[rows],
            labels=[str(data.target[row]) for row in rows] if labels else None,
        )
        for name, rows in parts.items()
    }


def request(root: Path, *, last: Path | None = None, **settings) -> Request:
    chosen = {"labels": (10, 50, "all"), "seeds": 2, "measure": ("probes",)} | settings
    return Request(root, last, Settings(**chosen), data="digits", seed=0, code="0.1.0")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("digits"), digits())


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("unlabelled"), digits(labels=False))


@pytest.fixture(scope="module")
def found(root) -> Evaluated:
    return evaluate(request(root))


def changed(part: str, **changes) -> dict[str, Split]:
    """The digits with one split changed."""
    splits = digits()
    return splits | {part: dataclasses.replace(splits[part], **changes)}


def metric(name: str, value: float) -> Metric:
    unit = "accuracy" if name.startswith("probe") else "count" if name == "active_units" else "nats"
    return Metric(name, "encoder", value, unit, None, "test", 300, 1)


def refusal(root: Path, **settings) -> str:
    with pytest.raises(InputError) as caught:
        evaluate(request(root, **settings))
    return str(caught.value)


def first_row() -> dict:
    split = digits()["test"]
    return {"codes": split.codes[:1], "features": split.features[:1], "labels": split.labels[:1]}
