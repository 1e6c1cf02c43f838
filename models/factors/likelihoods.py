"""Likelihood heads: a decoder network's output read as p(x|z)."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.base import Factor
from models.factors.scales import FixedScale, Scale
from models.part import ensure_built


class _Pixels(tfd.Bernoulli):
    """Bernoulli whose log-probability also takes grey values: x * logits - log(1 + exp(logits)).

    The same number as TFP's own, with one transcendental function per pixel instead of two.
    """

    def _log_prob(self, event):
        return event * self.logits - tf.math.softplus(self.logits)


class Bernoulli(Factor):
    """p(x|z) = prod_i p_i^x_i (1 - p_i)^(1 - x_i), p = sigmoid(network(z)), for x from 0 to 1.

    On grey levels this is a pseudo-likelihood: its lowest value is the entropy of the pixels themselves,
    not zero, so distortions compare models and mean nothing alone.

    Args:
        network: layer from [batch, latent] to logits [batch, *event].
    """

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns p(x|z) with logits `features` [..., *event]."""
        return tfd.Independent(_Pixels(logits=features, dtype=features.dtype), len(self.output_event))


class Gaussian(Factor):
    """p(x|z) = N(network(z), diag(scale^2)).

        -log p(x|z) = sum_i (x_i - mu_i)^2 / (2 scale_i^2) + log(scale_i) + log(2 pi) / 2

    Args:
        network: layer from [batch, latent] to means [batch, *event].
        scale: the standard deviation, `FixedScale()` or `LearnedScale()`.
    """

    def __init__(self, network: keras.Layer, scale: Scale | None = None, **kwargs: Any):
        super().__init__(network, **kwargs)
        self.scale = scale or FixedScale()

    @override
    def build(self, input_shape):
        super().build(input_shape)
        ensure_built(self.scale, self.output_event)

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns p(x|z) with means `features` [..., *event]."""
        return tfd.Independent(tfd.Normal(features, self.scale.value()), len(self.output_event))
