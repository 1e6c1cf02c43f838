"""Small trainings that show what a recipe learns: one graph for all steps, compiled by XLA, shared by the suite."""

import functools
from collections.abc import Callable

from models import recipes  # first: it fixes which Keras TensorFlow brings

# isort: split
import keras
import numpy as np
import tensorflow as tf
from contracts import gradients_of, loss_of
from worlds import World

from models.autoencoder import Autoencoder


@functools.cache
def learned(
    recipe: str,
    world: Callable[[], World],
    *,
    latent: int = 8,
    updates: int = 1500,
    batch: int = 200,
    rate: float = 2e-3,
    seed: int = 1,
    **parameters: object,
) -> Autoencoder:
    """The model of a recipe after Adam steps on random batches, the learning rate falling to zero.

    Trainings are shared: the same arguments give the same object, so leave it as it is.
    """
    setting = world()
    model = recipes.build(recipe, setting.spec, latent=latent, seed=seed, **parameters)
    train(model, setting.batch, updates=updates, batch=batch, rate=rate)
    return model


def train(
    model: Autoencoder, data: dict[str, np.ndarray], *, updates: int, batch: int = 200, rate: float = 2e-3
) -> None:
    """Makes Adam steps on random batches, critics and schedules included."""
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, updates))
    optimizer.build(model.trainable_variables)
    tensors = {key: tf.constant(values) for key, values in data.items()}
    count = len(data["x"])

    @functools.partial(tf.function, jit_compile=True)
    def step(rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            model({key: tf.gather(values, rows) for key, values in tensors.items()}, training=True)
            loss = tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    @tf.function
    def loop() -> None:
        for index in tf.range(updates):
            step(tf.random.stateless_uniform([batch], [0, index], 0, count, tf.int32))

    loop()


def slopes(model: Autoencoder, batch: dict[str, np.ndarray]) -> tuple[float, float]:
    """Slope of the loss along its gradient: the gradient's length, and what a small step there and back measures.

    They agree only if the gradient is that of the whole loss: no part of it is cut off, none comes from elsewhere.
    """
    gradients = [0.0 if gradient is None else np.asarray(gradient) for gradient in gradients_of(model, batch)]
    length = float(np.sqrt(sum(np.sum(gradient**2) for gradient in gradients)))
    weights = [variable.numpy() for variable in model.trainable_variables]
    reach = 1e-3 * abs(float(loss_of(model, batch))) / length  # moves the loss by a thousandth of itself
    losses = []
    for sign in (1, -1):
        for variable, weight, gradient in zip(model.trainable_variables, weights, gradients, strict=True):
            variable.assign(weight + sign * reach / length * gradient)
        losses.append(float(loss_of(model, batch)))
    for variable, weight in zip(model.trainable_variables, weights, strict=True):
        variable.assign(weight)
    return length, (losses[0] - losses[1]) / (2 * reach)
