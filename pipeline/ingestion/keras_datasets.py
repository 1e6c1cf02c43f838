"""The data sets of `keras.datasets` that Metaprior knows by name, read from the files Keras keeps."""

import contextlib
import gzip
import io
import os
import pickle
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from models.errors import InputError
from models.features.spec import FeatureSpec
from pipeline.ingestion.arrays import ArraySource, Block
from pipeline.ingestion.npz import members
from pipeline.ingestion.source import Description, Shard, file_fingerprint, log

LABEL = "label"
ROWS = 4096
Rows = Iterator[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Dataset:
    """Files and form of one data set.

    Args:
        files: below the `datasets` folder of Keras, for each part, in reading order.
        shape: (height, width, channels) of its uint8 images.
        count: number of examples in all parts.
        origin: where Keras downloads it from.
        rows: reads the files of one part: blocks of images and labels.
    """

    files: dict[str, tuple[str, ...]]
    shape: tuple[int, int, int]
    count: int
    origin: str
    rows: Callable[[str, list[Path]], Rows]


def _npz_rows(part: str, paths: list[Path]) -> Rows:
    arrays = members(paths[0])
    yield from zip(arrays[f"x_{part}"].blocks(ROWS), arrays[f"y_{part}"].blocks(ROWS), strict=True)


def _idx_rows(part: str, paths: list[Path]) -> Rows:
    with gzip.open(paths[0]) as images, gzip.open(paths[1]) as labels:
        images.read(16)  # magic number and three sizes
        labels.read(8)
        while found := labels.read(ROWS):
            pixels = np.frombuffer(images.read(784 * len(found)), np.uint8)
            yield pixels.reshape(-1, 28, 28), np.frombuffer(found, np.uint8)


class _ArraysOnly(pickle.Unpickler):
    """Restores pickled NumPy arrays and nothing else."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str):
        """Returns the NumPy object of that name, and refuses all others."""
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} does not belong in a data file")
        return self.ALLOWED[module, name]


def _pickle_rows(part: str, paths: list[Path]) -> Rows:
    for path in paths:
        with path.open("rb") as stream:
            batch = _ArraysOnly(stream, encoding="bytes").load()
        images = batch[b"data"].reshape(-1, 3, 32, 32)
        yield images.transpose(0, 2, 3, 1), np.array(batch[b"labels"])


_STORE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_CIFAR = "cifar-10-batches-py-target/cifar-10-batches-py"
DATASETS = {
    "mnist": Dataset(
        {"train": ("mnist.npz",), "test": ("mnist.npz",)},
        (28, 28, 1),
        70_000,
        f"{_STORE}/mnist.npz",
        _npz_rows,
    ),
    "fashion_mnist": Dataset(
        {
            part: tuple(f"fashion-mnist/{file}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
            for part, file in (("train", "train"), ("test", "t10k"))
        },
        (28, 28, 1),
        70_000,
        f"{_STORE}/train-images-idx3-ubyte.gz",
        _idx_rows,
    ),
    "cifar10": Dataset(
        {
            "train": tuple(f"{_CIFAR}/data_batch_{i}" for i in range(1, 6)),
            "test": (f"{_CIFAR}/test_batch",),
        },
        (32, 32, 3),
        60_000,
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        _pickle_rows,
    ),
}


class KerasDataset(ArraySource):
    """`mnist`, `fashion_mnist` or `cifar10`: the training and the test part together, ten classes.

    Files are looked for where Keras keeps them (`$KERAS_HOME/datasets`, by default below `~/.keras`)
    and downloaded by Keras if they are not there.
    """

    kind = "keras"

    @property
    def dataset(self) -> Dataset:
        """Files and form of the data set."""
        return DATASETS[self.data.source]

    @cached_property
    def folder(self) -> Path:
        """The folder below which Keras keeps data sets; the same choice as Keras makes."""
        base = os.path.expanduser("~")
        default = os.path.join(base if os.access(base, os.W_OK) else "/tmp", ".keras")
        return Path(os.environ.get("KERAS_HOME", default)) / "datasets"

    def _inspect(self) -> Description:
        self.only_label(LABEL)
        files = [path for part in self.dataset.files for path in self._paths(part)]
        if not all(path.is_file() for path in files):
            self._download(next(path for path in files if not path.is_file()))
        spec = self.settle(FeatureSpec("image", self.dataset.shape, "uint8", label=LABEL))
        fingerprint = file_fingerprint(dict.fromkeys(files))
        return Description("keras", self.name, spec, self.dataset.count, fingerprint)

    def _shards(self) -> list[Shard]:
        """Returns one shard each for the training and the test part."""
        return [Shard(part) for part in self.dataset.files]

    def blocks(self, shard: Shard) -> Iterator[Block]:
        """Yields the blocks of one part."""
        for images, labels in self.dataset.rows(shard.name, self._paths(shard.name)):
            yield self.labelled(images, labels)

    def _paths(self, part: str) -> list[Path]:
        return [self.folder / name for name in self.dataset.files[part]]

    def _download(self, missing: Path) -> None:
        log.info("downloading %s to %s", self.name, self.folder)
        try:
            with urllib.request.urlopen(urllib.request.Request(self.dataset.origin, method="HEAD"), timeout=20):
                pass
        except OSError as error:
            raise InputError(
                f"data.source: {self.name} is not on this machine and cannot be downloaded ({error}). "
                f"Put its files where Keras keeps them: {missing} is missing."
            ) from error
        import keras  # brings TensorFlow along, so only where there is something to download

        with contextlib.redirect_stdout(io.StringIO()):
            getattr(keras.datasets, self.name).load_data()
