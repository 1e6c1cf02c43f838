"""SAP: how far one dimension alone is ahead of the second best in predicting a factor."""

from dataclasses import dataclass

import numpy as np

from components.metrics.table import Table, gap, split, table

PENALTY = 0.01  # C of the support vector machines, the study's
LEAST_VARIANCE = 1e-12  # below it a dimension explains nothing
STEPS, TINY = 100, 1e-12  # of Newton's method


@dataclass(frozen=True, eq=False)
class Sap:
    """Separated attribute predictability.

    Args:
        score: mean over the factors of best less second best, from 0 to 1.
        matrix: what each dimension alone predicts, [latent, factors]; NaN for factors that do not vary.
        train: number of examples fitted on.
        test: number of examples scored on.
    """

    score: float
    matrix: np.ndarray
    train: int
    test: int


def sap(
    codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator, *, train: float = 10_000, test: float = 5_000
) -> Sap:
    """SAP for factors whose values have no order.

        SAP = mean_k (A_(1),k - A_(2),k),   A_j,k = test accuracy of a linear machine that reads dimension j alone

    The machine is one support vector machine for each value against the rest (squared hinge loss, C = 0.01, balanced
    classes). On one axis it can tell at most about three values in a row apart, so an ideal code scores far below 1
    where an ordered factor has many.

    Args:
        codes: [count, latent]; a code of one dimension has a runner-up of zero.
        factors: [count, factors]; factors without variation are left out.
        rng: source of the split.
        train: examples fitted on, a number or a share below 1; see `table.split`.
        test: examples scored on, a number or a share below 1.

    Returns:
        Score, accuracies, and how many examples each part had.

    Raises:
        UndefinedError: if no factor varies, the parts are too small or a code is not finite.

    Reference:
        Kumar et al. 2018, Variational Inference of Disentangled Latent Concepts from Unlabeled Observations,
        arXiv:1711.00848, Section 3, with the classifier of Locatello et al. 2019, arXiv:1811.12359.
    """
    whole = table(codes, factors)
    parts = split(whole, train, test, rng)
    matrix = np.empty((whole.codes.shape[1], len(whole.sizes)))
    for j in range(len(matrix)):
        order = np.argsort(parts.train.codes[:, j])
        code, values = _Sorted(parts.train.codes[order, j]), parts.train.values[order]
        for k, size in enumerate(whole.sizes):
            predicted = _predicted(code, values[:, k], size, parts.test.codes[:, j])
            matrix[j, k] = np.mean(predicted == parts.test.values[:, k])
    return _result(whole, matrix, len(parts.train.codes), len(parts.test.codes))


def sap_continuous(codes: np.ndarray, factors: np.ndarray) -> Sap:
    """SAP for factors whose values are ordered, by squared correlation.

        A_j,k = Cov(code j, factor k)^2 / (Var(code j) Var(factor k)), 0 where Var(code j) <= 1e-12

    Every example is used, for both parts.

    Args:
        codes: [count, latent]; a code of one dimension has a runner-up of zero.
        factors: [count, factors], the indices taken as numbers; factors without variation are left out.

    Returns:
        Score and squared correlations.

    Raises:
        UndefinedError: if no factor varies or a code is not finite.

    Reference:
        Kumar et al. 2018, arXiv:1711.00848, Section 3.
    """
    whole = table(codes, factors)
    values = np.asarray(factors, np.float64)[:, whole.varied]
    centered, targets = whole.codes - whole.codes.mean(axis=0), values - values.mean(axis=0)
    power = (centered**2).sum(axis=0)[:, None]
    explained = (centered.T @ targets) ** 2 / (np.where(power > 0, power, 1.0) * (targets**2).sum(axis=0))
    matrix = np.where(power > LEAST_VARIANCE * (len(centered) - 1), explained, 0.0)
    return _result(whole, matrix, len(centered), len(centered))


def _result(whole: Table, matrix: np.ndarray, train: int, test: int) -> Sap:
    return Sap(float(np.mean(gap(matrix))), whole.columns(matrix), train, test)


class _Sorted:
    """Sums of 1, x and x^2 over any stretch of sorted numbers, at the cost of a search.

    Args:
        x: ascending, [count].
    """

    def __init__(self, x: np.ndarray):
        self.x = x
        self._sums, self._squares = (np.concatenate([[0.0], np.cumsum(power)]) for power in (x, x * x))

    def inside(self, weight: float, bias: float) -> tuple[float, float, float]:
        """The sums over those inside the margin, weight x + bias < 1."""
        count = len(self.x)
        if weight == 0:
            start, end = 0, count if bias < 1 else 0
        elif weight > 0:
            start, end = 0, int(self.x.searchsorted((1 - bias) / weight, side="left"))
        else:
            start, end = int(self.x.searchsorted((1 - bias) / weight, side="right")), count
        sums, squares = self._sums, self._squares
        return end - start, float(sums[end]) - float(sums[start]), float(squares[end]) - float(squares[start])


def _predicted(code: _Sorted, value: np.ndarray, size: int, test: np.ndarray) -> np.ndarray:
    """The value that the machines predict for each test code: [test]."""
    counts = np.bincount(value, minlength=size)
    present = np.flatnonzero(counts)
    costs = PENALTY * len(value) / (len(present) * counts[present])  # balanced
    own = [_Sorted(code.x[value == v]) for v in present]
    if len(present) == 2:
        weight, bias = _machine(code, own[1], costs[1], costs[0])
        return present[(weight * test + bias > 0).astype(np.int64)]
    # One value against the rest balances the value, not the rest.
    weights, biases = np.array([_machine(code, each, cost, PENALTY) for each, cost in zip(own, costs, strict=True)]).T
    return present[np.argmax(np.outer(weights, test) + biases[:, None], axis=0)]


def _machine(everyone: _Sorted, own: _Sorted, cost: float, rest_cost: float) -> tuple[float, float]:
    """Weight and bias of the machine that tells its own examples from the rest, by Newton's method.

        min (weight^2 + bias^2) / 2 + sum_i cost_i max(0, 1 - sign_i (weight x_i + bias))^2

    The objective is quadratic wherever the examples inside the margin stay the same, so a few steps reach the
    optimum itself. Numbers are Python's, for arrays of two would take most of the time.
    """

    def look(weight: float, bias: float) -> tuple[float, float, float]:
        """Objective and Newton's step."""
        mine, rest = own.inside(weight, bias), everyone.inside(-weight, -bias)
        among = own.inside(-weight, -bias)
        theirs = rest[0] - among[0], rest[1] - among[1], rest[2] - among[2]
        value, slope_w, slope_b = (weight * weight + bias * bias) / 2, weight, bias
        ww, wb, bb = 1.0, 0.0, 1.0
        for (n, x, xx), sign, each in ((mine, 1.0, cost), (theirs, -1.0, rest_cost)):
            near, tilt = 1 - sign * bias, sign * weight
            short, short_x = near * n - tilt * x, near * x - tilt * xx  # by how much, summed; and times x
            value += each * (near * short - tilt * short_x)
            slope_w -= 2 * each * sign * short_x
            slope_b -= 2 * each * sign * short
            ww, wb, bb = ww + 2 * each * xx, wb + 2 * each * x, bb + 2 * each * n
        # Positive but for rounding, which a code far from zero relative to its spread suffers from.
        determinant = max(ww * bb - wb * wb, 1e-16 * ww * bb)
        return value, (bb * slope_w - wb * slope_b) / determinant, (ww * slope_b - wb * slope_w) / determinant

    weight, bias, (value, step_w, step_b) = 0.0, 0.0, look(0.0, 0.0)
    for _ in range(STEPS):
        if max(abs(step_w), abs(step_b)) <= TINY * max(abs(weight), abs(bias)):
            break
        size, following = 1.0, look(weight - step_w, bias - step_b)
        # A full step can overshoot where the margin moves; rounding of the objective is no overshooting.
        while following[0] > value * (1 + TINY) and size > TINY:
            size /= 2
            following = look(weight - size * step_w, bias - size * step_b)
        weight, bias, (value, step_w, step_b) = weight - size * step_w, bias - size * step_b, following
    return weight, bias
