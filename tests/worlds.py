"""Small data whose shape or answer is known."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from models.features import Column, FeatureSpec


@dataclass(frozen=True)
class World:
    """A description of data and examples of it, as a model gets them.

    Args:
        spec: description of the data.
        batch: `x` [count, *event] and, where there is one, `label` [count].
    """

    spec: FeatureSpec
    batch: dict[str, np.ndarray]

    def take(self, count: int) -> dict[str, np.ndarray]:
        """The first `count` examples."""
        return {key: values[:count] for key, values in self.batch.items()}


def digits() -> World:
    """1,797 handwritten digits of 8x8 pixels, grey levels from 0 to 1, in a seeded order."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    spec = FeatureSpec(kind="image", shape=(8, 8, 1), dtype="uint8", label="digit", classes=tuple("0123456789"))
    x = (images[order] / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    return World(spec, {"x": x, "label": labels[order].astype(np.int64)})


def squares(count: int = 64) -> World:
    """Binary images of 16x20 pixels: one square of 5x5 at a random place."""
    rng = np.random.default_rng(1)
    x = np.zeros((count, 16, 20, 1), np.float32)
    for image, row, column in zip(x, rng.integers(0, 12, count), rng.integers(0, 16, count), strict=True):
        image[row : row + 5, column : column + 5] = 1.0
    return World(FeatureSpec(kind="image", shape=(16, 20, 1), dtype="uint8"), {"x": x})


def vectors(count: int = 64) -> World:
    """Standardized vectors of 12 features driven by 3 Gaussian factors."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(count, 3)) @ rng.normal(size=(3, 12)) + 0.3 * rng.normal(size=(count, 12))
    x = (x - x.mean(0)) / x.std(0)
    return World(FeatureSpec(kind="vector", shape=(12,)), {"x": x.astype(np.float32)})


def table(count: int = 64) -> World:
    """Rows of two numeric and two categorical columns, a fifth of the cells missing."""
    rng = np.random.default_rng(3)
    columns = (
        Column("age", "numeric"),
        Column("hours", "numeric"),
        Column("job", "categorical", 4),
        Column("sex", "categorical", 2),
    )
    mask = rng.random((count, 4)) > 0.2
    numeric = np.where(mask[:, :2], rng.normal(size=(count, 2)), 0.0)
    blocks = [np.eye(c.cardinality)[rng.integers(0, c.cardinality, count)] for c in columns[2:]]
    one_hot = np.concatenate([b * m for b, m in zip(blocks, mask[:, 2:, None].swapaxes(0, 1), strict=True)], axis=1)
    x = np.concatenate([numeric, one_hot, mask], axis=1).astype(np.float32)
    return World(FeatureSpec(kind="table", shape=(4,), columns=columns), {"x": x})


WORLDS: dict[str, Callable[[], World]] = {
    "digits": digits,
    "squares": squares,
    "vectors": vectors,
    "table": table,
}


def linear_gaussian(variances: tuple[float, ...], count: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Centered Gaussian data in a rotated basis.

    Args:
        variances: eigenvalues of the population's covariance.
        count: number of examples.

    Returns:
        x [count, len(variances)] and the eigenvalues of its own covariance, largest first.
    """
    rng = np.random.default_rng(4)
    rotation = np.linalg.qr(rng.normal(size=(len(variances),) * 2))[0]
    x = (rng.normal(size=(count, len(variances))) * np.sqrt(variances)) @ rotation
    x -= x.mean(0)
    return x.astype(np.float32), np.linalg.eigvalsh(x.T @ x / count)[::-1]
