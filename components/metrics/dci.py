"""DCI: disentanglement, completeness and informativeness, read off how important each dimension is to each factor.

Three ways to measure importance give three metrics, whose values must not be compared with each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LassoCV

from components.metrics.table import Split, split, standardized, table

TINY = 1e-11  # the study's: keeps the entropy of a row without importance that of a uniform one
FOLDS, PENALTIES = 5, 30


@dataclass(frozen=True, eq=False)
class Dci:
    """The three scores and what they were read off.

    Args:
        disentanglement: how far a dimension is important to one factor only, from 0 to 1.
        completeness: how far a factor has one important dimension only, from 0 to 1.
        informativeness: mean over factors of what the predictions are worth on the test part, in the unit that the
            metric says.
        importance: [latent, factors], at least 0; NaN for factors that do not vary.
        train: number of examples fitted on.
        test: number of examples scored on.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: np.ndarray
    train: int
    test: int


# (training codes, their values, test codes, their values, random state) -> importance [latent], informativeness
_Reader = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int], tuple[np.ndarray, float]]


def dci_gbt(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    *,
    train: float = 10_000,
    test: float = 5_000,
    trees: int = 100,
) -> Dci:
    """DCI by gradient-boosted trees, the reference: scikit-learn's `GradientBoostingClassifier` as it comes.

        D   = sum_j rho_j (1 - H_factors(P_j. / sum P_j.)),   rho_j = sum_k P_jk / sum P
        C   = sum_k w_k (1 - H_latent(P_.k / sum P_.k)),      w_k = sum_j P_jk / sum P
        P_jk  share of dimension j in the impurity that the trees remove for factor k

    Entropies are to the base of the number of factors, or dimensions; P of zeros scores 0. Slow: a minute or more
    for 10,000 examples, 10 dimensions and 5 factors.

    Args:
        codes: [count, latent].
        factors: [count, factors]; factors without variation are left out.
        rng: source of the split and of ties between splits of a tree.
        train: examples fitted on, a number or a share below 1; see `table.split`.
        test: examples scored on, a number or a share below 1.
        trees: rounds of boosting; the study's default, fewer for a quick look.

    Returns:
        Scores, importance, and how many examples each part had; informativeness is accuracy, from 0 to 1.

    Raises:
        UndefinedError: if fewer than two factors vary, the code has one dimension only, the parts are too small or a
            code is not finite.

    Reference:
        Eastwood and Williams 2018, A Framework for the Quantitative Evaluation of Disentangled Representations,
        Section 2, with the predictor of Locatello et al. 2019, arXiv:1811.12359.
    """

    def read(fit, values, score, truth, state):
        model = GradientBoostingClassifier(n_estimators=trees, random_state=state).fit(fit, values)
        return np.abs(model.feature_importances_), float(np.mean(model.predict(score) == truth))

    parts = split(table(codes, factors, dimensions=2, factors_needed=2), train, test, rng)
    return _result(parts, parts.train.codes, parts.test.codes, read, rng)


def dci_histogram(
    codes: np.ndarray,
    factors: np.ndarray,
    rng: np.random.Generator,
    *,
    train: float = 10_000,
    test: float = 5_000,
    trees: int = 20,
) -> Dci:
    """DCI by boosting trees on histograms: a metric of its own, under a second where the reference takes minutes.

    P_jk is the share of dimension j in the gain of the splits for factor k, of `HistGradientBoostingClassifier` with
    trees of depth 3, as the reference has, and otherwise its defaults. D and C as for `dci_gbt`.

    Args:
        codes: [count, latent].
        factors: [count, factors]; factors without variation are left out.
        rng: source of the split.
        train: examples fitted on, a number or a share below 1; see `table.split`.
        test: examples scored on, a number or a share below 1.
        trees: rounds of boosting.

    Returns:
        Scores, importance, and how many examples each part had; informativeness is accuracy, from 0 to 1.

    Raises:
        UndefinedError: as `dci_gbt`.

    Reference:
        Eastwood and Williams 2018, Section 2.
    """

    def read(fit, values, score, truth, state):
        settings: dict[str, Any] = {"max_depth": 3, "early_stopping": False, "random_state": state}
        model = HistGradientBoostingClassifier(max_iter=trees, **settings).fit(fit, values)
        return _gain(model, fit.shape[1]), float(np.mean(model.predict(score) == truth))

    parts = split(table(codes, factors, dimensions=2, factors_needed=2), train, test, rng)
    return _result(parts, parts.train.codes, parts.test.codes, read, rng)


def dci_lasso(
    codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator, *, train: float = 10_000, test: float = 5_000
) -> Dci:
    """DCI by lasso, for factors whose values are ordered: the paper's linear variant.

    P_jk is the absolute coefficient of dimension j in a lasso that predicts factor k, dimensions and factor
    standardized, its penalty chosen by cross-validation (5 folds, 30 penalties). D and C as for `dci_gbt`. A factor
    that is no linear function of the code counts as not in it.

    Args:
        codes: [count, latent].
        factors: [count, factors], the ranks of their values taken as numbers; factors without variation are left out.
        rng: source of the split.
        train: examples fitted on, a number or a share below 1; see `table.split`.
        test: examples scored on, a number or a share below 1.

    Returns:
        Scores, importance, and how many examples each part had; informativeness is the root mean squared error
        relative to that of always predicting the mean: lower is better, 1 is chance.

    Raises:
        UndefinedError: as `dci_gbt`, and if a part has too few examples for the folds.

    Reference:
        Eastwood and Williams 2018, Section 2 and Appendix B.
    """

    def read(fit, values, score, truth, _):
        mean, spread = values.mean(), values.std()
        model = LassoCV(n_alphas=PENALTIES, cv=FOLDS).fit(fit, (values - mean) / spread)
        target = (truth - mean) / spread
        error = np.mean((model.predict(score) - target) ** 2) / np.mean(target**2)
        return np.abs(model.coef_), float(np.sqrt(error))

    parts = split(table(codes, factors, dimensions=2, factors_needed=2), train, test, rng)
    return _result(parts, *standardized(parts), read, rng)


def disentanglement(importance: np.ndarray) -> float:
    """Returns D = sum_j rho_j (1 - H_factors(P_j. / sum P_j.)), from 0 to 1; 0 where nothing is important.

    Args:
        importance: P, [latent, factors], at least 0, two factors or more.
    """
    total = importance.sum()
    if total == 0:
        return 0.0
    weights = importance.sum(axis=1) / total
    shares = importance + TINY
    shares = shares / shares.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log(shares)).sum(axis=1) / np.log(importance.shape[1])
    # The last digits of an entropy can exceed that of the uniform.
    return max(0.0, float(weights @ (1 - entropy)))


def completeness(importance: np.ndarray) -> float:
    """Returns C = sum_k w_k (1 - H_latent(P_.k / sum P_.k)), from 0 to 1; 0 where nothing is important.

    Args:
        importance: P, [latent, factors], at least 0, two dimensions or more.
    """
    return disentanglement(importance.T)


def _result(parts: Split, fit: np.ndarray, score: np.ndarray, read: _Reader, rng: np.random.Generator) -> Dci:
    """The scores from the importance that a reader finds, factor by factor."""
    importance, worth = np.empty((fit.shape[1], len(parts.train.sizes))), np.empty(len(parts.train.sizes))
    for k in range(len(worth)):
        state = int(rng.integers(2**31))
        importance[:, k], worth[k] = read(fit, parts.train.values[:, k], score, parts.test.values[:, k], state)
    return Dci(
        disentanglement=disentanglement(importance),
        completeness=completeness(importance),
        informativeness=float(worth.mean()),
        importance=parts.train.columns(importance),
        train=len(fit),
        test=len(score),
    )


def _gain(model: HistGradientBoostingClassifier, width: int) -> np.ndarray:
    """Share of each dimension in the gain of all splits: [width]; zeros where nothing was split.

    scikit-learn offers permutation importance only, which takes longer than the fit and is noise clipped at zero for
    useless dimensions: they would seem to favor single factors.
    """
    gain = np.zeros(width)
    for one_round in model._predictors:
        for tree in one_round:
            splits = tree.nodes[tree.nodes["is_leaf"] == 0]
            np.add.at(gain, splits["feature_idx"], splits["gain"])
    return gain / gain.sum() if gain.sum() > 0 else gain
