"""The nearest map from one embedding space into another that bends nothing: orthogonal Procrustes."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from components.metrics.undefined import UndefinedError

LAST_THE_SAME = "all codes of the last blessed model are the same"
NEW_THE_SAME = "all codes of the new model are the same"


class Moments:
    """Means and covariances of two models' codes of the same examples, which arrive in batches (Chan's update).

    All that a fit needs, whatever the number of examples: memory is of the order of the widths squared.

    Attributes:
        count: number of examples so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._widths = (0, 0)
        self._mean = np.zeros(0)
        self._products = np.zeros((0, 0))

    def add(self, new: np.ndarray, old: np.ndarray) -> None:
        """Takes in one batch.

        Args:
            new: codes of the model to align, [batch, new latent].
            old: codes of the same examples by the model to align to, [batch, old latent].
        """
        if not len(new):
            return
        both = np.concatenate([new, old], axis=1).astype(np.float64)  # [batch, new latent + old latent]
        mean = both.mean(axis=0)
        products = (both - mean).T @ (both - mean)
        if not self.count:
            self.count, self._mean, self._products = len(both), mean, products
            self._widths = (new.shape[1], old.shape[1])
            return
        total, shift = self.count + len(both), mean - self._mean
        self._products = self._products + products + np.outer(shift, shift) * (self.count * len(both) / total)
        self._mean = self._mean + shift * (len(both) / total)
        self.count = total

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean codes, [new latent] and [old latent]."""
        return self._mean[: self._widths[0]], self._mean[self._widths[0] :]

    @property
    def products(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums of products of centered codes: new by new, new by old, old by old."""
        place = self._widths[0]
        return self._products[:place, :place], self._products[:place, place:], self._products[place:, place:]


@dataclass(frozen=True)
class Alignment:
    """A map from a new space into an old one: aligned = code @ matrix + offset.

    Args:
        matrix: scale times a matrix with orthonormal rows or columns, [new latent, old latent].
        offset: [old latent].
        scale: how much distances are stretched.
        residual: squared error of the examples it was fitted on, relative to the old codes' spread.
        count: number of those examples.
    """

    matrix: np.ndarray
    offset: np.ndarray
    scale: float = 1.0
    residual: float = 0.0
    count: int = 0

    @classmethod
    def identity(cls, latent: int) -> "Alignment":
        """Returns the map of a space to itself."""
        return cls(np.eye(latent), np.zeros(latent))

    def codes(self, codes: np.ndarray) -> np.ndarray:
        """Returns codes [batch, new latent] in the old space, [batch, old latent]."""
        return codes @ self.matrix + self.offset

    def stddev(self, stddev: np.ndarray) -> np.ndarray:
        """Returns what independent standard deviations become: those of each dimension of the old space, alone.

        sqrt(sum_i stddev_i^2 matrix_ij^2); the dimensions are no longer independent of each other.
        """
        return np.sqrt(stddev**2 @ self.matrix**2)


def fit(moments: Moments) -> Alignment:
    """Fits the alignment.

    With X the new codes and Y the old ones, both centered,

        R = argmin ||X R - Y||^2 over R' R = I,    s = ||Y|| / ||X R||,    aligned = s (x - mean x) R + mean y

    R = U V' with U S V' the singular value decomposition of X' Y; reflections are allowed. Spaces of different
    width are filled up with zeros to the larger one and R is cut back to [new latent, old latent]: a narrower
    space is laid into the old one, a wider one projected onto it. The scale makes aligned codes spread as much as
    the old ones do; the one of least squares would be smaller and pull every query toward the middle of an index.

    Args:
        moments: of both models' codes of the same examples.

    Returns:
        The alignment; its residual is ||s X R - Y||^2 / ||Y||^2, from 0 (the same space, turned) to 2.

    Raises:
        UndefinedError: if there are fewer than two examples, or all codes of one of the models are the same.

    Reference:
        Schoenemann, "A generalized solution of the orthogonal Procrustes problem" (1966).
        Golub, Van Loan, "Matrix Computations" (4th edition, 2013), section 6.4.1.
    """
    if moments.count < 2:
        raise UndefinedError(f"{moments.count} examples are too few to align spaces by")
    new, cross, old = moments.products
    if not (np.isfinite(new).all() and np.isfinite(old).all()):
        raise UndefinedError("some codes are not finite")
    rows, columns = cross.shape
    padded = np.zeros((max(rows, columns),) * 2)
    padded[:rows, :columns] = cross
    # Of X' Y alone, the sum of products: the identity takes the place of X.
    turn = scipy.linalg.orthogonal_procrustes(np.eye(len(padded)), padded)[0][:rows, :columns]
    turned, spread = float(np.trace(turn.T @ new @ turn)), float(np.trace(old))
    if not turned > 0 or not spread > 0:
        raise UndefinedError(LAST_THE_SAME if np.trace(new) > 0 >= spread else NEW_THE_SAME)
    scale = float(np.sqrt(spread / turned))
    common = float(np.trace(turn.T @ cross))
    residual = max(2 - 2 * scale * common / spread, 0.0)  # ||s X R||^2 is ||Y||^2, and rounding may go below 0
    means = moments.means
    matrix = scale * turn
    return Alignment(matrix, means[1] - means[0] @ matrix, scale, residual, moments.count)
