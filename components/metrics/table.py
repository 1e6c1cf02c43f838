"""A finite table of codes and factors, checked: what every score of disentanglement starts from."""

from dataclasses import dataclass

import numpy as np

from components.metrics.undefined import UndefinedError


@dataclass(frozen=True, eq=False)
class Table:
    """Codes with the factors that vary.

    Args:
        codes: [count, latent], float64, finite.
        values: index of each example's value among the values of the factor that occur, [count, varied].
        sizes: number of values of each factor that varies, [varied], at least 2 each.
        varied: columns of the factors that vary, [varied]; the others are left out.
        width: number of factors, those left out included.
    """

    codes: np.ndarray
    values: np.ndarray
    sizes: np.ndarray
    varied: np.ndarray
    width: int

    def take(self, rows: np.ndarray) -> "Table":
        """Returns the rows, values numbered as before: [rows]."""
        return Table(self.codes[rows], self.values[rows], self.sizes, self.varied, self.width)

    def columns(self, matrix: np.ndarray) -> np.ndarray:
        """Returns [latent, varied] as [latent, factors], with NaN for the factors that were left out."""
        full = np.full((len(matrix), self.width), np.nan)
        full[:, self.varied] = matrix
        return full


@dataclass(frozen=True, eq=False)
class Split:
    """Two parts of a table that share no example.

    Args:
        train: what is fitted on.
        test: what is scored on.
    """

    train: Table
    test: Table


def finite(codes: np.ndarray) -> np.ndarray:
    """Returns codes as [count, latent] of float64.

    Args:
        codes: [count, latent].

    Raises:
        UndefinedError: if a code is not finite or there are fewer than two examples.
        ValueError: if `codes` is not a matrix with at least one dimension.
    """
    codes = np.asarray(codes, np.float64)
    if codes.ndim != 2 or not codes.shape[1]:
        raise ValueError(f"`codes` must be [count, latent]. Received: codes.shape={codes.shape}.")
    if len(codes) < 2:
        raise UndefinedError(f"{len(codes)} examples are too few; it takes at least 2")
    if not np.isfinite(codes).all():
        bad = int((~np.isfinite(codes)).any(axis=1).sum())
        raise UndefinedError(f"{bad:,} of {len(codes):,} codes are not finite")
    return codes


def table(codes: np.ndarray, factors: np.ndarray, *, dimensions: int = 1, factors_needed: int = 1) -> Table:
    """Checks codes and factors and leaves out factors with one value only, which say nothing.

    Args:
        codes: [count, latent].
        factors: class indices, [count, factors], independent of each other.
        dimensions: least number of dimensions that the metric is defined for.
        factors_needed: least number of factors that must vary.

    Raises:
        UndefinedError: if a code is not finite, or examples, dimensions or factors that vary are too few.
        ValueError: if shapes do not match or `factors` are no integers.
    """
    codes, factors = finite(codes), np.asarray(factors)
    if factors.ndim != 2 or len(factors) != len(codes):
        raise ValueError(f"`factors` must be [{len(codes)}, factors]. Received: factors.shape={factors.shape}.")
    if not (np.issubdtype(factors.dtype, np.integer) or factors.dtype == bool):
        raise ValueError(f"`factors` must be class indices. Received: factors.dtype={factors.dtype}.")
    if codes.shape[1] < dimensions:
        raise UndefinedError(f"codes of {codes.shape[1]} dimension are too narrow; it takes at least {dimensions}")
    values = np.stack([_numbered(factor) for factor in factors.T], axis=1) if factors.size else factors
    sizes = values.max(axis=0) + 1 if factors.size else np.zeros(0, np.int64)
    varied = np.flatnonzero(sizes > 1)
    if len(varied) < factors_needed:
        raise UndefinedError(f"{len(varied)} factors vary; it takes at least {factors_needed}")
    return Table(codes, values[:, varied], sizes[varied], varied, factors.shape[1])


def split(whole: Table, train: float, test: float, rng: np.random.Generator) -> Split:
    """Draws a training and a test part without replacement.

    Whole numbers are numbers of examples, numbers below 1 shares of the table. Where the table has fewer examples
    than both parts together, both parts shrink in proportion and use it up. Results say how many each had.

    Args:
        whole: the table.
        train: size of the training part.
        test: size of the test part.
        rng: source of the draw.

    Raises:
        UndefinedError: if a part is empty, or the training part has only one value of a factor.
        ValueError: if a size is not positive.
    """
    count = len(whole.codes)
    if train <= 0 or test <= 0:
        raise ValueError(f"`train` and `test` must be positive. Received: train={train}, test={test}.")
    wanted = [part * count if part < 1 else part for part in (train, test)]
    shrink = min(1.0, count / sum(wanted))
    fitted = round(wanted[0] * shrink)
    scored = min(round(wanted[1]), count - fitted)
    if not fitted or not scored:
        raise UndefinedError(f"{count} examples are too few for a training and a test part")
    rows = rng.permutation(count)
    parts = Split(whole.take(rows[:fitted]), whole.take(rows[fitted : fitted + scored]))
    steady = whole.varied[np.ptp(parts.train.values, axis=0) == 0]
    if len(steady):
        raise UndefinedError(f"the {fitted} examples of the training part have one value only of factor {steady[0]}")
    return parts


def standardized(parts: Split) -> tuple[np.ndarray, np.ndarray]:
    """Returns both parts' codes with mean 0 and variance 1 in the training part; constant dimensions become 0."""
    mean, spread = parts.train.codes.mean(axis=0), parts.train.codes.std(axis=0)
    inverse = np.where(_constant(parts.train.codes), 0.0, 1.0 / np.where(spread > 0, spread, 1.0))
    return (parts.train.codes - mean) * inverse, (parts.test.codes - mean) * inverse


def active(codes: np.ndarray, dead: float) -> np.ndarray:
    """Returns which dimensions are active: not constant, and of a standard deviation of at least `dead`.

    Args:
        codes: [count, latent].
        dead: standard deviation (ddof 1) below which a dimension counts as dead, in units of the code.

    Returns:
        Mask, [latent]; its sum is the number of active dimensions.
    """
    return ~_constant(codes) & (codes.std(axis=0, ddof=1) >= dead)


def gap(scores: np.ndarray) -> np.ndarray:
    """Returns best less second best dimension for each factor: [factors].

    Args:
        scores: [latent, factors]; one dimension alone has a runner-up of zero.
    """
    runners_up = np.sort(np.concatenate([np.zeros((max(0, 2 - len(scores)), scores.shape[1])), scores]), axis=0)
    return runners_up[-1] - runners_up[-2]


def _constant(codes: np.ndarray) -> np.ndarray:
    """Which dimensions have one value: [latent]. The variance of a constant can be a rounding error above zero."""
    return np.ptp(codes, axis=0) == 0


def _numbered(factor: np.ndarray) -> np.ndarray:
    """Each value's rank among the values that occur: [count]."""
    factor = factor.astype(np.int64)
    low, high = factor.min(), factor.max()
    if high - low > 10 * len(factor):
        return np.unique(factor, return_inverse=True)[1]
    present = np.bincount(factor - low) > 0  # much faster than sorting
    return (np.cumsum(present) - 1)[factor - low]
