"""What every factor shares."""

from typing import Any, ClassVar

import keras
import tensorflow as tf
from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.part import Part, ensure_built
from models.trace import Context


class Factor(Part):
    """A conditional distribution: `(inputs) -> tfd.Distribution`.

    The encoder q(z|x) and the decoder p(x|z) of a model are factors. A factor owns a network; what it
    adds is the reading of the network's output as the parameters of a distribution. Parameters are
    float32 (the policy's variable dtype) whatever the network computes in.

    Args:
        network: layer from [batch, *event] to the parameters.

    Attributes:
        target: key of the batch that the distribution describes when the factor is a decoder.

    Call arguments:
        inputs: [..., *event]. All leading axes are folded into the batch for the network and restored
            in the distribution's batch shape, so K samples [samples, batch, latent] decode at once.
        context: what is known beside the inputs, for factors that condition on it; others ignore it.
    """

    target: ClassVar[str] = "x"

    def __init__(self, network: keras.Layer, **kwargs: Any):
        super().__init__(**kwargs)
        self.network = network

    @override
    def build(self, input_shape):
        self.input_event = tuple(input_shape[1:])
        ensure_built(self.network, (None, *self.input_event))
        self.output_event = tuple(self.network.compute_output_shape((None, *self.input_event))[1:])

    @override
    def call(self, inputs: tf.Tensor, context: Context | None = None) -> Distribution:
        return self.distribution(self.features(inputs))

    def features(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the network's output for inputs [..., *event] as [..., *output_event]."""
        leading = inputs.shape[: inputs.shape.rank - len(self.input_event)]
        if leading.rank == 1:
            return tf.cast(self.network(inputs), self.variable_dtype)
        folded = tf.reshape(inputs, (-1, *self.input_event))  # [batch', *event]
        output = tf.cast(self.network(folded), self.variable_dtype)
        return tf.reshape(output, tf.concat([tf.shape(inputs)[: leading.rank], self.output_event], axis=0))

    def distribution(self, features: tf.Tensor) -> Distribution:
        """Returns the distribution whose parameters are `features` [..., *output_event]."""
        raise NotImplementedError
