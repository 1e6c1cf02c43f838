"""Gaussian factors."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.base import Factor
from models.part import ensure_built

LOG_VARIANCE = 10.0


def scale_of(log_variance: tf.Tensor) -> tf.Tensor:
    """exp(log_variance / 2), the log-variance clipped to [-10, 10] so that a bad step cannot overflow."""
    return tf.exp(0.5 * tf.clip_by_value(log_variance, -LOG_VARIANCE, LOG_VARIANCE))


class DiagonalNormal(Factor):
    """q(z|x) = N(mu(x), diag(sigma(x)^2)), mean and log-variance read linearly off the network's last layer.

        z = mu + exp(log_variance / 2) * eps,  eps ~ N(0, I)

    Args:
        network: layer from [batch, *event] to features [batch, width].
        latent: width of z.

    Example:
        >>> import numpy as np
        >>> from models.networks import dense
        >>> q = DiagonalNormal(dense.encoder((8,)), latent=2)
        >>> q(np.ones((5, 8), "float32")).sample(seed=(0, 1)).shape
        TensorShape([5, 2])

    Reference:
        Kingma and Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114, Eq. 9.
    """

    def __init__(self, network: keras.Layer, latent: int, **kwargs: Any):
        super().__init__(network, **kwargs)
        self.latent = latent
        self.moments = keras.layers.Dense(2 * latent, name="moments", dtype=self.dtype_policy)

    @override
    def build(self, input_shape):
        super().build(input_shape)
        ensure_built(self.moments, (None, *self.output_event))

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns N(mu, diag(sigma^2)) with batch shape [...] for features [..., width]."""
        moments = tf.cast(self.moments(features), self.variable_dtype)
        mean, spread = tf.split(moments, 2, axis=-1)  # [..., latent] each
        return tfd.Independent(tfd.Normal(mean, self.scale(spread)), reinterpreted_batch_ndims=1)

    def scale(self, spread: tf.Tensor) -> tf.Tensor:
        """Returns the standard deviation for what the network says of it: here the log-variance."""
        return scale_of(spread)


class SoftplusNormal(DiagonalNormal):
    """q(z|x) = N(mu(x), diag(sigma(x)^2)) with sigma = softplus(spread - 5): nearly deterministic at the start.

    Args:
        network: layer from [batch, *event] to features [batch, width].
        latent: width of z.

    Reference:
        Alemi et al. 2017, Deep Variational Information Bottleneck, arXiv:1612.00410, Section 4.1.
    """

    OFFSET = 5.0

    def scale(self, spread: tf.Tensor) -> tf.Tensor:
        """Returns the standard deviation, never quite zero."""
        return tf.math.softplus(spread - self.OFFSET) + 1e-6
