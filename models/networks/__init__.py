"""Networks: plain Keras layers from tensors to tensors, chosen by the shape of the data."""

from models.networks import convolutional, dense

__all__ = ["convolutional", "dense"]
