"""The data sets of keras.datasets, read from small files in the layout of the real ones."""

import gzip
import pickle
import urllib.error
import urllib.request

import numpy as np
import pytest
from sources import records, refusal

from models.features.spec import FeatureSpec
from pipeline.config import Data
from pipeline.ingestion import Shard, open_source

RNG = np.random.default_rng(0)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def small_mnist(folder, images, labels):
    np.savez(folder / "mnist.npz", x_train=images[:5], y_train=labels[:5], x_test=images[5:], y_test=labels[5:])


def small_fashion(folder, images, labels):
    (folder / "fashion-mnist").mkdir()
    for part, rows in (("train", slice(5)), ("t10k", slice(5, None))):
        for name, header, values in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
            with gzip.open(folder / "fashion-mnist" / f"{part}-{name}-ubyte.gz", "wb") as stream:
                stream.write(bytes(header) + values[rows].tobytes())


def small_cifar(folder, images, labels):
    batches = folder / "cifar-10-batches-py-target" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    for i, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        rows = slice(i, i + 1) if i < 5 else slice(5, None)
        content = pickle.dumps({b"data": flat[rows], b"labels": labels[rows].tolist()}, protocol=3)
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        (batches / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "write", "shape", "count"),
    [
        ("mnist", small_mnist, (28, 28, 1), 70_000),
        ("fashion_mnist", small_fashion, (28, 28, 1), 70_000),
        ("cifar10", small_cifar, (32, 32, 3), 60_000),
    ],
)
def test_keras_files_are_read_where_keras_keeps_them(keras_home, name, write, shape, count):
    images = RNG.integers(0, 256, (8, *shape), dtype=np.uint8)
    labels = np.arange(8, dtype=np.uint8)
    write(keras_home, images if shape[2] == 3 else images[..., 0], labels)
    source = open_source(Data(source=name))
    description = source.describe()
    assert description.spec == FeatureSpec("image", shape, "uint8", label="label")
    assert description.count == count
    found = records(source)
    assert (np.stack([record["image"] for record in found]) == images).all()
    assert [record["label"] for record in found] == list("01234567")
    assert [record["id"] for record in found] == [f"train-{i}" for i in range(5)] + [f"test-{i}" for i in range(3)]


def test_a_missing_file_that_cannot_be_downloaded_is_named(keras_home, monkeypatch):
    def offline(request, timeout):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert refusal("mnist") == (
        "data.source: mnist is not on this machine and cannot be downloaded (<urlopen error no route>). Put its "
        f"files where Keras keeps them: {keras_home / 'mnist.npz'} is missing."
    )


def test_a_pickle_of_anything_but_arrays_is_not_loaded(keras_home):
    small_cifar(keras_home, np.zeros((8, 32, 32, 3), np.uint8), np.arange(8))
    batch = keras_home / "cifar-10-batches-py-target" / "cifar-10-batches-py" / "data_batch_1"
    batch.write_bytes(pickle.dumps(print, protocol=2))
    source = open_source(Data(source="cifar10"))
    with pytest.raises(pickle.UnpicklingError, match="does not belong in a data file"):
        next(source.read(Shard("train")))
