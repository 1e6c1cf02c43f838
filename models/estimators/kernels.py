"""Kernels: Gram matrices of codes or of classes, and the lengthscales that suit them."""

import math
from collections.abc import Sequence

import tensorflow as tf


def squared_distances(u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
    """||u_i - v_j||^2 for all pairs, as ||u||^2 + ||v||^2 - 2 u.v.

    Args:
        u: [..., n, latent].
        v: [..., m, latent].

    Returns:
        At least zero, [..., n, m]. The gradient at coincident points is zero.
    """
    # Distances do not change with the origin, but the rounding of the expansion does: near the points it is smallest.
    origin = tf.stop_gradient(tf.reduce_mean(v, axis=-2, keepdims=True))
    u, v = u - origin, v - origin
    norms_u = tf.reduce_sum(u * u, axis=-1, keepdims=True)  # [..., n, 1]
    norms_v = tf.linalg.matrix_transpose(tf.reduce_sum(v * v, axis=-1, keepdims=True))  # [..., 1, m]
    return tf.maximum(norms_u + norms_v - 2.0 * tf.matmul(u, v, transpose_b=True), 0.0)


def rbf(u: tf.Tensor, v: tf.Tensor, lengthscales: Sequence[float | tf.Tensor]) -> tf.Tensor:
    """Gaussian kernel, averaged over lengthscales: mean_s exp(-||u_i - v_j||^2 / (2 s^2)).

    Several lengthscales keep a gradient both for clouds far apart and for fine differences.

    Args:
        u: [..., n, latent].
        v: [..., m, latent].
        lengthscales: above zero, in units of the codes; numbers, or scalars of the codes' type.

    Returns:
        In (0, 1], [..., n, m].

    Reference:
        Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, Sec. 8.
    """
    distances = squared_distances(u, v)
    return tf.add_n([tf.exp(-0.5 * distances / (scale * scale)) for scale in lengthscales]) / len(lengthscales)


def imq(u: tf.Tensor, v: tf.Tensor, scales: Sequence[float]) -> tf.Tensor:
    """Inverse multiquadric kernel, averaged over scales: mean_s C / (C + ||u_i - v_j||^2), C = 2 latent s.

    2 latent is the expected squared distance of two codes from N(0, I); the heavy tails of the kernel keep a
    gradient for codes far from all others.

    Args:
        u: [..., n, latent].
        v: [..., m, latent].
        scales: above zero; 1 suits codes of unit variance.

    Returns:
        In (0, 1], [..., n, m].

    Reference:
        Tolstikhin et al. 2018, Wasserstein Auto-Encoders, arXiv:1711.01558, Sec. 4.
    """
    distances = squared_distances(u, v)
    expected = 2.0 * tf.compat.dimension_value(u.shape[-1])
    return tf.add_n([expected * scale / (expected * scale + distances) for scale in scales]) / len(scales)


def delta(a: tf.Tensor, b: tf.Tensor, *, dtype: tf.DType | str = tf.float32) -> tf.Tensor:
    """Kernel of classes: one where a_i = b_j, zero elsewhere.

    Args:
        a: class indices, [n].
        b: class indices, [m].
        dtype: of the result.

    Returns:
        [n, m].
    """
    return tf.cast(a[:, tf.newaxis] == b[tf.newaxis, :], dtype)


def expected_distance(dimension: int) -> float:
    """Mean distance of two points of N(0, I): 2 Gamma((d + 1) / 2) / Gamma(d / 2), a lengthscale known in advance.

    Args:
        dimension: d, at least 1.

    Returns:
        In units of the codes.

    Reference:
        Lopez et al. 2018, Information Constraints on Auto-Encoding Variational Bayes, arXiv:1805.08672.
    """
    return 2.0 * math.exp(math.lgamma((dimension + 1) / 2) - math.lgamma(dimension / 2))


def median_distance(values: tf.Tensor) -> tf.Tensor:
    """Median distance of all pairs of different points: the median heuristic for a lengthscale.

    It sorts batch^2 numbers; hand over a few hundred points. No gradient flows through it, or the codes could
    lower a penalty by moving its lengthscale.

    Args:
        values: [batch, latent].

    Returns:
        In units of the codes, []; a small positive number where all points coincide.

    Reference:
        Gretton et al. 2012, A Kernel Two-Sample Test, JMLR 13, Sec. 8.
    """
    distances = squared_distances(values, values)
    count = tf.shape(values)[0]
    diagonal = tf.zeros([count], distances.dtype)
    ordered = tf.sort(tf.reshape(tf.linalg.set_diag(distances, diagonal), [-1]))
    # First the `count` zeros of the diagonal, then every pair twice: the two middle values are the median's neighbors.
    middle = count + count * (count - 1) // 2
    middles = tf.gather(ordered, tf.minimum([middle - 1, middle], count * count - 1))
    return tf.stop_gradient(tf.maximum(tf.reduce_mean(tf.sqrt(middles)), 1e-6))
