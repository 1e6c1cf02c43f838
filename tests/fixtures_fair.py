"""Data for models that read labels, attributes and factors, and the readers that tell what their codes hold."""

import dataclasses
import functools

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from worlds import Roles, World, digits

from models.autoencoder import Autoencoder

NOISE = 0.1
"""Standard deviation of the noise in the fair data."""


@functools.cache
def fair() -> World:
    """4,000 vectors of 20 entries that tell a label (a few directions) and an attribute (another one)."""
    return _fair(4000, seed=0)


@functools.cache
def fair_test() -> World:
    """2,000 more of them."""
    return _fair(2000, seed=1)


@functools.cache
def sharp() -> World:
    """The fair data in units of their noise: what suits a likelihood of variance 1."""
    return _scaled(fair(), 1 / NOISE)


@functools.cache
def sharp_test() -> World:
    """The test data in units of their noise."""
    return _scaled(fair_test(), 1 / NOISE)


def _fair(count: int, seed: int) -> World:
    rng = np.random.default_rng(seed)
    sensitive = (rng.random(count) < 0.5).astype(np.int64)
    # Label and attribute depend on each other: a code that tells the one tells something of the other.
    label = (rng.random(count) < np.where(sensitive, 0.6, 0.4)).astype(np.int64)
    causes = rng.normal(size=(count, 4))
    causes[:, 0] += 2.0 * label - 1.0
    causes[:, 1] += 1.5 * (label - 0.5)
    mixing = np.random.default_rng(7).normal(size=(4, 20)) / 2
    direction = np.random.default_rng(8).normal(size=20)
    x = np.tanh(causes @ mixing) + 0.8 * np.outer(sensitive - 0.5, direction) + NOISE * rng.normal(size=(count, 20))
    roles = Roles(label, sensitive, factors=np.stack([label, sensitive], axis=1))
    return roles.world(x, kind="vector", shape=(20,))


def _scaled(world: World, factor: float) -> World:
    return World(world.spec, world.batch | {"x": (world.batch["x"] * factor).astype(np.float32)})


@functools.cache
def digits_train() -> World:
    """The digits but the first 500."""
    return _part(digits(), slice(500, None))


@functools.cache
def digits_test() -> World:
    """The first 500 digits."""
    return _part(digits(), slice(500))


def _part(world: World, rows: slice) -> World:
    batch = {key: values[rows] for key, values in world.batch.items()}
    return World(dataclasses.replace(world.spec, examples=len(batch["x"])), batch)


def codes(model: Autoencoder, world: World) -> np.ndarray:
    """Posterior means, [count, latent]."""
    return np.asarray(model.encode(world.batch["x"]).mean())


def linear_reader():
    """A logistic regression on standardized codes."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, solver="newton-cholesky"))


def network_reader():
    """A network of 32 hidden units on standardized codes."""
    return make_pipeline(StandardScaler(), MLPClassifier((32,), early_stopping=True, random_state=0))


def readable(model: Autoencoder, role: str, train: World, test: World, reader=linear_reader) -> float:
    """How well a reader trained on codes of `train` tells a role from the codes of `test`: accuracy."""
    fitted = reader().fit(codes(model, train), train.batch[role])
    return float(fitted.score(codes(model, test), test.batch[role]))


@functools.cache
def noisy_digits_train() -> World:
    """Digits but the first 500, each beside 64 pixels of uniform noise: 128 entries."""
    return _beside_noise(digits_train(), seed=11)


@functools.cache
def noisy_digits_test() -> World:
    """The first 500 digits, each beside 64 pixels of uniform noise."""
    return _beside_noise(digits_test(), seed=12)


def _beside_noise(world: World, seed: int) -> World:
    pixels = world.batch["x"].reshape(-1, 64)
    noise = np.random.default_rng(seed).random(pixels.shape, np.float32)
    spec = dataclasses.replace(world.spec, kind="vector", shape=(128,), dtype="float32")
    return World(spec, world.batch | {"x": np.concatenate([pixels, noise], axis=1)})
