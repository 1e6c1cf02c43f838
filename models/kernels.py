"""Kernels as arguments of terms: what counts as near in the space of codes."""

from dataclasses import dataclass

import tensorflow as tf
from typing_extensions import override

from models.estimators import kernels
from models.part import Fields


class Kernel(Fields):
    """A positive definite function of two codes. Subclasses are frozen dataclasses with a `__call__`."""

    def __call__(self, u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        """Returns the Gram matrix [n, m] of codes [n, latent] and [m, latent]."""
        raise NotImplementedError


@dataclass(frozen=True)
class RBF(Kernel):
    """exp(-|u - v|^2 / (2 l^2)), the mean over lengthscales l.

    Args:
        lengthscales: each above 0, in the units of the code.
    """

    lengthscales: tuple[float, ...]

    def __post_init__(self):
        object.__setattr__(self, "lengthscales", tuple(self.lengthscales))

    @override
    def __call__(self, u, v):
        return kernels.rbf(u, v, self.lengthscales)


@dataclass(frozen=True)
class IMQ(Kernel):
    """C / (C + |u - v|^2) with C = 2 d s for codes of d dimensions, the mean over scales s.

    Its tails are heavy, so clouds far apart still attract each other.

    Args:
        scales: each above 0; 1 suits codes of unit variance.

    Reference:
        Tolstikhin et al. 2018, Wasserstein Auto-Encoders, arXiv:1711.01558, Section 4.
    """

    scales: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

    def __post_init__(self):
        object.__setattr__(self, "scales", tuple(self.scales))

    @override
    def __call__(self, u, v):
        return kernels.imq(u, v, self.scales)
