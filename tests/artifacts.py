"""Trained model artifacts of small data sets, one of each kind."""

import functools
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import samples
import tensorflow as tf
from PIL import Image

from models import export
from models.outlying import Population, fit
from models.signatures import Signatures
from models.task import Task

KINDS = ("digits", "blobs", "people")


@dataclass(frozen=True)
class Exported:
    sample: samples.Sample
    task: Task
    model: keras.Model
    folder: Path

    @property
    def serving(self) -> Path:
        return self.folder / "Format-Serving"

    @property
    def signatures(self) -> Signatures:
        return Signatures(self.model, self.sample.output, self.task.spec)

    @functools.cached_property
    def population(self) -> Population:
        return fit(self.signatures, self.sample.examples("train"), self.sample.examples("eval"))

    @property
    def records(self) -> list[bytes]:
        return list(self.sample.examples("eval").records().as_numpy_iterator())

    def requests(self) -> dict[str, dict]:
        rows = self.sample.rows[len(self.sample.rows) * 4 // 5 :]
        requests = {name: {"examples": self.records} for name in ("serving_default", "score")}
        requests["embed"] = {
            key: [row.get(key, missing(t)) for row in rows] for key, t in self.signatures.tensors.items()
        }
        if self.task.spec.kind == "image":
            pixels = [np.frombuffer(row["image"], np.uint8).reshape(8, 8, 1) for row in rows]
            requests["embed"] = {"image": pixels}
            requests["embed_bytes"] = {"image_bytes": [png(image) for image in pixels]}
        requests |= {name.replace("embed", "outlying"): requests[name] for name in requests if name.startswith("embed")}
        types = self.signatures.tensors
        return {
            name: {
                key: np.array(value, types[key].dtype.as_numpy_dtype if key in types else object)
                for key, value in inputs.items()
            }
            for name, inputs in requests.items()
        }


def missing(tensor):
    return b"" if tensor.dtype == tf.string else np.nan


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0]).save(file, "PNG")
    return file.getvalue()


def task_of(sample, **model):
    section = {"recipe": "beta_vae", "latent": 3, "network": "auto", "likelihood": "auto", "parameters": {"beta": 2.0}}
    data = {"images": {"size": None, "channels": None, "letterbox": True}, "missing": ["?"]}
    return Task(spec=sample.spec, model=section | model, training={}, seed=5, data=data, checkpoints="")


@functools.cache
def write(root: Path, kind: str) -> Exported:
    sample = getattr(samples, kind)(root / "samples")
    task = task_of(sample)
    model = task.build()
    folder = root / "exported" / kind
    splits = {"held_out": sample.examples("eval"), "train": sample.examples("train")}
    export.write(model, task, **splits, summary={"epochs": 1}, folder=folder)
    return Exported(sample, task, model, folder)


class Artifacts(Mapping):
    """The artifacts by kind of data; each is written when it is first asked for, once for all test modules."""

    def __init__(self, root: Path):
        self._root = root

    def __getitem__(self, kind: str) -> Exported:
        return write(self._root, kind)

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Artifacts:
    return Artifacts(tmp_path_factory.getbasetemp())
