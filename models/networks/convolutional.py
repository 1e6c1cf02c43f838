"""The convolutional pair of the disentanglement literature, for images of any size from 16 pixels a side.

At 64x64 the pair is the one of disentanglement_lib: strided convolutions of 32, 32, 64, 64 filters down
to 4x4, one dense layer of 256 units, and its mirror. Other sizes keep the recipe: halve the image until
its shorter side is at most 4 pixels, 32 filters in the first half of the stages (kernel 4) and 64 in the
second (kernel 2). Odd sides are rounded up on the way down and the mirror's output is cropped.

Reference:
    Locatello et al. 2019, Challenging Common Assumptions, arXiv:1811.12359, Table 1.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

UNITS = 256
SMALLEST = 16
STRIDED: dict[str, Any] = {"strides": 2, "padding": "same"}
RECTIFIED: dict[str, Any] = {"activation": "relu", "kernel_initializer": "he_normal"}  # see `dense`


def stages(image_shape: Sequence[int]) -> list[int]:
    """Returns the filters of each strided convolution for images [height, width, channels]."""
    count = max(1, math.ceil(math.log2(min(image_shape[:2]) / 4)))
    return [32] * math.ceil(count / 2) + [64] * (count // 2)


def encoder(image_shape: Sequence[int]) -> keras.Sequential:
    """Returns a network from images [batch, height, width, channels] to features [batch, 256]."""
    filters = stages(image_shape)
    convolutions = [
        layers.Conv2D(n, 4 if n == 32 else 2, name=f"convolution_{i}", **STRIDED, **RECTIFIED)
        for i, n in enumerate(filters, 1)
    ]
    top = [layers.Flatten(name="flat"), layers.Dense(UNITS, name="dense", **RECTIFIED)]
    return keras.Sequential([*convolutions, *top], name="convolutional_encoder")


def decoder(image_shape: Sequence[int]) -> keras.Sequential:
    """Returns a network from codes [batch, latent] to parameters [batch, height, width, channels]."""
    height, width, channels = image_shape
    filters = stages(image_shape)
    factor = 2 ** len(filters)
    grid = (math.ceil(height / factor), math.ceil(width / factor), filters[-1])
    bottom = [
        layers.Dense(UNITS, name="dense", **RECTIFIED),
        layers.Dense(math.prod(grid), name="spread", **RECTIFIED),
        layers.Reshape(grid, name="grid"),
    ]
    convolutions = [
        layers.Conv2DTranspose(n, 4, name=f"convolution_{i}", **STRIDED, **RECTIFIED)
        for i, n in enumerate(reversed(filters[:-1]), 1)
    ]
    output = layers.Conv2DTranspose(channels, 4, name="output", **STRIDED)
    crop = _crop(grid[0] * factor - height, grid[1] * factor - width)
    return keras.Sequential([*bottom, *convolutions, output, crop], name="convolutional_decoder")


def _crop(rows: int, columns: int) -> layers.Layer:
    """Cuts surplus rows and columns evenly from both sides."""
    split = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return layers.Cropping2D(split, name="crop")
