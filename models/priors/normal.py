"""Gaussian priors."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.priors.base import Prior
from models.trace import Context


class StandardNormal(Prior):
    """p(z) = N(0, I).

    Args:
        latent: width of z.

    Example:
        >>> StandardNormal(3)().event_shape
        TensorShape([3])
    """

    @override
    def call(self, context: Context | None = None) -> Distribution:
        zeros = tf.zeros([self.latent], self.variable_dtype)
        return tfd.Independent(tfd.Normal(zeros, tf.ones_like(zeros)), reinterpreted_batch_ndims=1)


class StandardLogNormal(Prior):
    """log z ~ N(0, I): the prior of positive codes under multiplicative noise.

    Args:
        latent: width of z.

    Reference:
        Achille and Soatto 2018, Information Dropout, arXiv:1611.01353, Proposition 5.
    """

    @override
    def call(self, context: Context | None = None) -> Distribution:
        zeros = tf.zeros([self.latent], self.variable_dtype)
        return tfd.Independent(tfd.LogNormal(zeros, tf.ones_like(zeros)), reinterpreted_batch_ndims=1)
