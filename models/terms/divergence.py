"""How much the code says about one example."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.schedules import Clock, Weight, as_schedule
from models.terms.base import Term
from models.trace import Trace


class KL(Term):
    """KL(q(z|x) || p(z)): the rate. Sum over the latent dimensions, nats.

    In closed form where TFP knows one for the pair of distributions, which gives the gradient no
    sampling noise; otherwise log q(z|x) - log p(z) at the trace's sample.

    Args:
        weight: a number (beta), or a schedule of the training step (warm-up).

    Reference:
        Kingma and Welling 2014, arXiv:1312.6114, Eq. 7, first part, and Appendix B.
    """

    label = "kl"

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns the rate, [batch]."""
        return trace.rate


class RateTarget(KL):
    """|R - target(step)|: a rate that is asked for, R the mean rate of the batch.

    The absolute value is taken of the batch's mean, not of each example's rate: examples may differ in how
    much they need.

    Args:
        target: nats, a number or a schedule (a capacity that grows).
        weight: a number (gamma), or a schedule of the training step.

    Reference:
        Burgess et al. 2018, Understanding disentangling in beta-VAE, arXiv:1804.03599, Eq. 8; Alemi et al.
        2018, Fixing a Broken ELBO, arXiv:1711.00464, Section 4.
    """

    def __init__(
        self,
        target: Weight | float | Mapping[str, Any],
        weight: Weight | float | Mapping[str, Any] = 1.0,
        **kwargs: Any,
    ):
        super().__init__(weight, **kwargs)
        self.target = as_schedule(target)

    def penalty(self, mean: tf.Tensor, clock: Clock) -> tf.Tensor:
        """Returns the distance of the batch's rate from the target."""
        return tf.abs(mean - tf.cast(clock(self.target), mean.dtype))

    @property
    def schedules(self) -> dict[str, Weight]:
        """The weight's and the target's curves."""
        return super().schedules | {f"target/{self.name}": self.target}

    @property
    def formula(self) -> str:
        """The distance as it reads in the model's objective."""
        return f"|{self.name} - {self.target}|"
