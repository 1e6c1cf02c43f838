"""What the codes alone tell, without labels: spread, active units, rate by dimension."""

import numpy as np

from models.collapse import ACTIVE


class Spread:
    """Variance of every dimension of codes that arrive in batches (Chan's update, float64)."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = np.zeros(0)
        self._squares = np.zeros(0)

    def add(self, codes: np.ndarray) -> None:
        """Takes in one batch of codes, [batch, latent]."""
        if not len(codes):
            return
        batch = codes.astype(np.float64)
        mean = batch.mean(axis=0)  # [latent]
        squares = ((batch - mean) ** 2).sum(axis=0)
        if not self.count:
            self.count, self._mean, self._squares = len(batch), mean, squares
            return
        total = self.count + len(batch)
        shift = mean - self._mean
        self._squares = self._squares + squares + shift**2 * (self.count * len(batch) / total)
        self._mean = self._mean + shift * (len(batch) / total)
        self.count = total

    @property
    def variance(self) -> np.ndarray:
        """Variance of every dimension over the examples (divided by their number), [latent]."""
        return self._squares / max(self.count, 1)


def active_units(variance: np.ndarray) -> int:
    """Returns the number of active units: #{j: Var_x(E_q[z_j | x]) > 0.01}.

    Args:
        variance: variance over the data of every dimension of the posterior mean, [latent].

    Reference:
        Burda, Grosse, Salakhutdinov, "Importance Weighted Autoencoders" (2016), section 4.
    """
    return int(np.sum(variance > ACTIVE))


def standard_normal_rate(mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
    """Returns KL(N(mean, stddev^2) || N(0, 1)) of every dimension, in nats.

    0.5 * (mean^2 + stddev^2 - 1) - log(stddev)

    Args:
        mean: posterior mean, [batch, latent].
        stddev: posterior standard deviation, [batch, latent], positive.

    Returns:
        [batch, latent] nats; their sum is the rate of an example if the prior is the standard normal.
    """
    return 0.5 * (mean**2 + stddev**2 - 1) - np.log(stddev)
