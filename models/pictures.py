"""What a model of images makes of its data, as pictures for TensorBoard and the report."""

import math
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from models.features.spec import FeatureSpec

SPAN = np.linspace(-2.0, 2.0, 9, dtype=np.float32)
MOST_LATENTS = 16


def grid(images: np.ndarray, *, columns: int, gap: int = 1) -> np.ndarray:
    """Returns images [count, height, width, channels] side by side, row by row, as one picture.

    Args:
        images: values from 0 to 1; what lies outside is clipped.
        columns: images a row; the last row is filled up with black.
        gap: pixels of gray between two images.

    Returns:
        float32 [rows * (height + gap) - gap, columns * (width + gap) - gap, channels].
    """
    count, height, width, channels = images.shape
    rows = math.ceil(count / columns)
    full = np.zeros((rows * columns, height, width, channels), np.float32)
    full[:count] = np.clip(images, 0.0, 1.0)
    full = np.pad(full, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=0.5)
    high, wide = height + gap, width + gap
    full = full.reshape(rows, columns, high, wide, channels).transpose(0, 2, 1, 3, 4)
    return full.reshape(rows * high, columns * wide, channels)[: rows * high - gap, : columns * wide - gap]


def drawable(model: keras.Model, spec: FeatureSpec) -> bool:
    """Returns whether there is something to draw: the data are images, and the decoder makes images."""
    return spec.kind == "image" and model.decoder.target == "x"


def all_of(model: keras.Model, batch: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
    """Returns reconstructions, samples of the prior, and traversals from the first image, by name.

    Args:
        model: an autoencoder.
        batch: a few images [count, height, width, channels] as `x`, and what stands beside them.
    """
    first = {key: value[:1] for key, value in batch.items()}
    return {
        "reconstructions": reconstructions(model, batch),
        "samples": samples(model, batch),
        "traversals": traversals(model, first),
    }


def reconstructions(model: keras.Model, batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """Returns originals above their reconstructions from the posterior mean.

    Args:
        model: an autoencoder.
        batch: with `x` [count, height, width, channels] and what the decoder reads beside the code.
    """
    x = batch["x"]
    decoded = model.decode(model.encode(x).mean(), model.context(batch)).mean()
    return grid(np.concatenate([x, decoded]), columns=len(x))


def samples(model: keras.Model, batch: Mapping[str, tf.Tensor], *, rows: int = 8) -> np.ndarray:
    """Returns images decoded from samples of the prior, a column per example of the batch.

    Args:
        model: an autoencoder.
        batch: says what the decoder reads beside the code, by column.
        rows: images a column.
    """
    repeated = {key: tf.concat([value] * rows, axis=0) for key, value in batch.items()}
    count = len(repeated["x"])
    return grid(model.sample(count, seed=0, context=model.context(repeated)).numpy(), columns=count // rows)


def traversals(model: keras.Model, batch: Mapping[str, tf.Tensor]) -> np.ndarray:
    """Returns a row per latent: one image decoded while this latent goes from -2 to 2, the others fixed.

    Args:
        model: an autoencoder.
        batch: of one image [1, height, width, channels], whose posterior mean is the fixed code.
    """
    code = np.asarray(model.encode(batch["x"]).mean())[0]  # [latent]
    latents = min(len(code), MOST_LATENTS)
    codes = np.tile(code, (latents, len(SPAN), 1))  # [row, column, latent]
    codes[np.arange(latents), :, np.arange(latents)] = SPAN
    decoded = model.decode(tf.constant(codes.reshape(-1, len(code))), model.context(batch)).mean()
    return grid(np.asarray(decoded), columns=len(SPAN))
