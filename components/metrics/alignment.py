"""What survives when vectors of one model are used beside those of the model before: neighbors, retrieval, probes.

Codes of the model before are `old`; `aligned` are the new model's codes of the same examples in that space.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.neighbors import NearestNeighbors

from components.metrics.intervals import Estimate, ratio_interval
from components.metrics.probes import Codes
from components.metrics.procrustes import LAST_THE_SAME
from components.metrics.robustness import read_all
from components.metrics.scores import outcomes
from components.metrics.targets import Targets
from components.metrics.undefined import UndefinedError

NEIGHBORS = 10


@dataclass(frozen=True)
class Found:
    """What an index of old vectors gives back.

    Args:
        agreement: of every query, the share of what the old vector of that example would have found, [examples].
        recall: whether its own example is among the nearest, 0 or 1, [examples].
    """

    agreement: np.ndarray
    recall: np.ndarray


def neighbor_agreement(old: np.ndarray, new: np.ndarray, *, k: int = NEIGHBORS) -> np.ndarray:
    """Returns what share of an example's nearest neighbors stays: |N_old(i) & N_new(i)| / k.

    N(i) are the k examples with the nearest codes in one space, the example itself left out. It does not change
    under rotations, shifts and scalings of either space: no alignment can raise it.

    Args:
        old: [examples, old latent].
        new: of the same examples, [examples, new latent].
        k: number of neighbors.

    Returns:
        [examples], 0 to 1. Codes that know nothing of each other share k / (examples - 1).

    Raises:
        UndefinedError: if there are too few examples, or codes are not finite.
    """
    _check(old, new, k=k)
    return _shared(_own(old, k), _own(new, k))


def retrieval(old: np.ndarray, queries: np.ndarray, *, k: int = NEIGHBORS) -> Found:
    """Asks an index of old vectors with vectors of another model.

    Args:
        old: the index, [examples, latent].
        queries: vectors of the same examples, [examples, latent].
        k: number of vectors that the index gives back.

    Raises:
        UndefinedError: if there are too few examples, or codes are not finite.
    """
    _check(old, queries, k=k)
    near = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(old).kneighbors(queries, return_distance=False)
    own = np.arange(len(old))[:, None]
    # The example itself is what recall is about; agreement leaves it out, as the old vector's own answer does.
    others = np.stack([row[row != place][:k] for place, row in enumerate(near)])
    recall = (near[:, :k] == own).any(axis=1)
    return Found(_shared(_own(old, k), others), recall.astype(np.float64))


def residual(old: np.ndarray, aligned: np.ndarray, *, seed: int) -> Estimate:
    """Returns the squared error of aligned codes in units of the old ones' spread.

    sum ||aligned - old||^2 / sum ||old - mean old||^2

    Args:
        old: [examples, latent].
        aligned: of the same examples, [examples, latent].
        seed: seed of the bootstrap.

    Returns:
        From 0 (the same vectors); about 2 for spaces that know nothing of each other.

    Raises:
        UndefinedError: if all old codes are the same.
    """
    spread = ((old - old.mean(axis=0)) ** 2).sum(axis=1)
    if not spread.sum() > 0:
        raise UndefinedError(LAST_THE_SAME)
    error = ((aligned - old) ** 2).sum(axis=1)
    return Estimate(float(error.sum() / spread.sum()), ratio_interval(error, spread, seed=seed))


def transfer(old: Codes, others: Mapping[str, np.ndarray], targets: Targets, *, seed: int) -> dict[str, np.ndarray]:
    """Trains a linear probe on old codes and reads other models' codes with it, without training it again.

    Args:
        old: codes of the model before.
        others: codes of the same test examples by name, each [test examples, old latent].
        targets: what the probe predicts.
        seed: seed of the probe.

    Returns:
        By name, `before` for the old codes themselves: what the score is the mean of, [test examples]. That is 0 or
        1 for classes and for several labels (all of them right), and one minus the squared error in units of the
        variance for numbers, whose mean is R^2.

    Raises:
        UndefinedError: if targets do not vary, or codes are not finite.
    """
    targets.check()
    if not all(np.isfinite(codes).all() for codes in (old.train, old.test, *others.values())):
        raise UndefinedError("some codes are not finite")
    readings = read_all("linear", old, others, targets, seed)
    names = ("before", *others)
    return {name: outcomes(reading, targets.test).merit for name, reading in zip(names, readings, strict=True)}


def fitted_to(codes: np.ndarray, width: int) -> np.ndarray:
    """Returns codes of another width: cut, or filled up with zeros, as who ignores that spaces changed would.

    Args:
        codes: [examples, latent].
        width: the width wanted.
    """
    filled = np.zeros((len(codes), width), codes.dtype)
    most = min(width, codes.shape[1])
    filled[:, :most] = codes[:, :most]
    return filled


def _own(codes: np.ndarray, k: int) -> np.ndarray:
    """Returns the k nearest other examples of every example, [examples, k]."""
    return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(codes).kneighbors(return_distance=False)


def _shared(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return (before[:, :, None] == after[:, None, :]).any(axis=2).mean(axis=1)


def _check(*codes: np.ndarray, k: int) -> None:
    if len(codes[0]) <= k + 1:
        raise UndefinedError(f"{len(codes[0])} examples are too few for {k} neighbors")
    if not all(np.isfinite(values).all() for values in codes):
        raise UndefinedError("some codes are not finite")
