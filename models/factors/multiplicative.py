"""Codes under multiplicative noise."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.base import Factor
from models.part import ensure_built

LEAST = 1e-3
TINY = 1e-7  # keeps the logarithm of a silent unit finite


class LogNormal(Factor):
    """q(z|x): positive units f(x) under log-normal noise whose strength depends on x too.

        z = f(x) * epsilon,  log epsilon ~ N(0, alpha(x)^2),  f = softplus(.),
        alpha = 0.001 + noise * sigmoid(.)

    Args:
        network: layer from [batch, *event] to features [batch, width].
        latent: width of z.
        noise: the strongest noise, the standard deviation of log epsilon, above 0.

    Reference:
        Achille and Soatto 2018, Information Dropout, arXiv:1611.01353, Section 4 and Proposition 5.
    """

    def __init__(self, network: keras.Layer, latent: int, noise: float = 0.7, **kwargs: Any):
        super().__init__(network, **kwargs)
        if noise <= 0:
            raise ValueError(f"`noise` must be above 0. Received: noise={noise}.")
        self.latent = latent
        self.noise = noise
        self.units = keras.layers.Dense(2 * latent, name="units", dtype=self.dtype_policy)

    @override
    def build(self, input_shape):
        super().build(input_shape)
        ensure_built(self.units, (None, *self.output_event))

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns the log-normal of mean log f and standard deviation alpha of the logarithm, [..., latent]."""
        units = tf.cast(self.units(features), self.variable_dtype)
        signal, strength = tf.split(units, 2, axis=-1)  # [..., latent] each
        log_signal = tf.math.log(tf.math.softplus(signal) + TINY)
        alpha = LEAST + self.noise * tf.math.sigmoid(strength)
        return tfd.Independent(tfd.LogNormal(log_signal, alpha), reinterpreted_batch_ndims=1)
