"""What every part and every recipe must keep, and the golden first-step losses.

Refresh the losses with `python tests/contracts.py`, and review the difference.
"""

import json
from pathlib import Path

from models import recipes  # first: it fixes which Keras TensorFlow brings

# isort: split
import keras
import numpy as np
import tensorflow as tf
from worlds import WORLDS

from models.autoencoder import Autoencoder

GOLDEN = Path(__file__).with_name("golden.json")
SMALL = {"factor_vae": {"critic_units": 32, "critic_layers": 2}, "fader": {"critic_units": 32}}  # critics for tests
RECIPES = [record.name for record in recipes.catalogue() if record.status == "works"]
LATENT = 3
CASES = [(recipe, world) for recipe in RECIPES for world in WORLDS]


def through_json(config):
    """A configuration as a file would give it back."""
    return json.loads(json.dumps(config))


def round_trip(layer):
    """A second object from the configuration of the first; both configurations must be the same."""
    config = through_json(keras.saving.serialize_keras_object(layer))
    twin = keras.saving.deserialize_keras_object(config)
    assert type(twin) is type(layer)
    assert through_json(keras.saving.serialize_keras_object(twin)) == config
    assert config["registered_name"] == f"metaprior>{type(layer).__name__}"
    return twin


def loss_of(model: Autoencoder, batch) -> tf.Tensor:
    """The objective on a batch under evaluation noise: a pure function of weights and batch."""
    model(batch)
    return tf.add_n(model.losses)


def gradients_of(model: Autoencoder, batch) -> list:
    """The objective's gradient for every trainable variable; None where there is none."""
    with tf.GradientTape() as tape:
        loss = loss_of(model, batch)
    return tape.gradient(loss, [variable.value for variable in model.trainable_variables])


def train(model: Autoencoder, x: np.ndarray, *, steps: int, batch: int = 100, rate: float = 1e-3) -> dict[str, float]:
    """Makes Adam steps on random batches, the rate falling to zero, in one graph; returns the metrics over `x`."""
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
    optimizer.build(model.trainable_variables)
    data = tf.constant(x)

    @tf.function
    def loop():
        for step in tf.range(steps):
            rows = tf.random.stateless_uniform([batch], [0, step], 0, len(x), tf.int32)
            with tf.GradientTape() as tape:
                model({"x": tf.gather(data, rows)}, training=True)
                loss = tf.add_n(model.losses)
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)

    loop()
    return metrics_of(model, {"x": x})


def metrics_of(model: Autoencoder, batch) -> dict[str, float]:
    """Every metric over one batch, by name."""
    model.reset_metrics()
    model(batch)
    return {metric.name: float(metric.result()) for metric in model.metrics if metric.name != "loss"}


def small(recipe: str, world: str, seed: int = 1) -> Autoencoder:
    """A recipe's model of a world, critics at a size for tests."""
    return recipes.build(recipe, WORLDS[world]().spec, latent=LATENT, seed=seed, **SMALL.get(recipe, {}))


def first_loss(model: Autoencoder, world: str) -> float:
    """The objective of an untrained model on the first 32 examples."""
    return float(loss_of(model, WORLDS[world]().take(32)))


def refresh() -> None:
    """Writes the golden losses of every recipe on every world."""
    losses = {recipe: {} for recipe in RECIPES}
    for recipe, world in CASES:
        losses[recipe][world] = round(first_loss(small(recipe, world), world), 5)
    GOLDEN.write_text(json.dumps(losses, indent=2) + "\n")


if __name__ == "__main__":
    refresh()
