"""What every prior shares."""

from typing import Any

from tensorflow_probability.python.distributions.distribution import Distribution
from typing_extensions import override

from models.part import Part
from models.trace import Context


class Prior(Part):
    """A distribution over codes: `() -> tfd.Distribution`.

    A factor conditioned on nothing, or on what the context holds (a label).

    Args:
        latent: width of z.

    Call arguments:
        context: what is known beside `x`, for priors that condition on it; others ignore it.
    """

    def __init__(self, latent: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.latent = latent

    @override
    def build(self, input_shape):
        """Creates the prior's variables for codes of shape [batch, latent]; most priors have none."""

    @override
    def call(self, context: Context | None = None) -> Distribution:
        raise NotImplementedError
