"""A two-sample test of codes by the estimator of MMD that trains models."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from models.estimators import median_distance, mmd, mmd_between_groups, rbf

MULTIPLES = (0.5, 1.0, 2.0)
HEURISTIC = 500
"""Most codes that the median distance is taken of."""


@dataclass(frozen=True)
class KernelTest:
    """How far apart two samples of codes are, and how often chance alone takes them as far.

    Args:
        mmd2: unbiased estimate of MMD^2, in units of the kernel; about 0 for samples of one distribution.
        lengthscale: median distance of two codes of the pooled samples.
        p_value: of the permutation test.
    """

    mmd2: float
    lengthscale: float
    p_value: float


def kernel_test(reference: np.ndarray, live: np.ndarray, *, permutations: int, seed: int) -> KernelTest:
    """Tests whether two samples are of one distribution.

        p = (1 + #{permuted MMD^2 >= MMD^2}) / (1 + permutations)

    The kernel is the mean of Gaussian kernels of half, one and two median distances of the pooled samples, which no
    permutation changes; so the test is exact: it errs with probability p at most, whatever the distribution.

    Args:
        reference: codes, [n, latent]; at least two.
        live: codes, [m, latent]; at least two.
        permutations: number of random divisions of the pooled samples into n and m.
        seed: seed of the divisions.

    Reference:
        Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, Eq. 3 and Sec. 5; Phipson and Smyth 2010, Permutation
        P-values Should Never Be Zero, Eq. 2.
    """
    rng = np.random.default_rng(seed)
    pooled = tf.constant(np.concatenate([reference, live]), tf.float64)
    count = len(reference)
    scale = median_distance(tf.gather(pooled, rng.permutation(len(pooled))[:HEURISTIC]))
    gram = rbf(pooled, pooled, [multiple * scale for multiple in MULTIPLES])
    first = np.arange(len(pooled)) < count
    divisions = np.stack([first, *(rng.permutation(first) for _ in range(permutations))])
    statistics = _between(gram, tf.constant(divisions)).numpy()
    # As large up to rounding: a division that only swaps equal codes must count.
    as_large = np.sum(statistics[1:] >= statistics[0] - 1e-12)
    return KernelTest(
        mmd2=float(mmd(gram[:count, :count], gram[count:, count:], gram[:count, count:])),
        lengthscale=float(scale),
        p_value=float(1 + as_large) / (1 + permutations),
    )


@tf.function(reduce_retracing=True)
def _between(gram: tf.Tensor, divisions: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(
        lambda first: mmd_between_groups(gram, first, tf.logical_not(first)),
        divisions,
        fn_output_signature=gram.dtype,
    )
