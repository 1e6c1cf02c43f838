"""Multi-layer perceptrons for vectors, table rows and small images."""

import math
from collections.abc import Sequence

import keras
from keras import layers


def widths(event_shape: Sequence[int]) -> tuple[int, int]:
    """Two hidden layers, each the largest power of two that does not exceed the input's width.

    Never fewer than 128 units, never more than 512: 8x8 digits and table rows get 128, 28x28 images 512.
    """
    power = 2 ** int(math.log2(math.prod(event_shape)))
    return (min(max(power, 128), 512),) * 2


def encoder(event_shape: Sequence[int], hidden: Sequence[int] | None = None) -> keras.Sequential:
    """Returns a network from [batch, *event] to features [batch, hidden[-1]]: dense layers with ReLU.

    Args:
        event_shape: shape of one input.
        hidden: units of each layer; by default `widths(event_shape)`.
    """
    units = widths(event_shape) if hidden is None else hidden
    dense = [_hidden(n, name=f"hidden_{i}") for i, n in enumerate(units, 1)]
    return keras.Sequential([layers.Flatten(name="flat"), *dense], name="dense_encoder")


def decoder(output_shape: Sequence[int], hidden: Sequence[int] | None = None) -> keras.Sequential:
    """Returns a network from codes [batch, latent] to parameters [batch, *output]: ReLU, the last layer linear.

    Args:
        output_shape: shape of the likelihood's parameters for one example.
        hidden: units of each hidden layer; by default `widths(output_shape)`.
    """
    units = widths(output_shape) if hidden is None else hidden
    dense = [_hidden(n, name=f"hidden_{i}") for i, n in enumerate(units, 1)]
    output = layers.Dense(math.prod(output_shape), name="output")
    shape = layers.Reshape(tuple(output_shape), name="event")
    return keras.Sequential([*dense, output, shape], name="dense_decoder")


def _hidden(units: int, name: str) -> layers.Dense:
    """A ReLU layer whose initial weights keep the variance of its input (He).

    With Keras's default the codes of different examples start out so close together that a model which is
    told its rate meets it by moving all of them at once, without telling the examples apart.
    """
    return layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=name)


def critic(outputs: int, hidden: Sequence[int], *, slope: float = 0.2, dropout: float = 0.0) -> keras.Sequential:
    """Returns a network from codes [batch, latent] to logits [batch, outputs]: leaky ReLU, the last layer linear.

    Args:
        outputs: number of logits.
        hidden: units of each hidden layer.
        slope: slope of the leaky ReLU below zero.
        dropout: share of the code's units that are dropped in training.
    """
    first = [layers.Dropout(dropout, name="dropout")] if dropout else []
    dense = [
        layer
        for index, units in enumerate(hidden, 1)
        for layer in (layers.Dense(units, name=f"hidden_{index}"), layers.LeakyReLU(slope, name=f"leak_{index}"))
    ]
    return keras.Sequential([*first, *dense, layers.Dense(outputs, name="logits")], name="critic")
