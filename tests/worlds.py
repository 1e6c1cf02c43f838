"""Small data whose shape or answer is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from models.features import Column, FeatureSpec


@dataclass(frozen=True)
class World:
    """A description of data and examples of it, as a model gets them.

    Args:
        spec: description of the data.
        batch: `x` [count, *event], `label` and `sensitive` [count], `factors` [count, factors].
    """

    spec: FeatureSpec
    batch: dict[str, np.ndarray]

    def take(self, count: int) -> dict[str, np.ndarray]:
        """The first `count` examples."""
        return {key: values[:count] for key, values in self.batch.items()}


@dataclass(frozen=True)
class Roles:
    """What stands beside x.

    Args:
        label: class indices [count], -1 where missing.
        sensitive: indices of the sensitive attribute [count], -1 where missing.
        factors: ground-truth factors [count, factors].
    """

    label: np.ndarray
    sensitive: np.ndarray
    factors: np.ndarray

    def world(self, x: np.ndarray, **description: Any) -> World:
        """The world of inputs [count, *event] with these roles."""
        spec = FeatureSpec(
            **description,
            label="class",
            classes=_values(self.label),
            sensitive="origin",
            groups=_values(self.sensitive),
            factors=tuple(f"factor_{index}" for index in range(self.factors.shape[1])),
            factor_sizes=tuple(int(size) + 1 for size in self.factors.max(axis=0)),
            examples=len(x),
        )
        roles = {"label": self.label, "sensitive": self.sensitive, "factors": self.factors}
        return World(spec, {"x": x.astype(np.float32)} | {key: v.astype(np.int64) for key, v in roles.items()})


def _values(indices: np.ndarray) -> tuple[str, ...]:
    return tuple(str(value) for value in range(int(indices.max()) + 1))


def digits() -> World:
    """1,797 handwritten digits of 8x8 pixels, grey levels from 0 to 1, in a seeded order."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    x = (images[order] / 16).reshape(-1, 8, 8, 1).astype(np.float32)
    label = labels[order].astype(np.int64)
    roles = Roles(label, sensitive=label % 2, factors=np.stack([label % 5, label // 5], axis=1))
    return roles.world(x, kind="image", shape=(8, 8, 1), dtype="uint8")


def squares(count: int = 64) -> World:
    """Binary images of 16x20 pixels: one square of 5x5 at a random place."""
    rng = np.random.default_rng(1)
    x = np.zeros((count, 16, 20, 1), np.float32)
    places = np.stack([rng.integers(0, 12, count), rng.integers(0, 16, count)], axis=1)
    for image, (row, column) in zip(x, places, strict=True):
        image[row : row + 5, column : column + 5] = 1.0
    roles = Roles(places[:, 0] // 4, sensitive=places[:, 1] // 8, factors=places)
    return roles.world(x, kind="image", shape=(16, 20, 1), dtype="uint8")


def vectors(count: int = 64) -> World:
    """Standardized vectors of 12 features driven by 3 Gaussian factors."""
    rng = np.random.default_rng(2)
    causes = rng.normal(size=(count, 3))
    x = causes @ rng.normal(size=(3, 12)) + 0.3 * rng.normal(size=(count, 12))
    x = (x - x.mean(0)) / x.std(0)
    signs = (causes[:, :2] > 0).astype(np.int64)
    return Roles(signs[:, 0], sensitive=signs[:, 1], factors=signs).world(x, kind="vector", shape=(12,))


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
    x = np.concatenate([numeric, one_hot, mask], axis=1)
    label = (numeric[:, 0] > 0).astype(np.int64)
    label[::7] = -1  # missing
    sensitive = rng.integers(-1, 3, count)
    roles = Roles(label, sensitive, factors=mask[:, :2].astype(np.int64))
    return roles.world(x, kind="table", shape=(4,), columns=columns)


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
