"""The examples that plots show: a bounded sample of one split, and the shape of its codes."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.atomic import write_whole
from models.features.ids import digest

SIZE = 2_000
CODES_FILE = "codes.npz"


@dataclass(frozen=True)
class Sample:
    """What plots are drawn from.

    Args:
        split: the split.
        total: number of examples in the split.
        codes: codes of the sampled examples, [sample, latent].
        rate: their rates in nats, [sample].
        distortion: their distortions in nats, [sample].
        labels: their labels ("" where missing), None if the data has none.
        variance: variance over the whole split of every dimension, [latent].
        rates: mean rate of every dimension in nats, [latent]; None if the prior is not the standard normal.
    """

    split: str
    total: int
    codes: np.ndarray
    rate: np.ndarray
    distortion: np.ndarray
    labels: list[str] | None
    variance: np.ndarray
    rates: np.ndarray | None


def write_codes(sample: Sample, folder: Path) -> Path:
    """Writes the sampled codes and the rate of each dimension as `codes.npz`, for whoever compares models by them."""
    file = io.BytesIO()
    rates = np.full(sample.codes.shape[1], np.nan) if sample.rates is None else sample.rates
    np.savez(file, codes=sample.codes, rates=rates)
    return write_whole(folder / CODES_FILE, file.getvalue())


def read_codes(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns what `write_codes` wrote, codes [sample, latent] and rates [latent] in nats; None without them.

    They are None where there is no such file, or the prior is not the standard normal. The same data has the same
    examples in every model's sample, in the same order.
    """
    path = folder / CODES_FILE
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        codes, rates = file["codes"], file["rates"]
    return (codes, rates) if np.isfinite(rates).all() else None


class Sampler:
    """Keeps, of rows that arrive in batches, the 2,000 whose ids have the smallest sha256.

    Attributes:
        columns: arrays of the kept rows by name, in the order of that hash.
    """

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.uint64)
        self.columns: dict[str, np.ndarray] = {}

    def add(self, ids: list[str], columns: dict[str, np.ndarray]) -> None:
        """Takes in one batch of rows.

        Args:
            ids: the rows' ids.
            columns: arrays of equal length, the same names in every batch.
        """
        new = np.array([int.from_bytes(digest(id)[:8]) for id in ids], np.uint64)
        keys = np.concatenate([self._keys, new])
        chosen = np.argsort(keys, kind="stable")[:SIZE]
        for name, values in columns.items():
            before = self.columns.get(name, values[:0])
            self.columns[name] = np.concatenate([before, values])[chosen]
        self._keys = keys[chosen]
