"""Codes without noise."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.base import Factor
from models.part import ensure_built


class Deterministic(Factor):
    """q(z|x) = delta(z - f(x)).

    A point has no differential entropy, so the rate of such an encoder is reported without that term:
    -log p(z), which compares codes of one encoder and is no number of nats that would have to be sent.

    Args:
        network: layer from [batch, *event] to features [batch, width].
        latent: width of z.
    """

    def __init__(self, network: keras.Layer, latent: int, **kwargs: Any):
        super().__init__(network, **kwargs)
        self.latent = latent
        self.code = keras.layers.Dense(latent, name="code", dtype=self.dtype_policy)

    @override
    def build(self, input_shape):
        super().build(input_shape)
        ensure_built(self.code, (None, *self.output_event))

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns the point distribution at the code [..., latent]."""
        return tfd.VectorDeterministic(tf.cast(self.code(features), self.variable_dtype))
