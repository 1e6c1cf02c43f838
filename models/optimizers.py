"""The optimizer of every training."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("metaprior")
class Adam(keras.optimizers.Adam):
    """Adam that keeps the global norm of the last gradient in `gradient_norm`.

        gradient_norm = sqrt(sum_i ||g_i||^2)

    Reference: Kingma and Ba 2015, "Adam: a method for stochastic optimization".
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.gradient_norm = self.add_variable(shape=(), dtype="float32", name="gradient_norm")

    def apply(self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        """Takes one step."""
        self.gradient_norm.assign(tf.linalg.global_norm([g for g in grads if g is not None]))
        super().apply(grads, trainable_variables)
