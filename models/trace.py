"""What one forward pass leaves behind for the terms to read."""

from dataclasses import dataclass
from functools import cached_property

import tensorflow as tf
from tensorflow_probability.python.distributions.distribution import Distribution

from models.estimators import divergence


@dataclass(frozen=True, eq=False, kw_only=True)
class Context:
    """What is known beside `x`.

    Args:
        target: what the likelihood describes: `x` itself, or the label in a supervised model.
        label: class index, int64 [batch], -1 where missing; None if the data has no label.
        sensitive: index of the sensitive attribute, int64 [batch], -1 where missing; None without one.
        factors: ground-truth factors, int64 [batch, factors]; None without them.
        step: training steps made so far, int64 []: the argument of every schedule.
        seed: int32 [2], a stateless seed of this pass for terms that draw samples of their own.
    """

    target: tf.Tensor
    step: tf.Tensor
    seed: tf.Tensor
    label: tf.Tensor | None = None
    sensitive: tf.Tensor | None = None
    factors: tf.Tensor | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace:
    """The record of one forward pass. Quantities that several readers want are computed once.

    Args:
        x: model input [batch, *event].
        posterior: q(z|x), batch shape [batch].
        z: one sample of the posterior, [batch, latent].
        prior: p(z).
        likelihood: p(x|z), batch shape [batch].
        context: what is known beside `x`.
    """

    x: tf.Tensor
    posterior: Distribution
    z: tf.Tensor
    prior: Distribution
    likelihood: Distribution
    context: Context

    @cached_property
    def rate(self) -> tf.Tensor:
        """KL(q(z|x) || p(z)) per example: nats, [batch]."""
        return divergence.kl(self.posterior, self.prior, self.z)

    @cached_property
    def distortion(self) -> tf.Tensor:
        """-log p(x|z) per example, summed over the event: nats, [batch]."""
        return -self.likelihood.log_prob(self.context.target)
