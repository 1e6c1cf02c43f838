"""Opponents: networks that play against a model, inside a term, with an optimizer of their own."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from typing_extensions import override

from models.part import Part, ensure_built


class Critic(Part):
    """A network that learns beside the model from the codes it is shown, and never changes them.

    The two players share no variable: the critic's own are not trainable for the model, so the model's
    optimizer never meets them, and the critic learns from codes without their history. So the gradient of
    the model's loss for the critic, and of the critic's for the model, is exactly zero.

    Args:
        network: layer from [batch, latent] to logits [batch, classes].
        optimizer: the critic's own.
        updates: its steps for each step of the model, all on the same batch.

    Call arguments:
        z: codes [batch, latent].
        training: whether layers such as dropout are in training mode.
    """

    def __init__(self, network: keras.Layer, optimizer: keras.optimizers.Optimizer, updates: int = 1, **kwargs: Any):
        kwargs.setdefault("name", "critic")
        super().__init__(**kwargs)
        if updates < 1:
            raise ValueError(f"`updates` must be at least 1. Received: updates={updates}.")
        self.network = network
        self.optimizer = optimizer
        self.updates = updates
        self.average = keras.metrics.Mean(name=self.name)

    @override
    def build(self, input_shape):
        ensure_built(self.network, input_shape)
        for weight in self.network.weights:
            weight.trainable = False
        self.optimizer.build(self.network.weights)

    @override
    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        return tf.cast(self.network(z, training=training), self.variable_dtype)

    def learn(self, loss: Callable[[], tf.Tensor], felt_by: tf.Tensor | None = None) -> tf.Tensor | None:
        """Takes the critic's steps.

        Args:
            loss: computes the critic's loss from its present weights and from codes whose gradient is
                stopped: nats, [].
            felt_by: what the loss is computed from.

        Returns:
            The gradient of the loss for `felt_by`, by the critic as it was before its steps; None without it.
        """
        weights = [weight.value for weight in self.network.weights]
        felt = [] if felt_by is None else [felt_by]
        first: Any = None
        for update in range(self.updates):
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([*weights, *felt])
                value = loss()
            gradients = tape.gradient(value, [*weights, *felt])
            self.optimizer.apply(gradients[: len(weights)], self.network.weights)
            self.average.update_state(value)
            if felt and not update:
                first = gradients[-1]
        return first
