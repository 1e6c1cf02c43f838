"""Scores by intervention: which factor do examples share, read off the codes of a few of them.

The papers draw new examples with a factor held fixed. Here examples come from a finite table: the first of a pair
or a batch is any example, with equal chances, and the others are drawn with replacement from all examples that
have its value of the factor. With independent factors that is the same distribution.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from components.metrics.table import Table, active, table
from components.metrics.undefined import UndefinedError

CHUNK = 256  # points at once: their codes stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Votes:
    """What the votes of the FactorVAE score said.

    Args:
        score: accuracy on fresh votes, from 0 to 1.
        counts: number of training votes by dimension and factor, [latent, factors].
        active: number of dimensions that took part.
    """

    score: float
    counts: np.ndarray
    active: int


class Sharing:
    """Draws examples that share a value of a factor.

    Args:
        value: index of each example's value, [count].
        size: number of values.
    """

    def __init__(self, value: np.ndarray, size: int):
        self._value = value
        self._order = np.argsort(value, kind="stable")
        self._count = np.bincount(value, minlength=size)
        self._start = np.cumsum(self._count) - self._count

    def draw(self, first: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns for each row another that has its value, possibly itself: shape of `first`."""
        value = self._value[first]
        place = (rng.random(first.shape) * self._count[value]).astype(np.int64)
        place += self._start[value]
        return self._order[place]


def beta_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
) -> float:
    """BetaVAE score: how well a linear classifier tells which factor the examples of pairs share.

        point = mean_l |z1_l - z2_l|,   z1_l and z2_l alike in factor k;   accuracy of the prediction of k

    The classifier is scikit-learn's `LogisticRegression` as it comes, with its penalty of 1 and its 100 steps. The
    scale of the codes is not normalized, so dimensions of small scale count for less.

    Args:
        codes: [count, latent].
        factors: [count, factors]; factors without variation are left out.
        rng: source of the draws.
        batch: pairs a point: `first` is any example, `second` any that shares the value.
        train: points that the classifier is fitted on.
        test: points that are scored.

    Returns:
        From 0 to 1; 1 / factors is chance.

    Raises:
        UndefinedError: if fewer than two factors vary or a code is not finite.

    Reference:
        Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework,
        Section 3, with the classifier of Locatello et al. 2019, arXiv:1811.12359.
    """
    data = table(codes, factors, factors_needed=2)
    fixed = rng.integers(0, len(data.sizes), train + test)
    if len(np.unique(fixed[:train])) < 2:
        raise UndefinedError(f"{train} training points are too few: all of them fix the same factor")
    points = np.empty((train + test, data.codes.shape[1]))
    for chosen, sharing in _rounds(data, fixed):
        first = rng.integers(0, len(data.codes), (len(chosen), batch))
        distance = data.codes[first]
        distance -= data.codes[sharing.draw(first, rng)]
        points[chosen] = np.einsum("vbj->vj", np.abs(distance, out=distance)) / batch
    model = LogisticRegression()
    with warnings.catch_warnings():
        # The study's classifier stops after 100 steps, converged or not: to go on would give other scores.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # scikit-learn 1.5, which TFX pins, still names two options that SciPy is about to drop.
        warnings.filterwarnings("ignore", "scipy.optimize: The `disp` and `iprint`", DeprecationWarning)
        model.fit(points[:train], fixed[:train])
    return float(np.mean(model.predict(points[train:]) == fixed[train:]))


def factor_vae_votes(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    dead: float = 0.05,
) -> Votes:
    """FactorVAE score with its votes: see `factor_vae_score`, which has the same arguments.

    Returns:
        Score, votes in the numbering of all dimensions, and number of dimensions that took part.

    Raises:
        UndefinedError: if fewer than two factors vary or a code is not finite.
    """
    data = table(codes, factors, factors_needed=2)
    alive = np.flatnonzero(active(data.codes, dead))
    counts = np.zeros((data.codes.shape[1], data.width), np.int64)
    if not len(alive):
        return Votes(0.0, counts, 0)
    scaled = data.codes[:, alive]
    # Centered, so that variances are differences of small numbers.
    scaled = (scaled - scaled.mean(axis=0)) / scaled.std(axis=0, ddof=1)
    fixed = rng.integers(0, len(data.sizes), train + test)
    steadiest = np.empty(train + test, np.int64)
    for chosen, sharing in _rounds(data, fixed):
        first = np.broadcast_to(rng.integers(0, len(scaled), (len(chosen), 1)), (len(chosen), batch))
        steadiest[chosen] = _variance(scaled[sharing.draw(first, rng)]).argmin(axis=1)
    steadiest = alive[steadiest]
    np.add.at(counts, (steadiest[:train], data.varied[fixed[:train]]), 1)
    predicted = counts.argmax(axis=1)[steadiest[train:]]
    return Votes(float(np.mean(predicted == data.varied[fixed[train:]])), counts, len(alive))


def factor_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    *,
    batch: int = 64,
    train: int = 10_000,
    test: int = 5_000,
    dead: float = 0.05,
) -> float:
    """FactorVAE score: how well the steadiest dimension tells which factor a batch of examples shares.

    A vote fixes one factor, draws a batch that shares its value, and names the dimension of least variance
    relative to its variance over all examples. Each dimension stands for the factor of most of its votes;
    the score is the accuracy on fresh votes.

        vote = argmin_j Var_batch(z_j) / Var(z_j)

    Args:
        codes: [count, latent].
        factors: [count, factors]; factors without variation are left out.
        rng: source of the draws.
        batch: examples a vote, at least 2, drawn with replacement from those that share the value.
        train: votes that decide what a dimension stands for.
        test: votes that are scored.
        dead: dimensions whose standard deviation is below this do not vote, nor do constant ones.

    Returns:
        From 0 to 1; 0 if no dimension is alive.

    Raises:
        UndefinedError: if fewer than two factors vary or a code is not finite.

    Reference:
        Kim and Mnih 2018, Disentangling by Factorising, arXiv:1802.05983, Section 4.
    """
    return factor_vae_votes(codes, factors, rng, batch=batch, train=train, test=test, dead=dead).score


def _rounds(data: Table, fixed: np.ndarray) -> Iterator[tuple[np.ndarray, Sharing]]:
    """For each factor, a few at a time, the points that hold it fixed, and how to draw what shares its value."""
    for factor, size in enumerate(data.sizes):
        sharing = Sharing(data.values[:, factor], size)
        points = np.flatnonzero(fixed == factor)
        for start in range(0, len(points), CHUNK):
            yield points[start : start + CHUNK], sharing


def _variance(batches: np.ndarray) -> np.ndarray:
    """Variance (ddof 1) within each batch, [votes, batch, latent] to [votes, latent]."""
    size = batches.shape[1]
    mean = np.einsum("vbj->vj", batches) / size
    batches = batches - mean[:, None]
    return np.einsum("vbj,vbj->vj", batches, batches) / (size - 1)
