"""Mixture priors."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.normal import scale_of
from models.priors.base import Prior
from models.trace import Context


class GaussianMixture(Prior):
    """m(z) = sum_k w_k N(mu_k, diag(sigma_k^2)), weights, means and variances learned with the model.

    The rate under it has no closed form and is estimated at one sample of the posterior.

    Args:
        latent: width of z.
        components: number of Gaussians.

    Reference:
        Alemi et al. 2018, Fixing a Broken ELBO, arXiv:1711.00464, Section 4 (learned marginals).
    """

    def __init__(self, latent: int, components: int = 10, **kwargs: Any):
        super().__init__(latent, **kwargs)
        if components < 1:
            raise ValueError(f"`components` must be at least 1. Received: components={components}.")
        self.components = components

    @override
    def build(self, input_shape):
        shape, weights = (self.components, self.latent), (self.components,)
        spread = keras.initializers.RandomNormal(stddev=1.0)
        self.logits = self.add_weight(name="logits", shape=weights, initializer="zeros", autocast=False)
        self.means = self.add_weight(name="means", shape=shape, initializer=spread, autocast=False)
        self.log_variance = self.add_weight(name="log_variance", shape=shape, initializer="zeros", autocast=False)

    @override
    def call(self, context: Context | None = None) -> Distribution:
        normal = tfd.Normal(tf.convert_to_tensor(self.means), scale_of(tf.convert_to_tensor(self.log_variance)))
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.convert_to_tensor(self.logits)), tfd.Independent(normal, 1)
        )
