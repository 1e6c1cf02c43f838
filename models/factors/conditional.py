"""Decoders that read more than the code."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.factors.base import Factor
from models.part import Part, ensure_built
from models.trace import Context


class Conditional(Part):
    """p(x|z, s): a decoder that reads an attribute, one-hot, beside the code.

    What the decoder is told it need not find in the code. Where the attribute is missing, or nothing is
    known beside the code, the block of its values is zero.

    Args:
        factor: the decoder, of codes [batch, latent + values].
        role: the attribute: `sensitive` or `label`.
        values: number of its values.
    """

    def __init__(self, factor: Factor, role: str, values: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = factor
        self.role = role
        self.values = values
        self.needs = (role,)  # pyright: ignore[reportAttributeAccessIssue]

    @override
    def build(self, input_shape):
        ensure_built(self.factor, (None, input_shape[-1] + self.values))

    @property
    def target(self) -> str:
        """Key of the batch that the factor describes."""
        return self.factor.target

    @override
    def call(self, inputs: tf.Tensor, context: Context | None = None) -> Distribution:
        attribute = None if context is None else getattr(context, self.role)
        shape = tf.concat([tf.shape(inputs)[:-1], [self.values]], axis=0)
        if attribute is None:
            block = tf.zeros(shape, inputs.dtype)
        else:
            block = tf.broadcast_to(tf.one_hot(attribute, self.values, dtype=inputs.dtype), shape)
        return self.factor(tf.concat([inputs, block], axis=-1), context=context)  # [..., latent + values]


class Clamped(Part):
    """A decoder that sees only what varies in a group of examples.

    In a group whose examples differ in one respect, every other unit of the code is replaced by its mean
    over the group, and no gradient passes through it: the decoder can explain the differences by the units
    of that respect alone. Batches without groups pass unchanged.

    Args:
        factor: the decoder.
        extrinsic: indices of the factors that one unit each stands for: factor `extrinsic[k]` has unit k.
            All further units stand for everything else.

    Reference:
        Kulkarni et al. 2015, Deep Convolutional Inverse Graphics Network, arXiv:1503.03167, Section 3.2.
    """

    needs = ("factors",)

    def __init__(self, factor: Factor, extrinsic: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.factor = factor
        self.extrinsic = tuple(extrinsic)

    @override
    def build(self, input_shape):
        ensure_built(self.factor, input_shape)

    @property
    def target(self) -> str:
        """Key of the batch that the factor describes."""
        return self.factor.target

    @override
    def call(self, inputs: tf.Tensor, context: Context | None = None) -> Distribution:
        if context is not None and context.group is not None:
            inputs = tf.where(active(inputs, context, len(self.extrinsic)), inputs, centers(inputs, context))
        return self.factor(inputs, context=context)


Decoder = Factor | Conditional | Clamped


def active(z: tf.Tensor, context: Context, extrinsic: int) -> tf.Tensor:
    """Returns which units stand for what varies in the group of each example: bool [batch, latent].

    Args:
        z: codes [batch, latent].
        context: with `varying`.
        extrinsic: number of units that stand for one factor each.
    """
    units = tf.minimum(tf.range(z.shape[-1], dtype=tf.int64), extrinsic)
    return units[None, :] == tf.cast(context.role("varying"), tf.int64)[:, None]


def centers(z: tf.Tensor, context: Context) -> tf.Tensor:
    """Returns the mean code of the group of each example, a constant for the gradient: [batch, latent].

    Args:
        z: codes [batch, latent].
        context: with `group`.
    """
    group = context.role("group")
    return tf.stop_gradient(tf.gather(tf.math.unsorted_segment_mean(z, group, tf.shape(z)[0]), group))
