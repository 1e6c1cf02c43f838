"""UDR: which of several models is disentangled, told without factors by how alike their codes are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import Lasso

from components.metrics.table import active, finite
from components.metrics.undefined import UndefinedError

PENALTY = 0.1  # the paper's, on standardized codes


@dataclass(frozen=True, eq=False)
class Udr:
    """Unsupervised disentanglement ranking.

    Args:
        scores: of each model, from 0 to 1, [models]; the greater, the more its dimensions are those of the others.
        pairs: score of how model b's code is found in model a's, [models a, models b]; NaN on the diagonal.
        active: number of informative dimensions of each model, [models].
    """

    scores: np.ndarray
    pairs: np.ndarray
    active: np.ndarray


def udr(
    codes: Sequence[np.ndarray],
    rates: Sequence[np.ndarray],
    *,
    method: Literal["lasso", "spearman"] = "lasso",
    dead: float = 0.01,
) -> Udr:
    """Scores models by how well their informative dimensions match one to one those of the other models.

        UDR_ab = 1/2 (mean_j max_i R_ij^2 / sum_i R_ij + mean_i max_j R_ij^2 / sum_j R_ij),   UDR_b = median_a UDR_ab

    R is the matrix of absolute coefficients of a lasso that predicts model b's standardized code from model a's
    (penalty 0.1), or of absolute rank correlations. As in the study's code the two means weigh equally, where the
    paper's equation weighs them by their numbers of dimensions. Every example is used.

    Args:
        codes: for each model [count, latent] of the same examples; latent may differ. Models should differ in their
            seed, at least, and the paper takes at least five of each kind.
        rates: for each model the mean rate by dimension, nats, [latent].
        method: `lasso` finds linear combinations, `spearman` any monotone relation of two dimensions.
        dead: a dimension is informative if its rate exceeds this, nats, and its code is not constant.

    Returns:
        Scores, pairs and numbers of informative dimensions. A model without any scores 0.

    Raises:
        UndefinedError: if there are fewer than two models, none has an informative dimension, or a code or a rate is
            not finite.
        ValueError: if shapes do not match or the method is unknown.

    Reference:
        Duan et al. 2020, Unsupervised Model Selection for Variational Disentangled Representation Learning,
        arXiv:1905.12614, Section 4 and Eq. 3.
    """
    if method not in ("lasso", "spearman"):
        raise ValueError(f"`method` must be 'lasso' or 'spearman'. Received: method={method!r}.")
    if len(codes) < 2:
        raise UndefinedError(f"{len(codes)} model has nothing to be compared with; it takes at least 2")
    if len(codes) != len(rates):
        raise ValueError(f"`rates` must be those of {len(codes)} models. Received: len(rates)={len(rates)}.")
    informative = [_informative(code, rate, dead) for code, rate in zip(codes, rates, strict=True)]
    if len({len(code) for code in informative}) > 1:
        counts = [len(code) for code in informative]
        raise ValueError(f"`codes` must be of the same examples. Received: counts={counts}.")
    numbers = np.array([code.shape[1] for code in informative])
    if not numbers.any():
        raise UndefinedError(f"no dimension of any model has a rate above {dead} nats")
    if method == "spearman":
        informative = [_standardized(rankdata(code, axis=0)) for code in informative]
    relation = _lasso if method == "lasso" else _correlation
    pairs = np.full((len(codes), len(codes)), np.nan)
    for a, b in zip(*np.nonzero(~np.eye(len(codes), dtype=bool)), strict=True):
        both = numbers[a] and numbers[b]
        pairs[a, b] = _alike(relation(informative[a], informative[b])) if both else 0.0
    return Udr(np.nanmedian(pairs, axis=0), pairs, numbers)


def _informative(code: np.ndarray, rate: np.ndarray, dead: float) -> np.ndarray:
    """The standardized code, without the dimensions that carry nothing: [count, informative]."""
    code, rate = finite(code), np.asarray(rate, np.float64)
    if rate.shape != (code.shape[1],):
        raise ValueError(f"`rates` must be [{code.shape[1]}] for each model. Received: rates.shape={rate.shape}.")
    if not np.isfinite(rate).all():
        raise UndefinedError(f"the rate of {int((~np.isfinite(rate)).sum())} dimensions is not finite")
    return _standardized(code[:, (rate > dead) & active(code, 0.0)])


def _standardized(code: np.ndarray) -> np.ndarray:
    return (code - code.mean(axis=0)) / code.std(axis=0)


def _lasso(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    model = Lasso(alpha=PENALTY, precompute=True).fit(one, other)
    return np.abs(model.coef_.reshape(other.shape[1], one.shape[1]).T)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.abs(one.T @ other) / len(one)


def _alike(relation: np.ndarray) -> float:
    """How near R is to one match for each row and each column, from 0 to 1."""
    means = []
    for axis in (0, 1):
        total = relation.sum(axis=axis)
        # What relates to nothing counts as 0.
        means.append(np.mean(relation.max(axis=axis) ** 2 / np.where(total > 0, total, 1.0)))
    return float(np.mean(means))
