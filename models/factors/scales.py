"""Standard deviations of Gaussian likelihoods: fixed or learned, never a function of z."""

from typing import Any

import tensorflow as tf
from typing_extensions import override

from models.factors.normal import scale_of
from models.part import Part


class Scale(Part):
    """A standard deviation shared by all examples: `value() -> [...]`, broadcast against the mean."""

    def value(self) -> tf.Tensor | float:
        """Returns the standard deviation."""
        raise NotImplementedError


class FixedScale(Scale):
    """A constant standard deviation.

    Args:
        scale: the standard deviation; 1 on standardized data means that a direction is worth coding
            only if it carries more variance than a single feature.
    """

    def __init__(self, scale: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        if scale <= 0:
            raise ValueError(f"`scale` must be above 0. Received: scale={scale}.")
        self.scale = scale

    @override
    def build(self, input_shape):
        """Has no variables."""

    def value(self) -> float:
        """Returns the constant."""
        return self.scale


class LearnedScale(Scale):
    """One trained standard deviation per element of the mean's last axis, starting at 1.

    That is one per channel of an image, per feature of a vector, per numeric column of a table. Kept
    above exp(-5), so that a constant feature cannot drive the likelihood to infinity.

    Reference:
        Rybkin et al. 2021, sigma-VAE, arXiv:2006.13202, Eq. 5 (shared variance).
    """

    @override
    def build(self, input_shape):
        self.log_variance = self.add_weight(
            name="log_variance", shape=(input_shape[-1],), initializer="zeros", autocast=False
        )

    def value(self) -> tf.Tensor:
        """Returns the standard deviations, [last axis]."""
        return scale_of(self.log_variance)
