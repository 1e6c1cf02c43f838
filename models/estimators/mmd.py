"""Maximum mean discrepancy: how far apart two distributions are, by the mean of kernels over their samples.

MMD^2(a, b) = E k(z, z') + E k(w, w') - 2 E k(z, w),  z, z' ~ a,  w, w' ~ b
"""

from collections.abc import Callable

import tensorflow as tf


def mmd(kernel_aa: tf.Tensor, kernel_bb: tf.Tensor, kernel_ab: tf.Tensor, *, unbiased: bool = True) -> tf.Tensor:
    """MMD^2 from Gram matrices.

    Bias: none, and it may be negative, if `unbiased` (the diagonals are left out). Otherwise the diagonals count,
    the value is at least zero and too high by (k(0) - E k(z, z')) / n + (k(0) - E k(w, w')) / m.

    Args:
        kernel_aa: k(z_i, z_j), [n, n].
        kernel_bb: k(w_i, w_j), [m, m].
        kernel_ab: k(z_i, w_j), [n, m].
        unbiased: whether to leave out pairs of a sample with itself; needs two samples of each.

    Returns:
        MMD^2, in units of the kernel, [].

    Reference:
        Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, Eq. 3 (unbiased) and 5 (biased).
    """
    mean = _mean_of_others if unbiased else tf.reduce_mean
    return mean(kernel_aa) + mean(kernel_bb) - 2.0 * tf.reduce_mean(kernel_ab)


def _mean_of_others(gram: tf.Tensor) -> tf.Tensor:
    """Mean of a square matrix without its diagonal; zero for a single sample."""
    count = tf.cast(tf.shape(gram)[0], gram.dtype)
    return (tf.reduce_sum(gram) - tf.linalg.trace(gram)) / tf.maximum(count * (count - 1.0), 1.0)


def mmd_between_groups(gram: tf.Tensor, membership0: tf.Tensor, membership1: tf.Tensor) -> tf.Tensor:
    """MMD^2 between two groups of one batch: D' K D, D = membership0 / n0 - membership1 / n1.

    Bias: that of the biased `mmd`, with the groups' sizes for n and m. The groups' sizes are random and may differ.

    Args:
        gram: k(z_i, z_j), [batch, batch].
        membership0: bool, or a weight of at least zero, [batch]: who belongs to the first group.
        membership1: the same for the second group; the groups may overlap (a group against everybody).

    Returns:
        MMD^2, in units of the kernel, []; zero if a group is empty.

    Reference:
        Louizos et al. 2016, The Variational Fair Autoencoder, arXiv:1511.00830, Sec. 2.3.
    """
    first, second = tf.cast(membership0, gram.dtype), tf.cast(membership1, gram.dtype)
    size0, size1 = tf.reduce_sum(first), tf.reduce_sum(second)
    difference = tf.math.divide_no_nan(first, size0) - tf.math.divide_no_nan(second, size1)
    both = tf.cast(tf.logical_and(size0 > 0.0, size1 > 0.0), gram.dtype)
    return both * tf.reduce_sum(difference * tf.linalg.matvec(gram, difference))


def linear_time_mmd(a: tf.Tensor, b: tf.Tensor, kernel: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """MMD^2 from pairs of consecutive samples: time and memory grow with the batch, not with its square.

        mean_i [ k(a_2i, a_2i+1) + k(b_2i, b_2i+1) - k(a_2i, b_2i+1) - k(a_2i+1, b_2i) ]

    Bias: none; its variance is larger than that of `mmd` on as many samples. An odd sample is left out; a single one
    gives zero.

    Args:
        a: samples, [n, latent].
        b: samples, [n, latent].
        kernel: from [..., n, latent] and [..., m, latent] to [..., n, m].

    Returns:
        MMD^2, in units of the kernel, [].

    Reference:
        Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, Lemma 14.
    """
    pairs = tf.shape(a)[0] // 2
    a0, a1 = a[: 2 * pairs : 2, tf.newaxis, :], a[1 : 2 * pairs : 2, tf.newaxis, :]  # [pairs, 1, latent]
    b0, b1 = b[: 2 * pairs : 2, tf.newaxis, :], b[1 : 2 * pairs : 2, tf.newaxis, :]
    total = tf.reduce_sum(kernel(a0, a1) + kernel(b0, b1) - kernel(a0, b1) - kernel(a1, b0))
    return total / tf.cast(tf.maximum(pairs, 1), total.dtype)
