"""What keeps still in a group of examples that differ in one respect."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from models.factors.conditional import active, centers
from models.schedules import Weight
from models.terms.base import Term
from models.trace import Trace


class GroupInvariance(Term):
    """1/2 sum_{l inactive} (z_l - mean of z_l over the group)^2, the mean a constant.

    Its gradient draws every unit that does not stand for what varies towards the group's mean. Zero in
    batches without groups.

    Args:
        extrinsic: number of units that stand for one factor each.
        weight: a number, or a schedule of the training step.

    Reference:
        Kulkarni et al. 2015, Deep Convolutional Inverse Graphics Network, arXiv:1503.03167, Section 3.2.
    """

    label = "invariance"

    def __init__(self, extrinsic: int, weight: Weight | float | Mapping[str, Any] = 1.0, **kwargs: Any):
        super().__init__(weight, **kwargs)
        self.extrinsic = extrinsic

    def estimate(self, trace: Trace) -> tf.Tensor:
        """Returns half the squared distances, [batch]."""
        if trace.context.group is None:
            return tf.zeros_like(trace.z[:, 0])
        still = 1.0 - tf.cast(active(trace.z, trace.context, self.extrinsic), trace.z.dtype)
        return 0.5 * tf.reduce_sum(still * tf.square(trace.z - centers(trace.z, trace.context)), axis=-1)
