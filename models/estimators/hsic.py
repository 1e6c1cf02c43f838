"""Hilbert-Schmidt independence criterion: zero exactly where groups of variables are independent."""

from collections.abc import Sequence

import tensorflow as tf


def hsic(gram_u: tf.Tensor, gram_v: tf.Tensor, *, unbiased: bool = False) -> tf.Tensor:
    """HSIC(u, v) = E[k l] + E[k] E[l] - 2 E[E[k | u] E[l | v]] from Gram matrices k of u and l of v.

    Bias: the default is tr(K H L H) / n^2, H = I - 1 1' / n. It is at least zero, and for independent variables of
    the order 1/n (0.002 at n = 100), so a penalty on it also pulls at the scale of the codes. `unbiased`
    has expectation HSIC, may be negative and needs four samples; with fewer it is zero.

    Args:
        gram_u: k(u_i, u_j), symmetric, [n, n].
        gram_v: l(v_i, v_j), symmetric, [n, n].
        unbiased: which of the two estimates.

    Returns:
        In units of the product of the kernels, [].

    Reference:
        Gretton et al. 2005, Measuring Statistical Dependence with Hilbert-Schmidt Norms, Eq. 9 (biased); Song et
        al. 2012, Feature Selection via Dependence Maximization, JMLR 13, Eq. 4 (unbiased).
    """
    if unbiased:
        return _unbiased(gram_u, gram_v)
    # H is a projection: one centered matrix is enough, and centering first spares float32 the cancellation of means.
    return tf.reduce_mean(_centered(gram_u) * gram_v)


def _centered(gram: tf.Tensor) -> tf.Tensor:
    """H K H, H = I - 1 1' / n."""
    by_row = gram - tf.reduce_mean(gram, axis=1, keepdims=True)
    return by_row - tf.reduce_mean(by_row, axis=0, keepdims=True)


def _unbiased(gram_u: tf.Tensor, gram_v: tf.Tensor) -> tf.Tensor:
    count = tf.cast(tf.shape(gram_u)[0], gram_u.dtype)
    n = tf.maximum(count, 4.0)
    zeros = tf.zeros([tf.shape(gram_u)[0]], gram_u.dtype)
    gram_u, gram_v = tf.linalg.set_diag(gram_u, zeros), tf.linalg.set_diag(gram_v, zeros)
    rows_u, rows_v = tf.reduce_sum(gram_u, axis=1), tf.reduce_sum(gram_v, axis=1)
    together = tf.reduce_sum(gram_u * gram_v)  # tr(K L), both symmetric
    apart = tf.reduce_sum(rows_u) * tf.reduce_sum(rows_v) / ((n - 1.0) * (n - 2.0))
    shared = 2.0 * tf.reduce_sum(rows_u * rows_v) / (n - 2.0)  # 2 1' K L 1 / (n - 2)
    return tf.where(count < 4.0, tf.zeros_like(n), (together + apart - shared) / (n * (n - 3.0)))


def dhsic(grams: Sequence[tf.Tensor]) -> tf.Tensor:
    """HSIC of several groups at once: zero exactly where all of them are jointly independent.

        mean_ij prod_g K_g[i, j] + prod_g mean_ij K_g[i, j] - 2 mean_i prod_g mean_j K_g[i, j]

    Bias: at least zero, and of the order 1/n for independent groups. For two groups it is the biased `hsic`.

    Args:
        grams: one symmetric Gram matrix per group, [n, n] each; at least two.

    Returns:
        In units of the product of the kernels, [].

    Reference:
        Pfister et al. 2018, Kernel-Based Tests for Joint Independence, JRSS B 80, Def. 2.6.
    """
    stacked = tf.stack(list(grams))  # [groups, n, n]
    rows = tf.reduce_mean(stacked, axis=2)  # [groups, n]
    together = tf.reduce_mean(tf.reduce_prod(stacked, axis=0))
    apart = tf.reduce_prod(tf.reduce_mean(rows, axis=1))
    return together + apart - 2.0 * tf.reduce_mean(tf.reduce_prod(rows, axis=0))
