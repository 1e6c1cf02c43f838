"""What one forward pass leaves behind for the terms to read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import tensorflow as tf
from tensorflow_probability.python.distributions.distribution import Distribution

from models.estimators import divergence
from models.estimators.aggregate import (
    Weighting,
    log_aggregate,
    log_groups,
    log_marginals,
    log_weights,
    pairwise_log_density,
)
from models.schedules import Weight


@dataclass(frozen=True, eq=False, kw_only=True)
class Context:
    """What is known beside `x`.

    Args:
        target: what the likelihood describes: `x` itself, or the label in a supervised model.
        label: class index, int64 [batch], -1 where missing; None if the data has no label.
        sensitive: index of the sensitive attribute, int64 [batch], -1 where missing; None without one.
        factors: ground-truth factors, int64 [batch, factors]; None without them.
        group: number of the group of each example, int64 [batch], below the batch size, in batches where
            the examples of a group differ in one respect only; None in others.
        varying: which respect that is, int64 [batch]: the position of a factor in the model's list, or the
            list's length for everything else; None where `group` is.
        step: training steps made so far, int64 []: the argument of every schedule.
        seed: int32 [2], a stateless seed of this pass for terms that draw samples of their own.
        training: whether the pass is a training step.
    """

    target: tf.Tensor
    step: tf.Tensor
    seed: tf.Tensor
    training: bool = False
    label: tf.Tensor | None = None
    sensitive: tf.Tensor | None = None
    factors: tf.Tensor | None = None
    group: tf.Tensor | None = None
    varying: tf.Tensor | None = None

    def role(self, name: str) -> tf.Tensor:
        """Returns what plays a role in this batch: `label`, `sensitive`, `factors`, `group` or `varying`.

        Raises:
            ValueError: if the batch does not have it.
        """
        values = getattr(self, name)
        if values is None:
            raise ValueError(f"`context` must hold {name!r}. Received: {name}=None.")
        return values

    def now(self, schedule: Weight) -> tf.Tensor | float:
        """Returns a schedule's value at the present step."""
        return schedule(self.step)


class Aggregate:
    """The aggregate posterior q(z) at a batch's own codes, estimated from the batch's own posteriors.

    Args:
        pairwise: log q(z_i,l | x_j), nats, [batch, batch, latent].
        examples: number of training examples, the N of q(z) = sum_n q(z|x_n) / N.
        weighting: how the batch stands for the data, see `models.estimators.aggregate.log_weights`.
    """

    def __init__(self, pairwise: tf.Tensor, examples: int, weighting: Weighting):
        batch = pairwise.shape[0] or tf.shape(pairwise)[0]
        self._pairwise = pairwise
        self._log_weights = log_weights(batch, examples, weighting, dtype=pairwise.dtype)

    @cached_property
    def conditional(self) -> tf.Tensor:
        """Log q(z|x) of each code under its own posterior: nats, [batch]."""
        return tf.linalg.diag_part(tf.reduce_sum(self._pairwise, axis=-1))

    @cached_property
    def joint(self) -> tf.Tensor:
        """Log q(z): nats, [batch]."""
        return log_aggregate(self._pairwise, self._log_weights)

    @cached_property
    def marginals(self) -> tf.Tensor:
        """Sum over the dimensions of log q(z_l): nats, [batch]."""
        return tf.reduce_sum(log_marginals(self._pairwise, self._log_weights), axis=-1)

    def grouped(self, groups: Sequence[Sequence[int]]) -> tf.Tensor:
        """Returns the sum over groups of dimensions of log q(z^g): nats, [batch]."""
        return tf.reduce_sum(log_groups(self._pairwise, self._log_weights, groups), axis=-1)


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
    _aggregates: dict[tuple[int, Weighting], Aggregate] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def rate(self) -> tf.Tensor:
        """KL(q(z|x) || p(z)) per example: nats, [batch]."""
        return divergence.kl(self.posterior, self.prior, self.z)

    @cached_property
    def distortion(self) -> tf.Tensor:
        """-log p(x|z) per example, summed over the event: nats, [batch]."""
        return -self.likelihood.log_prob(self.context.target)

    @cached_property
    def pairwise(self) -> tf.Tensor:
        """Values log q(z_i,l | x_j) of the codes under each posterior of the batch: nats, [batch, batch, latent]."""
        return pairwise_log_density(self.posterior, self.z)

    def aggregate(self, examples: int, weighting: Weighting) -> Aggregate:
        """Returns the aggregate posterior as seen by this batch; arguments as of `Aggregate`."""
        if (examples, weighting) not in self._aggregates:
            self._aggregates[examples, weighting] = Aggregate(self.pairwise, examples, weighting)
        return self._aggregates[examples, weighting]
