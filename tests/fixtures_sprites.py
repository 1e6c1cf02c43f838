"""A grid of rendered sprites, and trainings on groups of them that differ in one respect."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf
from worlds import Roles, World

from models import recipes
from models.autoencoder import Autoencoder
from models.features.groups import arrange

SHAPES, SCALES, PLACES = 3, (2.4, 3.4, 4.4), 8


@functools.cache
def sprites() -> World:
    """All 576 images of 16x16 pixels with one sprite: column (8) x row (8) x scale (3) x shape (3)."""
    sizes = (PLACES, PLACES, len(SCALES), SHAPES)
    factors = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1).reshape(-1, 4)
    x = np.stack([_sprite(*values) for values in factors])[..., None]
    nothing = np.zeros(len(x), np.int64)
    return Roles(nothing, nothing, factors).world(x, kind="image", shape=(16, 16, 1), dtype="uint8")


def _sprite(column: int, row: int, scale: int, shape: int) -> np.ndarray:
    """One binary image, from four times the resolution."""
    grid = (np.arange(64) + 0.5) / 4
    right, down = (grid[None, :] - 4.5 - column) / SCALES[scale], (grid[:, None] - 4.5 - row) / SCALES[scale]
    square = np.maximum(abs(right), abs(down)) <= 0.85
    ellipse = right**2 + (2 * down) ** 2 <= 1
    heart = (right**2 + down**2 - 0.6) ** 3 + right**2 * down**3 <= 0  # points down, as rows do
    inside = (square, ellipse, heart)[shape]
    return (inside.reshape(16, 4, 16, 4).mean(axis=(1, 3)) > 0.5).astype(np.float32)


@functools.cache
def learned_in_groups(recipe: str, *, updates: int, batch: int = 72, grouped: bool = True, seed: int = 1, **parameters):
    """The model of a recipe after Adam steps on batches of groups of sprites, columns and rows being extrinsic.

    Trainings are shared: the same arguments give the same object, so leave it as it is.

    Args:
        recipe: its name.
        updates: number of steps.
        batch: examples a step.
        grouped: whether the model is told of the groups.
        seed: seed of the weights and of the noise; the batches are the same for all.
        **parameters: of the recipe.
    """
    model = recipes.build(recipe, sprites().spec, latent=8, network="mlp", seed=seed, **parameters)
    _train(model, sprites().batch["x"], _batches(updates, batch), told=("group", "varying") if grouped else ())
    return model


def _batches(updates: int, batch: int) -> dict[str, tf.Tensor]:
    """What the stream of a training would hold: `row`, `group` and `varying`, [updates, batch]."""
    factors = tf.constant(sprites().batch["factors"])
    epochs = []
    for epoch in range(math.ceil(updates * batch / len(factors))):
        seed = tf.constant([0, epoch], tf.int64)
        order = tf.random.experimental.stateless_shuffle(tf.range(len(factors)), seed)
        rows, beside = arrange(order, tf.gather(factors, order), (0, 1), batch=batch, seed=seed)
        epochs.append({"row": rows, **beside})
    return {key: tf.concat([epoch[key] for epoch in epochs], axis=0)[:updates] for key in epochs[0]}


def _train(model: Autoencoder, x: np.ndarray, batches: dict[str, tf.Tensor], told: tuple[str, ...]) -> None:
    updates = len(batches["row"])
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, updates))
    optimizer.build(model.trainable_variables)
    images, factors = tf.constant(x), tf.constant(sprites().batch["factors"])

    @functools.partial(tf.function, jit_compile=True)
    def step(batch: dict[str, tf.Tensor]) -> None:
        beside = {key: batch[key] for key in told}
        with tf.GradientTape() as tape:
            inputs = {"x": tf.gather(images, batch["row"]), "factors": tf.gather(factors, batch["row"])}
            model(inputs | beside, training=True)
            loss = tf.add_n(model.losses)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    @tf.function
    def loop() -> None:
        for index in tf.range(updates):
            step({key: values[index] for key, values in batches.items()})

    loop()
